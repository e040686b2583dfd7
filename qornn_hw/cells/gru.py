"""The gated recurrent unit (Cho et al. 2014), in both forms of its reset gate.

    r = sigmoid(W_r x + U_r h + b_r)          z = sigmoid(W_z x + U_z h + b_z)
    n = tanh(W_n x + b_n + r * (U_n h + c_n))          reset gate behind the product
    n = tanh(W_n x + b_n + U_n (r * h) + c_n)          in front of it
    h' = n + z * (h - n)

PyTorch and Keras with ``reset_after`` have the first form. The paper and ONNX with ``linear_before_reset``
0 have the second. c_n stays apart from b_n in the first form, because the gate multiplies it.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell, keeping, split
from qornn_hw.cells.graph import CellGraph, Value, sigmoid, tanh

__all__ = ["Gru"]


@dataclass(frozen=True, eq=False)
class Gru(Cell):
    """A GRU layer of n units on m inputs. Rows are in PyTorch's order: r, z, n.

    Attributes:
        weight_ih: (3 n, m).
        weight_hh: (3 n, n).
        bias_ih: (3 n,).
        bias_hh: (3 n,).
        reset_after: whether the reset gate stands behind the product.
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    bias_ih: NDArray[np.float64]
    bias_hh: NDArray[np.float64]
    reset_after: bool = True
    initial: NDArray[np.float64] | None = None

    gates = 3

    @classmethod
    def start_fields(cls, times: NDArray[np.float64]) -> dict[str, Any]:
        """Return biases of z so that a unit forgets within its time, sigmoid(log(t - 1)) = 1 - 1 / t."""
        zeros = np.zeros_like(times)
        return {"bias_ih": np.concatenate([zeros, keeping(times), zeros])}

    def slowed(self, factor: float) -> Self:
        """Return the cell with biases of z that are larger by log(factor)."""
        return replace(self, bias_ih=self.bias_ih + np.repeat([0.0, np.log(factor), 0.0], self.units))

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        w_r, w_z, w_n = split(self.weight_ih, 3)
        u_r, u_z, u_n = split(self.weight_hh, 3)
        b_r, b_z, b_n = split(self.bias_ih, 3)
        c_r, c_z, c_n = split(self.bias_hh, 3)
        x, h = graph.input, graph.state("h", self.units, self.initial)
        r = sigmoid(graph.linear(w_r, x) + graph.linear(u_r, h) + (b_r + c_r)).named("r")
        z = sigmoid(graph.linear(w_z, x) + graph.linear(u_z, h) + (b_z + c_z)).named("z")
        drive = graph.linear(w_n, x) + b_n
        if self.reset_after:
            q = (graph.linear(u_n, h) + c_n).named("q")
            n = tanh(drive + (r * q).named("rq"))
        else:
            n = tanh(drive + graph.linear(u_n, (r * h).named("rh")) + c_n)
        n.named("n")
        d = (h - n).named("d")
        graph.assign(h, (n + (z * d).named("zd")).named("new"))
        return h
