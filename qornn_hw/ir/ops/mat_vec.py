"""``MatVec``: the accumulators of a row of units, sums of products of weights with values."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.hadamard import HadamardTerm
from qornn_hw.ir.ops.operation import Evaluator, IntArray, Operation, integers
from qornn_hw.ir.ops.term import Term

__all__ = ["BIAS_BITS_MAX", "AnyTerm", "MatVec"]

BIAS_BITS_MAX = 40

AnyTerm = Term | HadamardTerm


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
    terms: tuple[AnyTerm, ...]
    bias: IntArray

    def check(self) -> None:
        """Refuse terms that do not fit together, or a bias of another shape or range."""
        if not self.terms:
            raise FormatError(f"{self.name}: terms must hold at least one, not none")
        rows = self.terms[0].rows
        for term in self.terms[1:]:
            if term.rows != rows:
                shape, wanted = (term.rows, term.columns), (rows, term.columns)
                raise FormatError(
                    f"{self.name}: weights of {term.value} must have shape {wanted}, not {shape}"
                )
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
            total += term.product(value)
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
            *(term.inner(value) for term, value in zip(self.terms, operands, strict=True)),
        ):
            low, high = low + np.minimum(one.low, 0), high + np.maximum(one.high, 0)
        return Interval(low, high)

    def prepare(self, *operands: Interval) -> Evaluator:
        """Return the products by floating-point matrix products that are exact."""
        parts = [term.prepare(value) for term, value in zip(self.terms, operands, strict=True)]
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
