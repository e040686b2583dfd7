"""benchmarks/published_models.py: files of others are read, and nothing in them is executed."""

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch):
    """The script."""
    pytest.importorskip("safetensors")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import published_models

    return published_models


class Layer:
    """What a pickle of another program holds."""

    def __init__(self):
        self.weights = np.arange(6.0, dtype=np.float32).reshape(2, 3)


class Bomb:
    """A pickle that runs a command where it is read as usual."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_arrays_of_unknown_classes_are_read(script):
    """An object becomes a record, with its arrays."""
    found = script.ArraysOnly(io.BytesIO(pickle.dumps([Layer()], protocol=4)), encoding="latin1").load()
    assert isinstance(found[0], script.Record)
    np.testing.assert_array_equal(found[0].state["weights"], Layer().weights)


def test_nothing_is_executed(script, tmp_path):
    """A function in a pickle is a record, too, and is not called."""
    target = tmp_path / "made"
    found = script.ArraysOnly(io.BytesIO(pickle.dumps(Bomb(target)))).load()
    assert isinstance(found, script.Record)
    assert not target.exists()
