"""The long short-term memory (Hochreiter & Schmidhuber 1997) with forget gate, without peepholes.

    i, f, o = sigmoid(W x + U h + b) each          g = tanh(W_g x + U_g h + b_g)
    c' = f * c + i * g                             h' = o * tanh(c')

A projection of h is not supported.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell, keeping, split
from qornn_hw.cells.graph import CellGraph, Value, sigmoid, tanh

__all__ = ["Lstm"]


@dataclass(frozen=True, eq=False)
class Lstm(Cell):
    """An LSTM layer of n units on m inputs. Rows are in PyTorch's order: i, f, g, o.

    Attributes:
        weight_ih: (4 n, m).
        weight_hh: (4 n, n).
        bias_ih: (4 n,).
        bias_hh: (4 n,).
        initial: h before the first step, (n,) or None for zeros.
        initial_cell: c before the first step, likewise.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    bias_ih: NDArray[np.float64]
    bias_hh: NDArray[np.float64]
    initial: NDArray[np.float64] | None = None
    initial_cell: NDArray[np.float64] | None = None

    gates = 4

    @classmethod
    def start_fields(cls, times: NDArray[np.float64]) -> dict[str, Any]:
        """Return biases so that f is 1 - 1 / t and i is 1 / t."""
        zeros, gate = np.zeros_like(times), keeping(times)
        return {"bias_ih": np.concatenate([-gate, gate, zeros, zeros])}

    def slowed(self, factor: float) -> Self:
        """Return the cell with biases of f that are larger, and of i that are smaller, by log(factor)."""
        change = np.log(factor)
        return replace(self, bias_ih=self.bias_ih + np.repeat([-change, change, 0.0, 0.0], self.units))

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        x, h = graph.input, graph.state("h", self.units, self.initial)
        c = graph.state("c", self.units, self.initial_cell)
        i, f, g, o = (
            function(graph.linear(w, x) + graph.linear(u, h) + b).named(name)
            for name, function, w, u, b in zip(
                "ifgo",
                (sigmoid, sigmoid, tanh, sigmoid),
                split(self.weight_ih, 4),
                split(self.weight_hh, 4),
                split(self.bias_ih + self.bias_hh, 4),
                strict=True,
            )
        )
        kept, added = (f * c).named("fc"), (i * g).named("ig")
        cell = (kept + added).named("new_c")
        graph.assign(c, cell)
        graph.assign(h, (o * tanh(cell).named("t")).named("new"))
        return h
