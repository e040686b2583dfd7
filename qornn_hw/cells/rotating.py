"""A linear recurrence that turns slowly: ``h' = W x + U h + d * h + b``, the units' own weights d apart.

The recurrent matrix ``U + diag(d)`` starts as small rotations in a random basis. Long sequences in their
natural order need such a matrix. Its diagonal is near 1, and with it in U a step of few bits would leave
nothing of the other weights. So d is a factor of the requantizer. A relu follows the layer, in front of the
readout or in a dense layer.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, Value

__all__ = ["RotatingUnits", "rotations"]


def rotations(angles: NDArray[np.float64], units: int) -> NDArray[np.float64]:
    """Return the matrix (units, units) that rotates each pair of units by an angle; an odd last one stays.

    >>> rotations(np.array([0.0]), 3).tolist()
    [[1.0, -0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    matrix = np.eye(units)
    even, odd = np.arange(0, units - 1, 2), np.arange(1, units, 2)
    matrix[even, even] = matrix[odd, odd] = np.cos(angles)
    matrix[even, odd], matrix[odd, even] = -np.sin(angles), np.sin(angles)
    return matrix


@dataclass(frozen=True, eq=False)
class RotatingUnits(Cell):
    """A layer of n linear units on m inputs.

    Attributes:
        weight_ih: W, (n, m).
        weight_hh: U, (n, n).
        own: d, (n,).
        bias: b, (n,).
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    own: NDArray[np.float64]
    bias: NDArray[np.float64]
    initial: NDArray[np.float64] | None = None

    input_biases = ("bias",)
    linear = True
    recurrent_fields = ("weight_hh", "own", "bias")

    @classmethod
    def start(
        cls, inputs: int, units: int, random: np.random.Generator, memory: float = 1.0, **given: Any
    ) -> Self:
        """Return a cell to be trained (:meth:`Cell.start`), with ``Q R Q^T`` as the recurrent matrix.

        R rotates pairs of units by angles ``tan(a / 2)``, a uniform in [0, pi / 2), as in expRNN (arXiv
        1901.08428); Q is a random orthogonal matrix.
        """
        basis = np.linalg.qr(random.normal(size=(units, units)))[0]
        angles = np.tan(random.uniform(0.0, np.pi / 4, units // 2))
        matrix = basis @ rotations(angles, units) @ basis.T
        own = np.diag(matrix).copy()
        made = {"weight_hh": matrix - np.diag(own), "own": own}
        return super().start(inputs, units, random, memory, **made | given)

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units, self.initial)
        pre = graph.linear(self.weight_ih, graph.input) + graph.linear(self.weight_hh, h)
        graph.assign(h, (pre + self.own * h + self.bias).named("new"))
        return h
