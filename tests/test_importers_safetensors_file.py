"""Arrays from safetensors files."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from qornn_hw.errors import FormatError
from qornn_hw.importers.safetensors_file import read_safetensors
from qornn_hw.importers.state_dict import read_state_dict


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_arrays_are_read(dtype, tmp_path):
    """Values and names are those that were written, as float64."""
    arrays = {"a.b": np.arange(6).reshape(2, 3).astype(dtype), "c": np.ones(4, dtype=dtype)}
    save_file(arrays, tmp_path / "w.safetensors")
    found = read_safetensors(tmp_path / "w.safetensors")
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in arrays.items()}
    assert all(v.dtype == np.float64 for v in found.values())


def test_a_network(tmp_path):
    """The state dict of a module that was saved as safetensors."""
    module = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 5), "fc": torch.nn.Linear(5, 2)})
    save_tensors(module.state_dict(), tmp_path / "w.safetensors")
    stack = read_state_dict(read_safetensors(tmp_path / "w.safetensors"))
    assert stack.output_weight.shape == (2, 5)


def test_what_is_refused(tmp_path):
    """Damaged files, and numbers that NumPy lacks."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\xff" * 50)
    with pytest.raises(FormatError, match=r"w\.safetensors must be a safetensors file: "):
        read_safetensors(path)
    save_tensors({"a": torch.ones(2, dtype=torch.bfloat16)}, path)
    with pytest.raises(
        FormatError, match=r"must hold float32, float16 or float64 numbers, but .* another kind"
    ):
        read_safetensors(path)
