"""A dense layer without memory: ``h' = relu(W x + b)``, between recurrent layers and the readout."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, Value, relu

__all__ = ["Dense"]


@dataclass(frozen=True, eq=False)
class Dense(Cell):
    """A layer of n units on m inputs; the state is what the next layer reads, and is never read again.

    Attributes:
        weight_ih: W, (n, m).
        bias: b, (n,).
    """

    weight_ih: NDArray[np.float64]
    bias: NDArray[np.float64]

    input_biases = ("bias",)
    has_memory = False

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units)
        graph.assign(h, relu(graph.linear(self.weight_ih, graph.input) + self.bias).named("new"))
        return h
