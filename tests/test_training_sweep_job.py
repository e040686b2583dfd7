"""One job of a sweep: its row has the results, or the error without paths of this machine."""

import json

import numpy as np
import pytest

from qornn_hw.training import CopyConfig, MnistConfig
from qornn_hw.training.result_rows import Job
from qornn_hw.training.stack_configs import MnistStackConfig
from qornn_hw.training.sweep_job import execute, forget

TINY = CopyConfig(blank=2, hidden=8, iterations=3, finetune_iterations=2, batch=4)


def test_row_of_a_network():
    """The row is JSON with metrics, size, singular values and curve; requantized widths are measured, too."""
    row, content = execute(Job(TINY, widths=(8, 10, TINY.state_bits)), keep=True)
    assert json.loads(json.dumps(row, allow_nan=False)) == row and "error" not in row
    assert row["task"] == "copy" and row["metric"] == "cross_entropy" and row["seconds"] >= 0
    assert {"float", "fake_quantized", "integer"} >= row["metrics"].keys() & {"float", "integer"} != set()
    assert row["requantized"].keys() == {"8", "10"} - {str(TINY.state_bits)}
    singular = row["singular_values"]
    assert len(singular) == 65 and singular == sorted(singular)
    assert row["curve"][-1]["iteration"] == 2 and content.startswith(b"PK")
    again, _ = execute(Job(TINY))
    assert again["metrics"] == row["metrics"]
    np.testing.assert_array_equal(again["singular_values"], singular)


def test_forget(tmp_path):
    """The saved run of a checkpoint is removed if it exists."""
    (tmp_path / "model.run").touch()
    for out in (tmp_path / "model.npz", tmp_path / "model.npz", None):
        forget(out)
    assert list(tmp_path.iterdir()) == []


def test_error_row_names_no_folder(tmp_path):
    """The error of a failed run names the data folder as DIR."""
    row, content = execute(Job(MnistConfig(data=str(tmp_path / "none"))), keep=True)
    assert content is None and "metrics" not in row
    assert row["error"].startswith("DIR: no such folder")
    assert str(tmp_path) not in json.dumps(row)


def test_baseline_row(monkeypatch):
    """The row of a baseline has its kind as the method, and the results of its training."""
    module = pytest.importorskip("qornn_hw.training.baseline_run")
    curve = [{"stage": "copy, lstm", "iteration": i, "loss": 1 / (i + 1)} for i in range(100)]
    part = {"metrics": {"float": {"cross_entropy": 1.0}}, "kilobytes": 9.0, "curve": curve}
    monkeypatch.setattr(module, "train_baseline", lambda config, kind, hidden, quiet: part)
    row, _ = execute(Job(CopyConfig(hidden=7), baseline="lstm"))
    assert row["method"] == row["config"]["baseline"] == "lstm" and row["hidden"] == 7
    assert row["kilobytes"] == 9.0 and len(row["curve"]) == 25 and row["curve"][-1]["iteration"] == 99
    part["metrics"] = {"float": {"cross_entropy": float("nan")}}
    row, _ = execute(Job(CopyConfig(hidden=7), baseline="lstm"))
    assert row["error"] == "the measured numbers must be finite, but are not"


def test_row_of_cells(bars):
    """Layers of cells have metrics, size and curve, and no recurrent matrix to look at."""
    config = MnistStackConfig(data=str(bars), cell="hadamard", hidden=8, float_epochs=1, epochs=1, batch=60)
    row, content = execute(Job(config), keep=True)
    assert "error" not in row and row["metric"] == "accuracy" and content.startswith(b"PK")
    assert row["cell"] == "hadamard" and "integer" in row["metrics"] and "orthogonality" not in row
    assert {point["stage"] for point in row["curve"]} == {"mnist, real numbers", "mnist, integers"}
    assert 0 < row["kilobytes"] < 1
