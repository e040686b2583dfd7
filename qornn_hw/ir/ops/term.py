"""A term of a ``MatVec``: a matrix of weights and the vector or index that it is multiplied with."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import Evaluator, IntArray, check_name, check_number, integers

__all__ = ["TERM_SHIFT_MAX", "Term", "dense_product", "exact_float", "product_interval"]

WEIGHT_BITS_MAX = 8
ONE_HOT_WEIGHT_BITS_MAX = 32
TERM_SHIFT_MAX = 31
FLOAT32_EXACT, FLOAT64_EXACT = 1 << 24, 1 << 53


@dataclass(frozen=True, eq=False)
class Term:
    """``(weights @ value) << shift``, or of a one-hot value x ``weights[:, x] << shift``.

    Attributes:
        value: the name of the vector, or of the index.
        weights: (rows, columns). One bit means the two values -1 and +1.
        bits: of a weight, 1 to 8; of a one-hot term 1 to 32.
        shift: left shift, 0 to 31.
        one_hot: whether the value is the index of a column. An index past the last column adds nothing.
    """

    value: str
    weights: IntArray
    bits: int
    shift: int = 0
    one_hot: bool = False

    def __post_init__(self) -> None:
        check_name("value", self.value)
        if type(self.one_hot) is not bool:
            raise FormatError(f"one_hot must be true or false, not {self.one_hot!r:.80}")
        most = ONE_HOT_WEIGHT_BITS_MAX if self.one_hot else WEIGHT_BITS_MAX
        check_number("bits", self.bits, 1, most)
        check_number("shift", self.shift, 0, TERM_SHIFT_MAX)
        one_bit = self.bits == 1
        form = IntFormat(self.bits, signed=True)
        low, high = (-1, 1) if one_bit else (form.min, form.max)
        weights = integers("weights", self.weights, (None, None), low, high)
        if one_bit and not np.all(weights):
            raise FormatError("weights of 1 bit must hold only -1 and +1, not 0")
        object.__setattr__(self, "weights", weights)

    @property
    def rows(self) -> int:
        """Rows of the weights."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """Columns of the weights: entries of the vector, or symbols."""
        return int(self.weights.shape[1])

    @cached_property
    def symbol_columns(self) -> IntArray:
        """``weights.T << shift`` with a row of zeros below, which every index past the last column reads."""
        zeros = np.zeros((1, self.rows), dtype=np.int64)
        return np.vstack([self.weights.T << self.shift, zeros])

    @property
    def stored_bits(self) -> int:
        """Bits that the weights take."""
        return int(self.weights.size) * self.bits

    def product(self, value: IntArray) -> IntArray:
        """Return the term of vectors (batch, columns), or of indices (batch,)."""
        if self.one_hot:
            chosen: IntArray = self.symbol_columns[np.minimum(value, self.columns)]
            return chosen
        return (value @ self.weights.T) << self.shift

    def prepare(self, value: Interval) -> Evaluator:
        """Return a fast :meth:`product` that is exact for operands within the interval."""
        if self.one_hot:
            return self.product
        return dense_product(self.weights, self.shift, value.magnitude)

    def interval(self, value: Interval) -> Interval:
        """Return the exact interval of the term for every vector of entries in ``value.hull``."""
        if self.one_hot:
            low, high = np.minimum(self.weights.min(axis=1), 0), np.maximum(self.weights.max(axis=1), 0)
            return Interval(low.astype(object) << self.shift, high.astype(object) << self.shift)
        return product_interval(self.weights, self.shift, value)

    def inner(self, value: Interval) -> Interval:
        """Return an interval of the term and of the integers on the way to it."""
        return self.interval(value)

    def changed(self) -> Self:
        """Return a term whose every weight is another one."""
        return replace(self, weights=-self.weights if self.bits == 1 else ~self.weights)


def product_interval(weights: IntArray, shift: int, value: Interval) -> Interval:
    """Return the exact interval of ``(weights @ v) << shift`` for every v of entries in ``value.hull``."""
    positive = np.maximum(weights, 0).sum(axis=1).astype(object)
    negative = np.minimum(weights, 0).sum(axis=1).astype(object)
    least, most = value.least, value.most
    return Interval(
        (positive * least + negative * most) << shift,
        (positive * most + negative * least) << shift,
    )


def exact_float(weights: IntArray, largest: int) -> type[np.floating[Any]]:
    """Return the floating-point type whose matrix products with ``weights`` are exact.

    The sum of any of the products of a row, in any order, is an integer of at most
    ``sum_j |w_ij| * largest``. float32 holds each such integer below 2**24, float64 below 2**53.

    Args:
        weights: integers (rows, columns).
        largest: the largest magnitude of an entry of the vectors.
    """
    row_sums = np.abs(weights).sum(axis=1)
    return np.float32 if max(int(row_sums.max()) * largest, largest) < FLOAT32_EXACT else np.float64


def dense_product(weights: IntArray, shift: int, largest: int) -> Evaluator:
    """Return ``v -> (v @ weights.T) << shift`` by a floating-point product that is exact.

    Args:
        weights: (rows, columns).
        shift: left shift.
        largest: the largest magnitude of an entry of a vector.
    """
    # A power of two only moves the exponent, so the shifted product is as exact as the product.
    kind = exact_float(weights, largest)
    factors: NDArray[np.floating[Any]] = np.ascontiguousarray(weights.T.astype(kind) * kind(2**shift))

    def product(value: IntArray) -> IntArray:
        result: IntArray = (value.astype(kind) @ factors).astype(np.int64)
        return result

    return product
