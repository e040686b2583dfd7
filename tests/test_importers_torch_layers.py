"""Layers of torch as arrays: the weights, and the module's own forward pass."""

import numpy as np
import pytest
import torch
from torch import nn

from qornn_hw.errors import FormatError
from qornn_hw.importers.torch_layers import (
    RecurrentLayer,
    check_evaluation,
    front_of,
    readout_of,
    recurrent_class,
    require_recurrent,
)
from qornn_hw.importers.torch_modules import private_copy

X = np.random.default_rng(0).normal(size=(4, 6, 3))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("make", [nn.RNN, nn.RNNCell])
def test_recurrent_layer(make, bias):
    """The states follow from the weights and the sum of the biases, from any initial state."""
    layer = RecurrentLayer(private_copy("rnn", make(3, 5, bias=bias)))
    for state in (None, np.linspace(-1, 1, 5)):
        h = np.zeros((4, 5)) if state is None else np.tile(state, (4, 1))
        found = layer.run(X, state)
        for t in range(6):
            h = np.tanh(h @ layer.recurrent_weight.T + X[:, t] @ layer.input_weight.T + layer.bias)
            np.testing.assert_allclose(found[:, t], h, atol=1e-5)
    assert layer.bias.any() == bias and layer.bias.shape == (5,)


def test_batch_first_makes_no_difference():
    """Inputs and states are batch first, whatever the module's own order."""
    modules = [nn.RNN(3, 5, batch_first=first) for first in (False, True)]
    modules[1].load_state_dict(modules[0].state_dict())
    one, other = (RecurrentLayer(private_copy("rnn", module)).run(X, None) for module in modules)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("module", "kind"),
    [(nn.RNN(2, 3), "RNN"), (nn.RNNCell(2, 3), "RNNCell"), (nn.GRU(2, 3), None), (nn.Linear(2, 3), None)],
)
def test_recurrent_class(module, kind):
    """Plain recurrent layers are recognized; other modules are refused."""
    assert recurrent_class(module) == kind
    if kind is not None:
        return require_recurrent("rnn", module)
    with pytest.raises(FormatError, match=r"^rnn must be a torch.nn.RNN or RNNCell, not "):
        require_recurrent("rnn", module)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 2}, "rnn must have 1 layer, not 2"),
        ({"bidirectional": True}, "rnn must have one direct"),
    ],
)
def test_layers_that_are_not_supported(options, message):
    """Several layers and two directions are refused."""
    with pytest.raises(FormatError, match=f"^{message}"):
        require_recurrent("rnn", nn.RNN(2, 3, **options))


def test_readout():
    """Linear layers in a row are one affine map; layers that do nothing in evaluation are skipped."""
    parts = [("0", nn.Linear(5, 4)), ("1", nn.Dropout().eval()), ("2", nn.Linear(4, 2, bias=False))]
    found = readout_of("readout", parts, 5)
    h = np.random.default_rng(1).normal(size=(7, 5))
    np.testing.assert_allclose(found.run(h, torch.float32), h @ found.weight.T + found.bias, atol=1e-5)
    assert found.weight.shape == (2, 5) and found.bias.shape == (2,)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "readout must have a torch.nn.Linear, but has none"),
        ([("0", nn.Identity())], "readout must have a torch.nn.Linear, but has none"),
        ([("0", nn.Linear(4, 2))], "readout.0 must take the rnn's 5 hidden units, not 4 features"),
        (
            [("0", nn.Linear(5, 2)), ("1", nn.Softmax(-1))],
            "readout.1 must be .*, not Softmax: the hardware answers",
        ),
    ],
)
def test_readouts_that_are_not_supported(parts, message):
    """A layer of another size or kind is named."""
    with pytest.raises(FormatError, match=f"^{message}"):
        readout_of("readout", parts, 5)


def test_front():
    """An embedding gives its table, a linear layer its map, and a layer that does nothing None."""
    table = nn.Embedding(7, 3)
    np.testing.assert_array_equal(front_of("rnn", [("0", table)], 3), table.weight.detach().numpy())
    assert front_of("rnn", [], 3) is None and front_of("rnn", [("0", nn.Identity())], 3) is None
    assert front_of("rnn", [("0", nn.Linear(2, 3))], 3).weight.shape == (3, 2)
    with pytest.raises(
        FormatError, match=r"^rnn.0 must give the rnn's 3 inputs for each symbol, not shape \(4,\)$"
    ):
        front_of("rnn", [("0", nn.Embedding(7, 4))], 3)


def test_dropout_in_training_mode():
    """A dropout that drops is refused until eval(); one of probability 0 is not."""
    with pytest.raises(
        FormatError, match=r"^readout.0 must be in evaluation mode, but is a Dropout that drops"
    ):
        check_evaluation("readout", [("0", nn.Dropout())])
    check_evaluation("readout", [("0", nn.Dropout().eval()), ("1", nn.Dropout(0.0)), ("2", nn.Linear(1, 1))])
