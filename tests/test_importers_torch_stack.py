"""Stacks from torch modules: what the module computes, or a refusal that says what is in the way."""

import numpy as np
import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.importers.torch_stack import has_relu, has_stack, read_torch_stack
from qornn_hw.ir.kinds import OutputMode

INPUTS, UNITS, OUTPUTS, SYMBOLS = 3, 5, 4, 9


class Net(torch.nn.Module):
    """Layers in front, a recurrent layer, and a readout."""

    def __init__(
        self,
        kind="GRU",
        front=None,
        last=False,
        batch_first=True,
        state=False,
        relu=False,
        after=None,
        **given,
    ):
        super().__init__()
        self.front = front or torch.nn.Identity()
        self.rnn = getattr(torch.nn, kind)(INPUTS, UNITS, batch_first=batch_first, **given)
        self.out = torch.nn.Linear(UNITS * (1 + self.rnn.bidirectional), OUTPUTS)
        self.last, self.after, self.layers = last, after, given.get("num_layers", 1)
        self.relu = torch.nn.ReLU() if relu else torch.nn.Identity()
        self.state = torch.nn.Parameter(torch.randn(self.layers, 1, UNITS) / 2) if state else None

    def forward(self, x):
        """Answer at every step or the last one."""
        x = self.front(x)
        first = self.rnn.batch_first
        start = None
        if self.state is not None:
            start = self.state.expand(-1, x.shape[0 if first else 1], -1).contiguous()
            start = (start, 2 * start) if isinstance(self.rnn, torch.nn.LSTM) else start
        y = self.rnn(x, start)[0]
        if self.last:
            y = y[:, -1] if first else y[-1]
        y = self.out(self.relu(y))
        return y if self.after is None else self.after(y)


class Cells(torch.nn.Module):
    """A GRUCell in a loop."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = torch.nn.GRUCell(INPUTS, UNITS), torch.nn.Linear(UNITS, OUTPUTS)

    def forward(self, x):
        """Answer at the last step."""
        h = torch.zeros(len(x), UNITS)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.out(h)


MODULES = {
    "gru": lambda: Net(),
    "a relu in front of the readout": lambda: Net("LSTM", relu=True),
    "a relu behind one tanh layer": lambda: Net("RNN", relu=True),
    "lstm": lambda: Net("LSTM"),
    "two layers of relu": lambda: Net("RNN", num_layers=2, nonlinearity="relu"),
    "three layers": lambda: Net("LSTM", num_layers=3, dropout=0.5).eval(),
    "steps first": lambda: Net(batch_first=False),
    "the last step": lambda: Net(last=True),
    "an initial state": lambda: Net(state=True),
    "initial states of an LSTM": lambda: Net("LSTM", state=True, num_layers=2),
    "an embedding": lambda: Net(front=torch.nn.Embedding(SYMBOLS, INPUTS, padding_idx=0)),
    "a linear layer in front": lambda: Net(front=torch.nn.Linear(INPUTS, INPUTS)),
    "cells in a loop": lambda: Cells(),
    "without biases": lambda: Net(bias=False),
    "weight normalization": lambda: _normalized(),
}


def _normalized():
    net = Net()
    torch.nn.utils.parametrizations.weight_norm(net.out)
    return net


def inputs_for(name):
    """Return random inputs."""
    rng = np.random.default_rng(0)
    return rng.integers(0, SYMBOLS, (2, 7)) if "embedding" in name else rng.normal(size=(2, 7, INPUTS))


@pytest.mark.parametrize("name", MODULES)
def test_equal_to_the_module(name):
    """The stack's logits are those of the module, to 1e-4 of the largest; other inputs, too."""
    torch.manual_seed(2)
    module = MODULES[name]()
    found = read_torch_stack(module, inputs_for(name))
    assert found.difference < 1e-5
    assert (found.mode is OutputMode.LAST_STEP) == (name in ("the last step", "cells in a loop"))
    rng = np.random.default_rng(5)
    x = rng.integers(0, SYMBOLS, (3, 20)) if "embedding" in name else rng.normal(size=(3, 20, INPUTS))
    given = torch.tensor(x, dtype=torch.int64 if "embedding" in name else torch.float32)
    with torch.no_grad():
        wanted = module(given.transpose(0, 1) if name == "steps first" else given).numpy()
    logits = found.stack.run(x)
    logits = logits[:, -1] if found.mode is OutputMode.LAST_STEP else logits
    wanted = wanted.swapaxes(0, 1) if name == "steps first" else wanted
    assert np.abs(logits - wanted).max() < 1e-5
    assert has_stack(module) or has_relu(module)


def test_a_plain_layer_needs_no_stack():
    """One RNN layer is an Elman network."""
    assert not has_stack(Net("RNN"))


FAILURES = {
    "two directions": (lambda: Net(bidirectional=True), r"^rnn must go in one direction, not both"),
    "an activation behind": (
        lambda: Net(after=torch.nn.ReLU()),
        r"^after is not supported: a relu must stand between the last recurrent layer and the linear",
    ),
    "a softmax": (
        lambda: Net(after=torch.nn.Softmax(-1)),
        r"^after must be .*: let the module answer the logits",
    ),
    "something else in forward": (
        lambda: Net(after=lambda y: 2 * y),
        r"^module must answer what its recurrent and linear layers give, and its answers differ by",
    ),
    "a dropout that drops": (
        lambda: Net(after=torch.nn.Dropout(0.5)),
        r"^after must be in evaluation mode, but is a Dropout that drops",
    ),
    "no readout": (
        lambda: torch.nn.GRU(INPUTS, UNITS, batch_first=True),
        r"^module must have a torch\.nn\.Linear",
    ),
    "no recurrent layer": (lambda: torch.nn.Linear(INPUTS, 2), r"^module must call an RNN, GRU or LSTM"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name):
    """One line says what must be what."""
    make, message = FAILURES[name]
    with pytest.raises(FormatError, match=message):
        read_torch_stack(make(), inputs_for(name))


def test_wrong_gate_order_is_caught(monkeypatch):
    """With the gates of an LSTM in another order the answers differ, and the import is refused."""
    from qornn_hw.importers import recurrent_weights

    monkeypatch.setitem(recurrent_weights.GATE_ORDERS["torch"], "lstm", (0, 1, 3, 2))
    with pytest.raises(FormatError, match=r"^module must answer what its recurrent and linear layers give"):
        read_torch_stack(Net("LSTM"), inputs_for(""))
