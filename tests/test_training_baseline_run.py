"""Baselines are trained on the same tasks as our networks, and measured like them."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.training import ArraysConfig
from qornn_hw.training.baseline_run import train_baseline


@pytest.fixture
def config(tmp_path):
    """Return the configuration of a task whose class is the sign of the sum of a sequence."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, count in (("train", 400), ("test", 100)):
        arrays[f"inputs_{name}"] = rng.normal(size=(count, 6, 2))
        arrays[f"targets_{name}"] = (arrays[f"inputs_{name}"].sum(axis=(1, 2)) > 0).astype(int)
    np.savez(tmp_path / "sums.npz", **arrays)
    return ArraysConfig(
        task_file=str(tmp_path / "sums.npz"), float_epochs=3, epochs=7, batch=20, learning_rate_output=1e-2
    )


@pytest.mark.parametrize(("kind", "parameters"), [("lstm", 4 * 8 * 11 + 18), ("fastrnn", 8 * 11 + 2 + 18)])
def test_baselines_learn(config, kind, parameters):
    """A baseline learns the task; its row has the metrics of the test set, its size and its curve."""
    row = train_baseline(config, kind, 8, quiet=True)
    assert row["metrics"]["sequences"] == 100 and row["metrics"]["float"]["accuracy"] > 0.8
    assert row["hidden"] == 8 and row["kilobytes"] == pytest.approx(parameters * 4 / 1024)
    # Ten epochs of the real and quantized stages together, at 18 batches of 360 training sequences.
    assert row["curve"][-1]["iteration"] == 180 and row["seconds"] >= 0


def test_a_run_repeats(config):
    """The same configuration gives the same metrics; another seed gives another curve."""
    first, again = (train_baseline(config, "fastrnn", 4, quiet=True) for _ in range(2))
    assert first["metrics"] == again["metrics"] and first["curve"] == again["curve"]


def test_unknown_kind(config):
    """An unknown kind is refused with the known ones."""
    with pytest.raises(FormatError, match=r"^a baseline must be one of lstm, fastrnn, not 'gru'$"):
        train_baseline(config, "gru", 4)
