"""``MatVec``: the accumulators of a row of units, sums of products of weights with values."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import (
    Evaluator,
    IntArray,
    Operation,
    check_name,
    check_number,
    check_shape,
    integers,
)

__all__ = ["BIAS_BITS_MAX", "TERM_SHIFT_MAX", "MatVec", "Term", "exact_float"]

WEIGHT_BITS_MAX = 8
ONE_HOT_WEIGHT_BITS_MAX = 32
TERM_SHIFT_MAX = 31
BIAS_BITS_MAX = 40
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

    def interval(self, value: Interval) -> Interval:
        """Return the exact interval of the term for every vector of entries in ``value.hull``."""
        if self.one_hot:
            low, high = np.minimum(self.weights.min(axis=1), 0), np.maximum(self.weights.max(axis=1), 0)
            return Interval(low.astype(object) << self.shift, high.astype(object) << self.shift)
        positive = np.maximum(self.weights, 0).sum(axis=1).astype(object)
        negative = np.minimum(self.weights, 0).sum(axis=1).astype(object)
        least, most = value.least, value.most
        return Interval(
            (positive * least + negative * most) << self.shift,
            (positive * most + negative * least) << self.shift,
        )


@dataclass(frozen=True, eq=False, repr=False)
class MatVec(Operation):
    """``acc = sum over terms of (weights @ value << shift) + bias``; nothing rounds, saturates or wraps.

    Attributes:
        terms: at least one; all have as many rows.
        bias: (rows,), 40 bits, signed.

    >>> w = np.array([[2, -3], [1, 4]])
    >>> op = MatVec("acc", (Term("h", w, bits=4), Term("x", w, bits=4, shift=1)), np.array([1, -2]))
    >>> op.evaluate(np.array([[0, 3]]), np.array([[1, 1]])).tolist()
    [[-10, 20]]
    """

    op: ClassVar[str] = "mat_vec"
    terms: tuple[Term, ...]
    bias: IntArray

    def check(self) -> None:
        """Refuse terms that do not fit together, or a bias of another shape or range."""
        if not self.terms:
            raise FormatError(f"{self.name}: terms must hold at least one, not none")
        rows = self.terms[0].rows
        for term in self.terms[1:]:
            check_shape(f"{self.name}: weights of {term.value}", term.weights, (rows, term.columns))
        form = IntFormat(BIAS_BITS_MAX, signed=True)
        bias = integers(f"{self.name}: bias", self.bias, (rows,), form.min, form.max)
        object.__setattr__(self, "bias", bias)

    @property
    def rows(self) -> int:
        """Accumulators."""
        return self.terms[0].rows

    @property
    def operands(self) -> tuple[str, ...]:
        """The terms' values."""
        return tuple(term.value for term in self.terms)

    def size(self, *sizes: int) -> int:
        """Return the rows."""
        for term, size in zip(self.terms, sizes, strict=True):
            if size != term.columns:
                raise FormatError(f"{self.name}: {term.value} must have {term.columns} entries, not {size}")
        return self.rows

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the accumulators, (batch, rows), from vectors (batch, columns) and indices (batch,)."""
        total: IntArray = np.tile(self.bias, (len(operands[0]), 1))
        for term, value in zip(self.terms, operands, strict=True):
            if term.one_hot:
                total += term.symbol_columns[np.minimum(value, term.columns)]
            else:
                total += (value @ term.weights.T) << term.shift
        return total

    def interval(self, *operands: Interval) -> Interval:
        """Return the exact interval of each accumulator."""
        low = high = self.bias.astype(object)
        for term, value in zip(self.terms, operands, strict=True):
            one = term.interval(value)
            low, high = low + one.low, high + one.high
        return Interval(low, high)

    def inner(self, *operands: Interval) -> Interval:
        """Return an interval of each partial sum, in whatever order the terms are added."""
        low = high = np.zeros(self.rows, dtype=object)
        for one in (
            Interval.of_values(self.bias),
            *(term.interval(value) for term, value in zip(self.terms, operands, strict=True)),
        ):
            low, high = low + np.minimum(one.low, 0), high + np.maximum(one.high, 0)
        return Interval(low, high)

    def prepare(self, *operands: Interval) -> Evaluator:
        """Return the products by floating-point matrix products that are exact (:func:`exact_float`)."""
        parts = [
            _lookup(term) if term.one_hot else _product(term, value.magnitude)
            for term, value in zip(self.terms, operands, strict=True)
        ]
        bias = self.bias if np.any(self.bias) else None
        if len(parts) == 1 and bias is None:
            return parts[0]

        def evaluate(*values: IntArray) -> IntArray:
            total = parts[0](values[0])
            for part, value in zip(parts[1:], values[1:], strict=True):
                total += part(value)
            if bias is not None:
                total += bias
            return total

        return evaluate


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


def _product(term: Term, largest: int) -> Evaluator:
    # A power of two only moves the exponent, so the shifted product is as exact as the product.
    kind = exact_float(term.weights, largest)
    factors: NDArray[np.floating[Any]] = np.ascontiguousarray(
        term.weights.T.astype(kind) * kind(2**term.shift)
    )

    def product(value: IntArray) -> IntArray:
        result: IntArray = (value.astype(kind) @ factors).astype(np.int64)
        return result

    return product


def _lookup(term: Term) -> Evaluator:
    columns, last = term.symbol_columns, term.columns
    return lambda value: columns[np.minimum(value, last)]
