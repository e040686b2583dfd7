"""Whole training runs, small ones: they learn, they repeat, and their checkpoints hold what they measured."""

import gzip
import re

import numpy as np
import pytest

from qornn_hw.checkpoint import load_checkpoint, save_checkpoint
from qornn_hw.errors import DataError
from qornn_hw.evaluate import evaluate
from qornn_hw.training import CopyConfig, MnistConfig, mnist_run, train_copy, train_mnist
from qornn_hw.training.tasks import mnist


@pytest.fixture
def bars(tmp_path, monkeypatch):
    """A folder of images whose class is the height of a bright row: 900 to train, 200 to test."""
    monkeypatch.setattr(mnist, "_COUNTS", {"train": 900, "test": 200})
    monkeypatch.setattr(mnist_run, "_VALIDATION", 100)
    rng = np.random.default_rng(0)
    for name, count in (("train", 900), ("t10k", 200)):
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[27 - label, :] = 255
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
            data = bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(data, 1))
    return tmp_path


def test_copy_learns():
    """A short run learns to recall most of a short copy task in integers."""
    config = CopyConfig(
        blank=2,
        hidden=32,
        bits=8,
        iterations=250,
        finetune_iterations=50,
        batch=32,
        learning_rate_recurrent=3e-4,
    )
    checkpoint = train_copy(config, quiet=True)
    found = checkpoint.metrics["integer"]
    assert found["recall_accuracy"] > 0.5
    assert found["cross_entropy"] < 0.75 * checkpoint.metrics["blind_cross_entropy"]
    assert checkpoint.task == {"name": "copy", "blank": 2}
    assert checkpoint.provenance["command"].startswith("qornn-hw train copy --blank 2 --hidden 32 ")


@pytest.mark.parametrize("activation", ["identity", "modrelu", "tanh"])
def test_copy_repeats(tmp_path, activation):
    """The same configuration gives the same integers, and evaluation of the file finds its metrics."""
    config = CopyConfig(
        blank=3, hidden=8, iterations=6, finetune_iterations=3, batch=8, activation=activation, seed=5
    )
    first, second = (train_copy(config, quiet=True) for _ in range(2))
    for name in ("recurrent_weight", "input_weight", "output_weight", "output_bias"):
        np.testing.assert_array_equal(getattr(first.network, name), getattr(second.network, name))
    save_checkpoint(tmp_path / "a.pt", first)
    loaded = load_checkpoint(tmp_path / "a.pt")
    assert loaded.metrics == evaluate(loaded) == first.metrics


@pytest.mark.parametrize("activation, orthogonal", [("relu", False), ("tanh", True), ("modrelu", True)])
def test_mnist_learns(bars, activation, orthogonal):
    """Images whose class is the height of a bright row are told apart in integers."""
    config = MnistConfig(
        data=str(bars),
        hidden=24,
        state_bits=10,
        activation=activation,
        orthogonal=orthogonal,
        epochs=14,
        finetune_epochs=2,
        batch=32,
    )
    checkpoint = train_mnist(config, quiet=True)
    assert checkpoint.metrics["integer"]["accuracy"] > 0.6
    assert checkpoint.metrics == evaluate(checkpoint, bars)
    assert str(bars) not in str(checkpoint.provenance)
    assert checkpoint.network.weight_bits.recurrent == 4
    assert not checkpoint.network.input_format.signed


def test_mnist_progress_of_one_epoch(bars, capsys):
    """The validation is "-" until it is known, and the last line of a stage has it."""
    train_mnist(MnistConfig(data=str(bars), hidden=4, float_epochs=0, epochs=1, finetune_epochs=1, batch=200))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" loss ")[0] for line in lines] == [
        "mnist, quantized weights 4/4",
        "mnist, rounded states 4/4",
    ]
    for line in lines:
        assert re.search(r", validation (0\.\d+|0), 0 s left$", line)


def test_mnist_without_data(tmp_path):
    """A run without data fails at once, not after the training."""
    with pytest.raises(DataError, match=r"no such file; put the four MNIST files"):
        train_mnist(MnistConfig(data=str(tmp_path)), quiet=True)
