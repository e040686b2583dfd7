"""The cells that can be trained, and the weights that they start with."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell, keeping
from qornn_hw.cells.graph import CellGraph, Value, tanh
from qornn_hw.cells.real_model import run_cell
from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import FormatError

UNGATED = ("rnn", "linear", "rotating", "hadamard", "dense")


def start(name: str, memory: float = 20.0, units: int = 40) -> Cell:
    """Return a cell of 3 inputs at the start of a training."""
    return CELLS[name].start(3, units, np.random.default_rng(0), memory)


@pytest.mark.parametrize("name", CELLS)
def test_a_start_has_the_shape_and_is_the_same_for_a_seed(name):
    """Every cell of the registry starts, with n units on m inputs, the same numbers for the same seed."""
    cell, again = start(name), start(name)
    assert (cell.units, cell.inputs) == (40, 3)
    for key, value in vars(cell).items():
        assert np.array_equal(value, vars(again)[key])


@pytest.mark.parametrize("name", [name for name in CELLS if name not in ("min_gru", "dense", "hadamard")])
def test_the_recurrent_matrix_is_orthogonal_gate_by_gate(name):
    """Each gate's W has singular values of 1."""
    cell = start(name)
    own = np.diag(getattr(cell, "own", np.zeros(40)))
    for block in np.split(cell.weight_hh, cell.gates):
        block = block + own
        np.testing.assert_allclose(block @ block.T, np.eye(40), atol=1e-12)


@pytest.mark.parametrize("name", ["gru", "lstm", "fastgrnn", "leaky", "min_gru"])
def test_a_start_remembers_longer_with_a_longer_memory(name):
    """Where nothing comes in, a longer memory keeps more of the first state after 15 steps."""

    def kept(memory: float) -> float:
        cell = start(name, memory)
        fields = {k: v for k, v in vars(cell).items() if k != "graph"}
        fields |= {k: np.zeros_like(v) for k, v in fields.items() if k.startswith("weight")}
        ones = {"initial": np.ones(40)} | ({"initial_cell": np.ones(40)} if name == "lstm" else {})
        states = run_cell(type(cell)(**fields | ones).graph, np.zeros((1, 15, 3)))[1]
        return float(states["c" if name == "lstm" else "h"][0, -1].mean())

    assert kept(100.0) > 1.5 * kept(6.0) > 0.0


def test_a_gate_keeps_what_its_time_says():
    """The sigmoid of the bias is 1 - 1 / t."""
    times = np.array([2.0, 5.0, 100.0])
    np.testing.assert_allclose(1 / (1 + np.exp(-keeping(times))), 1 - 1 / times)


@dataclass(frozen=True, eq=False)
class Scaled(Cell):
    """A cell with a field that has no default and no start."""

    weight_ih: NDArray[np.float64]
    gain: float

    def build(self, graph: CellGraph) -> Value:
        """Write the step."""
        h = graph.state("h", self.units)
        graph.assign(h, tanh(self.gain * graph.linear(self.weight_ih, graph.input)))
        return h


def test_a_field_without_a_start_is_named():
    """A newcomer's cell must say how its own fields start."""
    with pytest.raises(FormatError, match=r"^Scaled.start_fields must set every field .*'gain'"):
        Scaled.start(3, 4, np.random.default_rng(0))


@pytest.mark.parametrize("name", UNGATED)
def test_a_cell_without_gates_is_not_slowed(name):
    """It stays as it is."""
    cell = start(name)
    assert cell.slowed(4.0) is cell


@pytest.mark.parametrize("name", [name for name in CELLS if name not in UNGATED])
def test_a_slowed_cell_keeps_longer(name):
    """Without inputs, 40 steps of a cell slowed by 4 are nearly 10 steps of the cell itself."""
    fields = {k: v for k, v in vars(start(name, 12.0)).items() if k != "graph"}
    fields |= {k: np.zeros_like(v) for k, v in fields.items() if k.startswith("weight")}
    ones = {"initial": np.ones(40)} | ({"initial_cell": np.ones(40)} if name == "lstm" else {})
    cell = CELLS[name](**fields | ones)
    state = "c" if name == "lstm" else "h"
    own = run_cell(cell.graph, np.zeros((1, 10, 3)))[1][state][0, -1]
    slowed = run_cell(cell.slowed(4.0).graph, np.zeros((1, 40, 3)))[1][state][0, -1]
    # Units whose time is some steps; one that forgets at once does so slowed, too.
    long = own > 0.15
    assert long.any()
    np.testing.assert_allclose(slowed[long], own[long], rtol=0.3)
