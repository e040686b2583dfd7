"""The plain recurrent layer (Elman 1990): ``h' = f(W x + U h + b)``.

A network of one such layer has a form of its own (:mod:`qornn_hw.cells.elman_network`).
This cell is for stacks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.fastgrnn import candidate
from qornn_hw.cells.graph import CellGraph, Value

__all__ = ["Rnn"]


@dataclass(frozen=True, eq=False)
class Rnn(Cell):
    """A layer of n units on m inputs.

    Attributes:
        weight_ih: W, (n, m).
        weight_hh: U, (n, n).
        bias: b, (n,).
        activation: f: tanh, relu or hard_tanh.
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    bias: NDArray[np.float64]
    activation: str = "tanh"
    initial: NDArray[np.float64] | None = None

    input_biases = ("bias",)

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units, self.initial)
        pre = graph.linear(self.weight_ih, graph.input) + graph.linear(self.weight_hh, h) + self.bias
        graph.assign(h, candidate(self.activation)(pre).named("new"))
        return h
