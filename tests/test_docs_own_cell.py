"""docs/examples/own_cell.py: a newcomer's cell in one file, trained, quantized and simulated."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs/examples/own_cell.py"


def test_the_cell_goes_from_formula_to_verilog(tmp_path, monkeypatch, capsys):
    """Everything agrees, after a short training."""
    pytest.importorskip("torch")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path), "--epochs", "8"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    output = capsys.readouterr().out
    assert exit_.value.code == 0, output
    assert "966 integers compared, 0 mismatches" in output
    assert (tmp_path / "own_cell.npz").exists()


def test_the_file_is_short():
    """The whole walk-through is less than 120 lines."""
    assert len(SCRIPT.read_text().splitlines()) < 120
