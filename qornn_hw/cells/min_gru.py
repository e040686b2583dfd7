"""minGRU (Feng et al. 2024): a GRU without a recurrent matrix.

    z = sigmoid(W_z x + b_z)        s = W_s x + b_s        h' = h + z * (s - h)

The new state of a step depends on the old one only through the gate, so training needs no loop.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell, keeping, split
from qornn_hw.cells.graph import CellGraph, Value, sigmoid

__all__ = ["MinGru"]


@dataclass(frozen=True, eq=False)
class MinGru(Cell):
    """A minGRU layer of n units on m inputs. Rows: z, then s.

    Attributes:
        weight_ih: (2 n, m).
        bias_ih: (2 n,).
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    bias_ih: NDArray[np.float64]
    initial: NDArray[np.float64] | None = None

    gates = 2

    @classmethod
    def start_fields(cls, times: NDArray[np.float64]) -> dict[str, Any]:
        """Return biases of z so that it is 1 / t."""
        return {"bias_ih": np.concatenate([-keeping(times), np.zeros_like(times)])}

    def slowed(self, factor: float) -> Self:
        """Return the cell with biases of z that are smaller by log(factor)."""
        return replace(self, bias_ih=self.bias_ih - np.repeat([np.log(factor), 0.0], self.units))

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        w_z, w_s = split(self.weight_ih, 2)
        b_z, b_s = split(self.bias_ih, 2)
        h = graph.state("h", self.units, self.initial)
        z = sigmoid(graph.linear(w_z, graph.input) + b_z).named("z")
        d = (graph.linear(w_s, graph.input) + b_s - h).named("d")
        graph.assign(h, (h + (z * d).named("zd")).named("new"))
        return h
