"""The wheel: what it holds, and that it works from a folder whose own folders are named like ours."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel with what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_holds_one_package_and_nothing_else(wheel):
    """Everything is in qornn_hw, so that no folder of a user's can clash; no tests, models or data."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"qornn_hw", "qornn_hw-0.1.0.dist-info"}
    for package in ("qornn_hw", "rtl_gen", "sim", "boards"):
        inside = Path("qornn_hw") if package == "qornn_hw" else Path("qornn_hw", package)
        assert f"{inside}/py.typed" in names
        sources = {str(inside / p.relative_to(ROOT / package)) for p in (ROOT / package).rglob("*.py")}
        assert sources <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert len(names) == len(set(names))


def test_installed_wheel_works_beside_folders_of_the_same_names(wheel, tmp_path):
    """From a folder with its own `sim` and `boards`, which must not be imported, a model is simulated."""
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)],
        check=True,
    )
    elsewhere = tmp_path / "elsewhere"
    for name in ("sim", "boards", "rtl_gen"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    # As the console script does it: the script's folder on the module path, not the current one.
    script = tmp_path / "qornn-hw.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(target)!r})\nfrom qornn_hw.cli.main import main\nmain()\n"
    )
    model = ROOT / "models" / "mnist_rows_tanh.npz"
    done = subprocess.run(
        [sys.executable, str(script), "sim", str(model), "--sequences", "1", "--steps", "4"],
        cwd=elsewhere,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert " 0 mismatches" in done.stdout
