"""Measurement on a user's own sequences: scores need targets, and the quality report does not."""

from pathlib import Path

import numpy as np
import pytest
from networks import make_network

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.errors import DataError
from qornn_hw.evaluation.labelled_sequences import LabelledSequences
from qornn_hw.evaluation.own_data import evaluate_data, is_own_data, read_data, task_quality
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint

MODELS = Path(__file__).parents[1] / "models"
NET = make_network(n=5, m=3, p=4, seed=2, output_mode=OutputMode.LAST_STEP)
CHECKPOINT = Checkpoint(NET)


def inputs(count=30, steps=6):
    """Return random integers in the format of the network, and the same as real numbers."""
    x = np.random.default_rng(1).integers(0, 16, (count, steps, 3))
    return x, x * NET.scales.input_steps(3) + NET.scales.input_offsets(3)


def test_scores():
    """The accuracy of the integers is that of the integer model; a checkpoint without float has no float."""
    x, real = inputs()
    classes = IntegerModel(NET).run(x).logits[:, -1].argmax(axis=-1)
    targets = np.where(np.arange(30) < 6, (classes + 1) % 4, classes)
    found, quality = evaluate_data(CHECKPOINT, LabelledSequences.of(real, targets))
    assert found["sequences"] == 30 and found["integer"] == {"accuracy": 0.8}
    assert "fake_quantized" in found and "float" not in found
    assert found["quality"] == quality.to_metrics()


def test_no_targets_no_scores():
    """Without targets only the quality is reported."""
    found, _ = evaluate_data(CHECKPOINT, LabelledSequences.of(inputs()[1]))
    assert found.keys() == {"sequences", "quality"}


def test_files(tmp_path):
    """Integers of a file are the network's own, real numbers are converted; a limit takes the first ones."""
    x, real = inputs()
    targets = np.arange(30) % 4
    np.savez(tmp_path / "integers.npz", inputs=x, targets=targets)
    np.savez(tmp_path / "real.npz", inputs=real, targets=targets)
    for name in ("integers.npz", "real.npz"):
        data = read_data(CHECKPOINT, tmp_path / name, limit=7)
        np.testing.assert_allclose(np.stack(data.sequences), real[:7])
        assert np.concatenate(np.atleast_2d(data.targets)).tolist() == targets[:7].tolist()
    np.save(tmp_path / "wrong.npy", np.zeros((2, 3, 5), int))
    with pytest.raises(DataError, match="inputs must have 3 channels, not 5"):
        read_data(CHECKPOINT, tmp_path / "wrong.npy")


@pytest.mark.parametrize(
    ("name", "task", "own"),
    [
        ("data.npy", None, True),
        ("data.npz", "copy", True),
        ("data.npz", "arrays", True),
        ("data.npy", "arrays", True),
        ("train.npz", "arrays", False),
        ("train.npz", "copy", True),
        ("damaged.npz", "arrays", False),
        ("text.txt", None, False),
        ("folder", None, False),
        ("absent.npz", None, False),
    ],
)
def test_own_data_or_the_task_s(tmp_path, name, task, own):
    """Only a file of inputs_train and so on is the data of the arrays task; folders are a task's, too."""
    np.save(tmp_path / "data.npy", np.zeros((2, 3)))
    np.savez(tmp_path / "data.npz", inputs=np.zeros((2, 3)))
    np.savez(tmp_path / "train.npz", inputs_train=np.zeros((2, 3)))
    (tmp_path / "damaged.npz").write_text("no archive")
    (tmp_path / "text.txt").touch()
    (tmp_path / "folder").mkdir()
    assert is_own_data(tmp_path / name, task) is own


def test_quality_on_the_task():
    """A shipped model is compared with its float network on the test set of its task."""
    quality = task_quality(load_checkpoint(MODELS / "copy.npz"), None, limit=5)
    assert 0.9 < quality.agreement <= 1
