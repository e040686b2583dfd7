"""The command build: what is refused before a tool runs, the page, and what is imported."""

import subprocess
import sys

import pytest
from networks import make_network, network_fields

from qornn_hw.cells.elman_network import WeightBits
from qornn_hw.cli import main as cli
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint


def save(path, **changes):
    """Write a checkpoint of a small random network."""
    network = make_network(**changes)
    save_checkpoint(path, Checkpoint(network=network, float_weights=None, task={}, metrics={}, provenance={}))
    return path


def test_too_large_a_network_is_refused_before_any_tool_runs(run, tmp_path):
    """A network that does not fit is told by how much, and what would fit; no folder is made."""
    fields = network_fields(n=420, m=3, p=10)
    model = save(tmp_path / "model.npz", **(fields | {"weight_bits": WeightBits(8, 8, 8)}))
    code, _, errors = run("build", model, "--engine", "lut", "--out", tmp_path / "out")
    assert code == 2
    assert "network must fit icebreaker" in errors and "too many" in errors and "would fit" in errors
    assert not (tmp_path / "out").exists()


def test_missing_tool(run, tmp_path, monkeypatch):
    """Without its tools a build says which package brings the first that it misses."""
    model = save(tmp_path / "model.npz")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    code, _, errors = run("build", model, "--out", tmp_path / "out")
    assert code == 2
    assert "pip install yowasp-" in errors
    assert not (tmp_path / "out").exists()


def test_output_folder_that_cannot_be_written(run, tmp_path):
    """An output folder below a file is refused with its name."""
    model = save(tmp_path / "model.npz")
    code, _, errors = run("build", model, "--out", model / "out")
    assert code == 2
    assert str(model / "out") in errors


def test_build_needs_no_torch(tmp_path):
    """The whole command line of a build imports no torch."""
    script = (
        "import sys, qornn_hw.cli.main, qornn_hw.boards.build, qornn_hw.sim.amaranth_bench\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


def test_build_writes_a_page(tmp_path, monkeypatch, capsys):
    """`build --html` writes the report with its plots; where it could not, no build is begun."""
    from qornn_hw.boards import build

    begun = []

    def quick(design, board, folder, **options):
        begun.append(folder)
        resources = {"lut": 100, "ff": 50, "bram": 3, "spram": 0, "dsp": 1}
        return {
            "board": board.name, "family": board.family.name, "engine": "lut", "lanes": 2,
            "model": {"inputs": 2},
            "cycles_per_step": 30.0, "step_us": 2.5, "utilisation": 0.5, "clock_mhz": 12.0, "fmax_mhz": 50.0,
            "baud": 1_000_000, "resources": resources, "available": resources, "estimated": None,
            "accumulator_bits": 12, "tools": {}, "files": {"bitstream": "top.bin"}, "seconds": {"place": 2.0},
        }  # fmt: skip

    monkeypatch.setattr(build, "build", quick)
    model = save(tmp_path / "model.npz")

    def call(page):
        monkeypatch.setattr(sys, "argv", ["qornn-hw", "build", str(model), "--html", str(page)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr()

    code, shown = call(tmp_path / "page.html")
    assert code == 0 and f"wrote {tmp_path / 'page.html'}" in shown.out and len(begun) == 1
    text = (tmp_path / "page.html").read_text()
    assert "Time of a step in the core by part" in text and "100 of 100 (100%)" in text
    code, shown = call(model / "page.html")
    assert code == 2 and len(begun) == 1 and shown.err.count("\n") == 1
