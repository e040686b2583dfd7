"""A whole torch module is exported where it computes readout(rnn(inputs)), and refused where it does more."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from qornn_hw.errors import FormatError
from qornn_hw.importers.torch_tracing import export_torch_module
from qornn_hw.quantization.float_model import RealNetwork, run_real

N, M, P = 8, 3, 4


class Net(nn.Module):
    """A user's module; subclasses say how it computes."""

    first = True
    outputs = P

    def __init__(self):
        super().__init__()
        self.core = nn.RNN(M, N, batch_first=self.first)
        self.drop = nn.Dropout(0.4)
        self.head = nn.Linear(N, self.outputs)


class EveryStep(Net):
    """Answers after every step."""

    def forward(self, x):
        """Return the logits (batch, steps, p)."""
        return self.head(self.drop(self.core(x)[0]))


class LastStep(Net):
    """Answers after the last step, by the last state."""

    def forward(self, x):
        """Return the logits (batch, p)."""
        return self.head(self.core(x)[1][0])


class StepsFirst(Net):
    """Takes steps first, and answers with the state."""

    first = False

    def forward(self, x, state=None):
        """Return the logits (steps, batch, p) and the state."""
        states, state = self.core(x, state)
        return self.head(states), state


class Transposing(Net):
    """Takes batch first, and turns it for its layer."""

    first = False

    def forward(self, x):
        """Return the logits (batch, p), by name."""
        return {"logits": self.head(self.core(x.transpose(0, 1))[0][-1])}


class OneOutput(Net):
    """Has one output, without a dimension of its own."""

    outputs = 1

    def forward(self, x):
        """Return (batch, steps)."""
        return self.head(self.core(x)[0])[..., 0]


class Learned(Net):
    """Learns its initial state, and calls a cell step by step."""

    def __init__(self):
        super().__init__()
        self.core = nn.RNNCell(M, N, nonlinearity="relu")
        self.start = nn.Parameter(torch.rand(N))

    def forward(self, x):
        """Return the logits (batch, steps, p)."""
        state, answers = self.start.expand(len(x), N), []
        for t in range(x.shape[1]):
            state = self.core(x[:, t], state)
            answers.append(self.head(state))
        return torch.stack(answers, 1)


class Words(Net):
    """Has an embedding in front, and an unused layer."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, M, padding_idx=0)
        self.unused = nn.Conv1d(2, 2, 3)

    def forward(self, x):
        """Return the logits (batch, p)."""
        return self.head(self.drop(self.core(self.table(x))[0][:, -1]))


class Deep(nn.Module):
    """Has its layers inside other modules, and a linear layer in front."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(M, 5), nn.Identity())
        self.body = nn.ModuleDict({"core": nn.RNN(5, N, batch_first=True)})
        self.head = nn.Sequential(nn.Linear(N, 6), nn.Linear(6, P))

    def forward(self, x):
        """Return the logits (batch, p)."""
        return self.head(self.body["core"](self.encoder(x))[0][:, -1])


def vectors():
    """Return calibration inputs."""
    return torch.randn(9, 12, M, generator=torch.Generator().manual_seed(3))


def wrapped():
    """Return a module in a wrapper."""
    return nn.DataParallel(EveryStep())


ACCEPTED = {
    "every step": (EveryStep, "every_step"),
    "last step": (LastStep, "last_step"),
    "steps first": (StepsFirst, "every_step"),
    "transposing": (Transposing, "last_step"),
    "one output": (OneOutput, "every_step"),
    "learned state": (Learned, "every_step"),
    "embedding": (Words, "last_step"),
    "deep": (Deep, "last_step"),
    "wrapped": (wrapped, "every_step"),
}


def answers(net, x):
    """Return the module's own answers, (batch, steps or 1, p)."""
    net = getattr(net, "module", net)
    with torch.no_grad():
        found = net(x.transpose(0, 1) if isinstance(net, StepsFirst) else x)
    found = found[0] if isinstance(found, tuple) else found["logits"] if isinstance(found, dict) else found
    if isinstance(net, StepsFirst):
        found = found.transpose(0, 1)
    if isinstance(net, OneOutput):
        found = found[..., None]
    return (found[:, None] if found.ndim == 2 else found).numpy()


@pytest.mark.parametrize("name", ACCEPTED)
def test_export_is_the_forward_pass(name):
    """The exported network answers as the module does, at the same steps."""
    torch.manual_seed(0)
    make, mode = ACCEPTED[name]
    net = make().eval()
    x = torch.randint(0, 11, (9, 12)) if name == "embedding" else vectors()
    made = export_torch_module(net, x, weight_bits=8, state_bits=12)
    assert made.network.output_mode == mode
    wanted = answers(net, x)
    found = run_real(RealNetwork.trained(made), x.numpy())[1]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


