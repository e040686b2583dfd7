"""Fixtures of several test files."""

import gzip
import sys

import numpy as np
import pytest
from fake_tools import fake  # noqa: F401
from sampling import mark_unsampled

from qornn_hw.cli import main as cli
from qornn_hw.tasks import mnist


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the cases of sampled tests that are slow, before slow tests are left out."""
    mark_unsampled(items)


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs the command line in this process: code, output, errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qornn-hw", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run


@pytest.fixture
def bars(tmp_path, monkeypatch):
    """A folder of images whose class is the height of a bright row: 960 to train, 200 to test."""
    monkeypatch.setattr(mnist, "COUNTS", {"train": 960, "test": 200})
    rng = np.random.default_rng(0)
    folder = tmp_path / "bars"
    folder.mkdir()
    for name, count in (("train", 960), ("t10k", 200)):
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[27 - label, :] = 255
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
            data = bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(data, 1))
    return folder
