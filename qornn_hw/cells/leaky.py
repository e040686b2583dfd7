"""Leaky units: a first-order low-pass filter in front of the state.

    h' = a * h + (1 - a) * f(W x + U h + b)

a is a number, or one for each unit, in 0 to 1.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.fastgrnn import candidate
from qornn_hw.cells.graph import CellGraph, Value

__all__ = ["Leaky"]


@dataclass(frozen=True, eq=False)
class Leaky(Cell):
    """A layer of n leaky units on m inputs.

    Attributes:
        weight_ih: W, (n, m).
        weight_hh: U, (n, n).
        bias: b, (n,).
        leak: a, a number or (n,).
        activation: f: tanh, relu or hard_tanh.
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    bias: NDArray[np.float64]
    leak: float | NDArray[np.float64]
    activation: str = "tanh"
    initial: NDArray[np.float64] | None = None

    input_biases = ("bias",)

    @classmethod
    def start_fields(cls, times: NDArray[np.float64]) -> dict[str, Any]:
        """Return leaks of 1 - 1 / t."""
        return {"leak": 1.0 - 1.0 / times}

    def slowed(self, factor: float) -> Self:
        """Return the cell with a ** (1 / factor): ``factor`` steps keep what one kept."""
        return replace(self, leak=np.clip(self.leak, 0.0, 1.0) ** (1.0 / factor))

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units, self.initial)
        pre = graph.linear(self.weight_ih, graph.input) + graph.linear(self.weight_hh, h)
        s = candidate(self.activation)(pre + self.bias).named("s")
        graph.assign(h, ((1 - self.leak) * s + self.leak * h).named("new"))
        return h
