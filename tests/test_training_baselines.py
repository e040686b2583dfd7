"""LSTM and FastRNN: equations, sizes, states, learning."""

import re

import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.training.baselines import LSTM, Baseline, FastRNN, kilobytes
from qornn_hw.training.loop import one_thread

KINDS = [LSTM, FastRNN]


@pytest.fixture(autouse=True)
def single_thread():
    """Compute in one thread, as training does: tests run side by side."""
    with one_thread():
        yield


def test_fastrnn_is_its_equation():
    """FastRNN's states are those of the equation, step by step."""
    torch.manual_seed(0)
    net = FastRNN(3, 5, 2, activation=torch.relu).double()
    x, h = torch.randn(4, 7, 3).double(), torch.zeros(4, 5).double()
    logits, state = net(x)
    for t in range(7):
        candidate = torch.relu(x[:, t] @ net.input_weight.T + h @ net.recurrent_weight.T + net.bias)
        h = torch.sigmoid(net.alpha) * candidate + torch.sigmoid(net.beta) * h
        torch.testing.assert_close(logits[:, t], net.readout(h))
    torch.testing.assert_close(state, h)
    assert float(torch.sigmoid(net.alpha.detach())) == pytest.approx(0.0474, abs=1e-4)


def test_lstm_is_its_equations():
    """The LSTM's states are those of its equations, with the second bias zero and without gradient."""
    torch.manual_seed(0)
    net = LSTM(3, 5, 2).double()
    x, h, c = torch.randn(4, 7, 3).double(), torch.zeros(4, 5).double(), torch.zeros(4, 5).double()
    logits, state = net(x)
    cell = net.cell
    for t in range(7):
        i, f, g, o = (x[:, t] @ cell.weight_ih_l0.T + h @ cell.weight_hh_l0.T + cell.bias_ih_l0).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        torch.testing.assert_close(logits[:, t], net.readout(h))
    torch.testing.assert_close(state[0][0], h)
    torch.testing.assert_close(state[1][0], c)
    logits.sum().backward()
    assert cell.bias_hh_l0.grad is None and not cell.bias_hh_l0.any()
    assert cell.bias_ih_l0[5:10].tolist() == [1.0] * 5


@pytest.mark.parametrize("kind", KINDS)
def test_indices_are_one_hot_vectors(kind):
    """Indices give what their one-hot vectors give; the last answer is the last of all."""
    torch.manual_seed(0)
    net = kind(6, 8, 4)
    x = torch.randint(0, 6, (3, 9))
    logits, _ = net(x)
    assert logits.shape == (3, 9, 4)
    torch.testing.assert_close(net(torch.nn.functional.one_hot(x, 6))[0], logits)
    torch.testing.assert_close(net(x, last_only=True)[0], logits[:, -1])


@pytest.mark.parametrize("kind", KINDS)
def test_state_goes_on(kind):
    """Two halves with the state carried over equal the whole sequence."""
    torch.manual_seed(0)
    net = kind(2, 8, 4)
    x = torch.randn(3, 10, 2)
    whole, end = net(x)
    first, state = net(x[:, :4])
    second, last = net(x[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, second), 1), whole)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 128, 10), (10, 37, 9)])
def test_count_is_that_of_the_module(kind, sizes):
    """The formula counts the trainable parameters."""
    net = kind(*sizes)
    trainable = sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert net.parameter_count == kind.count(*sizes) == trainable
    assert net.size_kb() == kilobytes(trainable) and net.size_kb(8) == net.size_kb() / 4


def test_published_sizes():
    """Sizes of Pixel-MNIST networks in Kusupati et al. 2018: LSTM 265 kB with 128 units."""
    assert round(LSTM(1, 128, 10).size_kb()) == 265


@pytest.mark.parametrize("kind", KINDS)
def test_learns(kind):
    """Each kind learns the sign of a running sum."""
    torch.manual_seed(0)
    net = kind(1, 16, 2)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 1e-2)
    losses = []
    for _ in range(150):
        x = torch.randn(64, 8, 1)
        loss = torch.nn.functional.cross_entropy(net(x, last_only=True)[0], (x.sum((1, 2)) > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.6 and losses[-1] < 0.2


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: LSTM(0, 1, 1), "inputs must be at least 1, not 0"),
        (lambda: FastRNN(1, 0, 1), "hidden must be at least 1, not 0"),
        (lambda: FastRNN(1, 1, -1), "outputs must be at least 1, not -1"),
        (
            lambda: FastRNN(2, 3, 1)(torch.rand(2, 4)),
            (
                "inputs must be indices (batch, steps) or vectors (batch, steps, 2), not torch.float32 of "
                "shape (2, 4)"
            ),
        ),
        (
            lambda: LSTM(2, 3, 1)(torch.rand(2, 4, 3)),
            (
                "inputs must be indices (batch, steps) or vectors (batch, steps, 2), not torch.float32 of "
                "shape (2, 4, 3)"
            ),
        ),
    ],
)
def test_errors(call, message):
    """Invalid sizes and inputs are refused in one line."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        call()


def test_base_class_has_no_recurrence():
    """The base class has no recurrence."""
    with pytest.raises(NotImplementedError):
        Baseline(1, 2, 3)(torch.rand(1, 1, 1))
    with pytest.raises(NotImplementedError):
        Baseline.count(1, 2, 3)
