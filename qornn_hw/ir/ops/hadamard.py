"""A term of a ``MatVec`` whose matrix is one of signs and Hadamard blocks."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import Evaluator, IntArray, check_name, check_number, integers
from qornn_hw.ir.ops.term import TERM_SHIFT_MAX, dense_product
from qornn_hw.ir.sylvester import UNITS_MAX, block_of, blocks

__all__ = ["HadamardTerm"]


@dataclass(frozen=True, eq=False)
class HadamardTerm:
    """``(diag(signs) blockdiag(H, ..., H) @ value) << shift``, H Sylvester's matrix of ``block`` units.

    A unit has one bit, its sign. The product takes ``n log2(block)`` additions (:meth:`product`).
    ``weights`` is the same matrix in full, for whoever computes with matrices.

    Attributes:
        value: the name of the vector, of n entries.
        signs: (n,), -1 or +1.
        block: units of a block, a power of two from 2 to 4096 that divides n.
        shift: left shift, 0 to 31.

    >>> term = HadamardTerm("h", np.array([1, -1]), block=2)
    >>> term.product(np.array([[5, 3]])).tolist(), term.weights.tolist()
    ([[8, -2]], [[1, 1], [-1, 1]])
    """

    one_hot: ClassVar[bool] = False

    value: str
    signs: IntArray
    block: int
    shift: int = 0

    def __post_init__(self) -> None:
        check_name("value", self.value)
        check_number("block", self.block, 2, UNITS_MAX)
        check_number("shift", self.shift, 0, TERM_SHIFT_MAX)
        signs = integers("signs", self.signs, (None,), -1, 1)
        if not np.all(signs):
            raise FormatError("signs must hold only -1 and +1, not 0")
        block_of(len(signs), self.block)
        object.__setattr__(self, "signs", signs)

    @property
    def rows(self) -> int:
        """Rows of the matrix."""
        return len(self.signs)

    @property
    def columns(self) -> int:
        """Columns of the matrix, as many as rows."""
        return len(self.signs)

    @property
    def bits(self) -> int:
        """Bits of an entry of ``weights``: 1, or 2 where there are zeros outside the blocks."""
        return 1 if self.block == self.rows else 2

    @property
    def stored_bits(self) -> int:
        """Bits that the matrix takes as it is kept, one a unit."""
        return len(self.signs)

    @cached_property
    def weights(self) -> IntArray:
        """The matrix in full, (n, n), without the shift."""
        full = self.signs[:, None] * blocks(self.rows, self.block)
        full.flags.writeable = False
        return full

    def product(self, value: IntArray) -> IntArray:
        """Return the term of vectors (batch, n), by butterflies."""
        result = value.reshape(len(value), -1, self.block)
        half = 1
        while half < self.block:
            pairs = result.reshape(*result.shape[:2], -1, 2, half)
            upper, lower = pairs[..., 0, :], pairs[..., 1, :]
            result = np.stack([upper + lower, upper - lower], axis=-2).reshape(result.shape)
            half *= 2
        total: IntArray = (result.reshape(value.shape) * self.signs) << self.shift
        return total

    def prepare(self, value: Interval) -> Evaluator:
        """Return :meth:`product` as one exact product of matrices."""
        return dense_product(self.weights, self.shift, value.magnitude)

    def interval(self, value: Interval) -> Interval:
        """Return the exact interval of the term for every vector of entries in ``value.hull``.

        The first row of a block has signs of one kind, each other row as many of both.
        """
        first = np.arange(self.rows) % self.block == 0
        plus = np.where(first, self.block, self.block // 2).astype(object)
        minus = self.block - plus
        low = plus * value.least - minus * value.most
        high = plus * value.most - minus * value.least
        positive, scale = self.signs > 0, 1 << self.shift
        return Interval(
            np.where(positive, low, -high).astype(object) * scale,
            np.where(positive, high, -low).astype(object) * scale,
        )

    def inner(self, value: Interval) -> Interval:
        """Return an interval of the term and of all sums of its butterflies: those of a whole block."""
        most = np.full(self.rows, (self.block * value.magnitude) << self.shift, dtype=object)
        return Interval(-most, most)

    def changed(self) -> Self:
        """Return a term whose every weight is another one."""
        return replace(self, signs=-self.signs)
