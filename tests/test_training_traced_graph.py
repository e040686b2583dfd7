"""Graphs of tensors."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, Linear, Sum, Value, tanh
from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import FormatError
from qornn_hw.training.traced_graph import TracedGraph, trace


@pytest.mark.parametrize("name", CELLS)
def test_a_traced_graph_has_the_names_of_the_cell_s_own(name):
    """Values, their kinds and their order are the same, so that units are found by name."""
    cell = CELLS[name].start(3, 4, np.random.default_rng(0))
    graph = trace(cell, {"weight_ih": torch.tensor(cell.weight_ih, dtype=torch.float32)})
    assert [(v.name, type(v)) for v in graph.values] == [(v.name, type(v)) for v in cell.graph.values]
    assert graph.output == cell.output


def test_constants_are_tensors_with_gradients():
    """A weight and a bias of a traced graph depend on the parameters."""
    cell = CELLS["gru"].start(3, 4, np.random.default_rng(0))
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    graph = trace(cell, {name: torch.tensor(vars(cell)[name], requires_grad=True) for name in names})
    constants = [v.weight for v in graph.values if isinstance(v, Linear)]
    constants += [v.bias for v in graph.values if isinstance(v, Sum) and v.name in ("q",)]
    assert len(constants) == 7
    assert all(constant.requires_grad for constant in constants)


@dataclass(frozen=True, eq=False)
class WithNumpy(Cell):
    """A cell that leaves the operators."""

    weight_ih: NDArray[np.float64]

    def build(self, graph: CellGraph) -> Value:
        """Write the step with a function of NumPy."""
        h = graph.state("h", self.units)
        graph.assign(h, tanh(graph.linear(np.exp(self.weight_ih), graph.input)))
        return h


def test_a_cell_that_computes_with_numpy_is_refused():
    """The message says what a cell must do to be trained."""
    with pytest.raises(FormatError, match=r"^WithNumpy.build must compute with operators on its fields"):
        trace(WithNumpy(np.ones((2, 3))), {"weight_ih": torch.ones(2, 3, requires_grad=True)})


@pytest.mark.parametrize("shape", [(4,), (1, 3)])
def test_a_constant_of_another_shape_is_refused(shape):
    """A constant is one number or one for each unit."""
    with pytest.raises(FormatError, match=r"^a constant must be a number or \(3,\) of them"):
        TracedGraph(2).constant(torch.zeros(shape), 3)


@dataclass(frozen=True, eq=False)
class Kept(Cell):
    """A cell that keeps what it has computed from a field, and has a number that is no parameter."""

    weight_ih: NDArray[np.float64]
    alpha: float
    repeats: int = 2

    @cached_property
    def rest(self):
        """What alpha leaves."""
        return 1 - self.alpha

    def build(self, graph: CellGraph) -> Value:
        """Write the step."""
        h = graph.state("h", self.units)
        total = self.rest * h
        for _ in range(self.repeats):
            total = total + self.alpha * graph.linear(self.weight_ih, graph.input)
        graph.assign(h, tanh(total))
        return h


def test_what_a_cell_has_kept_is_computed_from_the_tensors():
    """A cached property of the given cell is none of the traced one."""
    cell = Kept(np.ones((2, 3)), 0.25)
    assert cell.rest == 0.75 and cell.graph
    graph = trace(cell, {"alpha": torch.tensor(0.5, requires_grad=True)})
    terms = [c for v in graph.values if isinstance(v, Sum) for c, _ in v.terms]
    assert [float(c.detach()) for c in terms] == [0.5, 0.5, 0.5]
    assert all(c.requires_grad for c in terms)
    assert type(cell.repeats) is int
