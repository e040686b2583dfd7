"""The names of the package: what there is, old names, what an import costs, and every example."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

import qornn_hw
from qornn_hw import errors
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint
from qornn_hw.importers.torch_import import export_torch_rnn
from qornn_hw.importers.torch_tracing import export_torch_module
from qornn_hw.quantization.quantize import export

ROOT = Path(__file__).parents[1]
PAGES = [p for p in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if ">>> " in p.read_text()]
# test_api_build.py runs the example of Build, and goes on from there.
EXPORTED = sorted(set(qornn_hw.__all__) - set(errors.__all__) - {"__version__", "Build"})


def test_public_names():
    """The names that the reference promises are there, each error among them; others are attribute errors."""
    promised = {"quantize", "load", "save", "compile", "Network", "Design", "Build", "Board", "__version__"}
    assert promised | set(errors.__all__) <= set(qornn_hw.__all__)
    assert set(qornn_hw.__all__) <= set(dir(qornn_hw))
    for name in qornn_hw.__all__:
        assert getattr(qornn_hw, name) is not None
    assert qornn_hw.__version__.count(".") == 2
    with pytest.raises(AttributeError, match=r"^module 'qornn_hw' has no attribute 'exprot'$"):
        _ = qornn_hw.exprot


@pytest.mark.parametrize(
    ("old", "new", "function"),
    [
        ("export", r"quantize\(\(W, U, V\), calibration", export),
        ("export_torch_rnn", r"quantize\(\(rnn, readout\), calibration", export_torch_rnn),
        ("export_torch_module", r"quantize\(module, calibration", export_torch_module),
        ("load_checkpoint", r"load\(path\)", load_checkpoint),
        ("save_checkpoint", r"save\(path, net\)", qornn_hw.save),
    ],
)
def test_old_names_work(old, new, function):
    """An old name gives what it gave, with a warning that has the new name."""
    with pytest.warns(DeprecationWarning, match=rf"^qornn_hw\.{old} is now qornn_hw\.{new}"):
        assert getattr(qornn_hw, old) is function


def test_old_calls_still_fit_together(tmp_path):
    """What the old names give goes into old and new names alike."""
    with pytest.warns(DeprecationWarning):
        old = qornn_hw.load_checkpoint(ROOT / "models/copy.npz")
    with pytest.warns(DeprecationWarning):
        qornn_hw.save_checkpoint(tmp_path / "a.pt", old)
    assert isinstance(old, Checkpoint)
    assert repr(qornn_hw.load(tmp_path / "a.pt")) == repr(qornn_hw.load(ROOT / "models/copy.npz"))


def test_an_import_is_quick():
    """`import qornn_hw` loads neither NumPy nor anything else of weight; nor does a design load torch."""
    light = "import sys, qornn_hw; assert not {'numpy', 'amaranth', 'typer'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", light], check=True)
    code = (
        f"import sys, qornn_hw; net = qornn_hw.load({str(ROOT / 'models/copy.npz')!r})\n"
        "assert not {'torch', 'amaranth', 'typer'} & set(sys.modules)\n"
        "qornn_hw.compile(net)\n"
        "assert not {'torch', 'typer'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def at_the_root(monkeypatch):
    """Go to the root of the repository, where the examples find the shipped models."""
    monkeypatch.chdir(ROOT)
    os.environ.setdefault("COLUMNS", "110")


@pytest.mark.parametrize("name", EXPORTED)
def test_examples_of_the_names(at_the_root, name):
    """Every public class and function has an example, and each example gives what it says."""
    found = [t for t in doctest.DocTestFinder().find(getattr(qornn_hw, name), name) if t.examples]
    assert found
    for test in found:
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_the_docs(at_the_root, page):
    """Every session of a page of the docs gives what it says."""
    assert doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS).failed == 0
