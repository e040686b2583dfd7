"""A linear recurrence of signs and Hadamard blocks.

``h' = W x + diag(u) blockdiag(H, ..., H) h / sqrt(block) + b`` is the recurrence of HadamRNN (arXiv
2502.00047): its matrix is exactly orthogonal, with one bit a unit. A relu follows it, in front of the readout
or in a dense layer.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, Value
from qornn_hw.ir.sylvester import block_of

__all__ = ["HadamardUnits"]


@dataclass(frozen=True, eq=False)
class HadamardUnits(Cell):
    """A layer of n linear units on m inputs, whose W has one step, so the requantizer has one factor for it.

    Attributes:
        weight_ih: W, (n, m).
        signs: real numbers with the signs of u, (n,); 0 counts as positive.
        bias: b, (n,).
        initial: the state before the first step, (n,) or None for zeros.
        block: units of a Hadamard block, a power of two that divides n; 0 for the largest.
    """

    weight_ih: NDArray[np.float64]
    signs: NDArray[np.float64]
    bias: NDArray[np.float64]
    initial: NDArray[np.float64] | None = None
    block: int = 0

    input_biases = ("bias",)
    linear = True
    recurrent_fields: ClassVar[tuple[str, ...]] = ("signs", "bias")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "block", block_of(self.units, self.block))

    @classmethod
    def start(
        cls, inputs: int, units: int, random: np.random.Generator, memory: float = 1.0, **given: Any
    ) -> Self:
        """Return a cell to be trained (:meth:`Cell.start`), with as many positive as negative signs.

        diag(u) and the blocks are involutions. Their product has the eigenvalue 1, and also -1, at least
        ``|sum of u| / 2`` times. In such a direction a constant input adds up over all steps. With balanced
        signs there is usually none.
        """
        sizes = np.abs(random.normal(size=units)) / np.sqrt(units)
        signs = np.where(random.permutation(units) < units // 2, -1.0, 1.0)
        return super().start(inputs, units, random, memory, **{"signs": sizes * signs} | given)

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units, self.initial)
        driven = graph.linear(self.weight_ih, graph.input, one_step=True)
        pre = driven + graph.hadamard(self.signs, self.block, h)
        graph.assign(h, (pre + self.bias).named("new"))
        return h
