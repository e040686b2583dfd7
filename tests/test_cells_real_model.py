"""The float models of the cells are those of PyTorch and of the papers' equations."""

import numpy as np
import pytest
import torch
from real_cells import CELLS, real_cell

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.fastgrnn import FastGrnn
from qornn_hw.cells.gru import Gru
from qornn_hw.cells.leaky import Leaky
from qornn_hw.cells.lstm import Lstm
from qornn_hw.cells.min_gru import MinGru
from qornn_hw.cells.real_model import run_cell
from qornn_hw.cells.rnn import Rnn
from qornn_hw.errors import FormatError

UNITS, INPUTS = 5, 3


def arrays_of(layer):
    """Return weights and biases of a torch layer."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return [getattr(layer, name).detach().numpy() for name in names]


def plain(w, u, b, c):
    """Return a plain layer, whose biases are one."""
    return Rnn(w, u, b + c)


@pytest.mark.parametrize(
    ("made", "cell"), [(torch.nn.GRU, Gru), (torch.nn.LSTM, Lstm), (torch.nn.RNN, plain)]
)
def test_equal_to_torch(made, cell):
    """States of 20 steps are those of `torch.nn.GRU`, `LSTM` and `RNN`, to 1e-12."""
    torch.manual_seed(1)
    layer = made(INPUTS, UNITS, batch_first=True, dtype=torch.float64)
    x = torch.randn(4, 20, INPUTS, dtype=torch.float64)
    wanted = layer(x)[0].detach().numpy()
    _, new = run_cell(cell(*arrays_of(layer)).graph, x.numpy())
    assert np.abs(new["h"] - wanted).max() < 1e-12


def test_a_swapped_gate_is_seen():
    """With the rows of r and z exchanged the states differ."""
    torch.manual_seed(1)
    layer = torch.nn.GRU(INPUTS, UNITS, batch_first=True, dtype=torch.float64)
    x = torch.randn(4, 20, INPUTS, dtype=torch.float64)
    swapped = [np.concatenate([a[UNITS : 2 * UNITS], a[:UNITS], a[2 * UNITS :]]) for a in arrays_of(layer)]
    _, new = run_cell(Gru(*swapped).graph, x.numpy())
    assert np.abs(new["h"] - layer(x)[0].detach().numpy()).max() > 0.01


def test_reset_before():
    """The GRU of the paper: the reset gate multiplies the state before the product."""
    rng = np.random.default_rng(2)
    cell = real_cell("gru, reset before", UNITS, INPUTS, rng)
    x = rng.normal(size=(1, 6, INPUTS))
    _, new = run_cell(cell.graph, x)

    def s(v):
        return 1 / (1 + np.exp(-v))

    w, u, b = (
        np.split(cell.weight_ih, 3),
        np.split(cell.weight_hh, 3),
        np.split(cell.bias_ih + cell.bias_hh, 3),
    )
    h = np.zeros(UNITS)
    for t in range(6):
        r, z = (s(w[k] @ x[0, t] + u[k] @ h + b[k]) for k in (0, 1))
        n = np.tanh(w[2] @ x[0, t] + u[2] @ (r * h) + b[2])
        h = (1 - z) * n + z * h
        assert np.allclose(new["h"][0, t], h, atol=1e-12)


def test_fastgrnn():
    """Gate and candidate share one product."""
    rng = np.random.default_rng(3)
    cell: FastGrnn = real_cell("fastgrnn", UNITS, INPUTS, rng)
    x = rng.normal(size=(1, 6, INPUTS))
    _, new = run_cell(cell.graph, x)
    h = np.zeros(UNITS)
    for t in range(6):
        pre = cell.weight_ih @ x[0, t] + cell.weight_hh @ h
        z, s = 1 / (1 + np.exp(-pre - cell.bias_gate)), np.tanh(pre + cell.bias_update)
        h = (cell.zeta * (1 - z) + cell.nu) * s + z * h
        assert np.allclose(new["h"][0, t], h, atol=1e-12)


def test_min_gru_and_leaky():
    """One step by hand: z = 1/2 moves half way; a leak of 3/4 keeps three quarters."""
    cell = MinGru(np.array([[0.0], [2.0]]), np.zeros(2), initial=np.array([1.0]))
    assert run_cell(cell.graph, np.ones((1, 1, 1)))[1]["h"].item() == pytest.approx(1.5)
    leaky = Leaky(np.array([[2.0]]), np.zeros((1, 1)), np.zeros(1), 0.75, "relu", initial=np.array([4.0]))
    assert run_cell(leaky.graph, np.ones((1, 1, 1)))[1]["h"].item() == pytest.approx(3.5)


@pytest.mark.parametrize("name", CELLS)
def test_an_index_is_a_one_hot_vector(name):
    """Indices give what one-hot vectors give; an index beyond the last symbol gives zeros."""
    rng = np.random.default_rng(4)
    cell: Cell = real_cell(name, UNITS, INPUTS, rng)
    index = rng.integers(0, 4, (3, 7))
    one_hot = np.eye(4)[index][..., :INPUTS]
    assert np.allclose(run_cell(cell.graph, index)[1]["h"], run_cell(cell.graph, one_hot)[1]["h"])


FAILURES = {
    "rows that are no gates": (
        lambda: Gru(np.ones((4, 2)), np.ones((4, 1)), np.ones(4), np.ones(4)),
        r"^weight_ih must be a matrix of 3 rows a unit, not of shape \(4, 2\)$",
    ),
    "a square matrix of another size": (
        lambda: Lstm(np.ones((8, 2)), np.ones((8, 3)), np.ones(8), np.ones(8)),
        r"^weight_hh must have shape \(8, 2\), not \(8, 3\)$",
    ),
    "a bias of another size": (
        lambda: MinGru(np.ones((4, 2)), np.ones(2)),
        r"^bias_ih must have shape \(4,\), not \(2,\)$",
    ),
    "an initial state of another size": (
        lambda: MinGru(np.ones((4, 2)), np.ones(4), initial=np.zeros(3)),
        r"^initial must have shape \(2,\), not \(3,\)$",
    ),
    "a weight that is no number": (
        lambda: MinGru(np.full((4, 2), np.nan), np.ones(4)),
        r"^weight_ih must hold finite numbers$",
    ),
    "another activation": (
        lambda: Leaky(np.ones((1, 1)), np.ones((1, 1)), np.ones(1), 0.5, "gelu").graph,
        r"^activation must be one of tanh, relu, hard_tanh, not 'gelu'$",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name):
    """One line says what must be what."""
    make, message = FAILURES[name]
    with pytest.raises(FormatError, match=message):
        make()
