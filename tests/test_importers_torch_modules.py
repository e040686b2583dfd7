"""Torch modules are unwrapped, copied without being changed, and refused with the next step."""

import numpy as np
import pytest
import torch
from torch import nn

from qornn_hw.errors import FormatError
from qornn_hw.importers.torch_modules import (
    class_name,
    is_module,
    leaves,
    private_copy,
    require_module,
    unwrapped,
)


def test_wrappers_are_removed():
    """DataParallel and averages, also nested, are removed; a plain module is itself."""
    rnn = nn.RNN(2, 3)
    averaged = torch.optim.swa_utils.AveragedModel(rnn)
    assert unwrapped(rnn) is rnn and unwrapped(nn.DataParallel(nn.DataParallel(rnn))) is rnn
    assert isinstance(unwrapped(averaged), nn.RNN)
    assert require_module("rnn", nn.DataParallel(rnn), "a torch.nn.RNN") is rnn
    assert is_module(rnn) and not is_module(rnn.weight_hh_l0)


def test_leaves():
    """Leaves have dotted names, wrappers are skipped, and parametrizations belong to their leaf."""
    linear = torch.nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
    module = nn.Sequential(nn.DataParallel(nn.RNN(2, 3)), nn.Sequential(linear, nn.ReLU()))
    assert [(name, class_name(leaf)) for name, leaf in leaves(module)] == [
        ("0", "RNN"), ("1.0", "Linear"), ("1.1", "ReLU"),
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_private_copy(dtype):
    """The copy is in evaluation mode with equal weights in float32 or float64; the module is not changed."""
    module = nn.Sequential(nn.Dropout(), nn.Linear(2, 3)).to(dtype)
    copy = private_copy("m", module)
    assert not copy.training and module.training and copy is not module
    assert copy[1].weight.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    wanted = module[1].weight.detach().double().numpy()
    np.testing.assert_array_equal(copy[1].weight.detach().double().numpy(), wanted)
    with torch.no_grad():
        copy[1].weight.zero_()
    assert module[1].weight.any() and module[1].weight.dtype == dtype


def test_copy_of_a_training_step():
    """Weights that are no leaves of the graph are copied, and gradients of the module stay."""
    module = torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    module(torch.zeros(1, 2)).sum().backward()
    private_copy("m", module)
    assert module.bias.grad is not None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LazyLinear(3), "m must have its weights, but weight has no shape yet: run it once"),
        (
            lambda: nn.Linear(2, 3, device="meta"),
            "m must have weights with values, but weight is on the meta",
        ),
    ],
)
def test_modules_without_values(make, message):
    """Weights without a shape or without values are refused with the next step."""
    with pytest.raises(FormatError, match=f"^{message}"):
        private_copy("m", make())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nn.RNN(2, 3).state_dict(), r"a state dict \(weight_ih_l0, .*\): load it into its module"),
        ({"a": 1}, r"a dictionary \(a\): load it"),
        (nn.RNN, "the class RNN: pass a module of it, with its weights"),
        ("model.pt", "a path: load the module with torch, and pass it"),
        (torch.zeros(2), "a tensor: pass W, U and V to qornn_hw.quantize"),
        (7, "int: pass a module with its weights"),
    ],
)
def test_other_objects(value, message):
    """An object that is not a module is named with the next step."""
    with pytest.raises(FormatError, match=f"^rnn must be a torch.nn.RNN, not {message}"):
        require_module("rnn", value, "a torch.nn.RNN")