def test_output_mode_can_be_chosen():
    """A module that answers after the last step can be exported to answer after every step."""
    made = export_torch_module(LastStep().eval(), vectors(), output_mode="every_step")
    assert made.network.output_mode == "every_step"


class Scaled(Net):
    """Scales its inputs."""

    def forward(self, x):
        """Return the logits of a tenth of the inputs."""
        return self.head(self.core(x / 10)[0])


class Pooled(Net):
    """Answers with the mean of its states."""

    def forward(self, x):
        """Return the logits (batch, p)."""
        return self.head(self.core(x)[0].mean(1))


class Softmax(Net):
    """Answers a softmax."""

    def forward(self, x):
        """Return shares (batch, p)."""
        return self.head(self.core(x)[0][:, -1]).softmax(-1)


class LogSoftmax(Net):
    """Answers the logarithm of a softmax."""

    def forward(self, x):
        """Return logarithms (batch, steps, p)."""
        return self.head(self.core(x)[0]).log_softmax(-1)


class Activated(Net):
    """Has an activation in front of its readout."""

    def forward(self, x):
        """Return the logits (batch, steps, p)."""
        return self.head(torch.relu(self.core(x)[0]))


class Convolved(Net):
    """Has a convolution in front."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(M, M, 1)

    def forward(self, x):
        """Return the logits (batch, steps, p)."""
        return self.head(self.core(self.conv(x.transpose(1, 2)).transpose(1, 2))[0])


class Two(Net):
    """Has two recurrent layers."""

    def __init__(self):
        super().__init__()
        self.more = nn.RNN(N, N)


class Gated(Net):
    """Has a gated layer."""

    def __init__(self):
        super().__init__()
        self.core = nn.GRU(M, N)


class Failing(Net):
    """Wants another argument."""

    def forward(self, x, lengths):
        """Fail."""


class Random(Net):
    """Starts from the first input of its sequence."""

    def forward(self, x):
        """Return the logits (batch, steps, p)."""
        state = x[:, 0].sum(-1)[None, :, None].expand(1, len(x), N).contiguous()
        return self.head(self.core(x, state)[0])


class Both(Net):
    """Goes in both directions."""

    def __init__(self):
        super().__init__()
        self.core = nn.RNN(M, N, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * N, P)

    def forward(self, x):
        """Return the logits (batch, steps, p)."""
        return self.head(self.core(x)[0])


class Unused(Net):
    """Does not call its recurrent layer."""

    def forward(self, x):
        """Return the logits of nothing."""
        return self.head(x.new_zeros(len(x), N))


MORE = "module must answer readout(rnn(inputs)), but .*"
REFUSED = {
    "scaled": (
        Scaled,
        f"{MORE}differ by .*; it calls core (RNN), head (Linear), and its forward does something .*",
    ),
    "pooled": (Pooled, f"{MORE}differ by .*"),
    "activated": (Activated, f"{MORE}differ by .*"),
    "softmax": (Softmax, f"{MORE}answers their softmax: let it answer the logits, .*"),
    "log softmax": (LogSoftmax, f"{MORE}answers their softmax: let it answer the logits, .*"),
    "convolution": (Convolved, "rnn.conv must be a Linear, Identity, Dropout or Flatten, not Conv1d: .*"),
    "two layers": (Two, "module must have one torch.nn.RNN or RNNCell, not 2 (core, more): .*"),
    "no layer": (lambda: nn.Linear(M, P), "module must have one torch.nn.RNN or RNNCell, not 0 (none): .*"),
    "gated": (
        Gated,
        "module must have a torch.nn.RNN or RNNCell, not core (GRU): this takes a plain .*",
    ),
    "arguments": (
        Failing,
        "module must run on inputs of shape .* and answer a tensor, but raises TypeError: .*",
    ),
    "own state": (
        Random,
        "module must give its recurrent layer the same initial state for each sequence, .*",
    ),
    "directions": (Both, "core must have one direction, not two, .*"),
    "unused": (Unused, "module must call its torch.nn.RNN or RNNCell in forward, but does not"),
    "layer alone": (lambda: nn.RNN(M, N), "readout must have a torch.nn.Linear, but has none"),
    "state dict": (lambda: Net().state_dict(), "module must be a torch module with .*, not a state dict .*"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_module_is_refused(name):
    """A module that computes something else is refused in one line, with what was found in it."""
    torch.manual_seed(0)
    make, message = REFUSED[name]
    net = make()
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(FormatError, match=f"^{pattern}$") as found:
        export_torch_module(net.eval() if isinstance(net, nn.Module) else net, vectors())
    assert len(str(found.value).splitlines()) == 1


def test_dropout_in_training_is_refused():
    """A module that drops at random is to be put into evaluation mode."""
    with pytest.raises(FormatError, match=r"^module\.drop must be in evaluation mode, .*: call eval\(\)$"):
        export_torch_module(EveryStep(), vectors())
