"""A linear recurrence: ``h' = W x + U h + b``.

A relu follows it, in front of the readout or in a dense layer; without one the network would compute a single
matrix. The last state is one product with the inputs of all steps, so a training needs no loop over them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, Value

__all__ = ["LinearUnits"]


@dataclass(frozen=True, eq=False)
class LinearUnits(Cell):
    """A layer of n linear units on m inputs.

    Attributes:
        weight_ih: W, (n, m).
        weight_hh: U, (n, n).
        bias: b, (n,).
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    bias: NDArray[np.float64]
    initial: NDArray[np.float64] | None = None

    input_biases = ("bias",)
    linear = True
    recurrent_fields = ("weight_hh", "bias")

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units, self.initial)
        pre = graph.linear(self.weight_ih, graph.input) + graph.linear(self.weight_hh, h)
        graph.assign(h, (pre + self.bias).named("new"))
        return h
