"""Names in a pickle are found without executing it."""

import pickle

import pytest
import torch
from torch import nn

from qornn_hw.storage.pickle_names import PickleNames, pickle_names


def executed():
    """Fail the test."""
    pytest.fail("the pickle was executed")


class Trap:
    """An object whose unpickling fails the test."""

    def __reduce__(self):
        return executed, ()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_names_of_every_protocol(protocol):
    """Globals, strings and keys of tensors are found in every binary protocol."""
    names = pickle_names(pickle.dumps({"a": torch.zeros(2), "b": nn.RNN, "c": "text"}, protocol))
    assert names.tensors == ["a"] and "text" in names.strings
    assert "torch.nn.modules.rnn.RNN" in names.globals


def test_nothing_is_executed():
    """A function that unpickling would call is only named."""
    assert pickle_names(pickle.dumps(Trap())).globals == [f"{__name__}.executed"]


def test_truncated_pickle():
    """A prefix of a pickle gives a prefix of its globals, at every length."""
    data = pickle.dumps([nn.RNN, nn.LSTM, nn.GRU])
    whole = pickle_names(data).globals
    assert len(whole) == 3
    for length in range(len(data)):
        found = pickle_names(data[:length]).globals
        assert found == whole[: len(found)]


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\xff" * 100, b"h\x05.", b"(" * (1 << 20)])
def test_invalid_data_has_no_names(data):
    """Bytes that are not a pickle, a missing memo entry, and a megabyte of marks have no names."""
    assert pickle_names(data) == PickleNames()
