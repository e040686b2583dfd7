"""``PiecewiseLinear``: a function of straight pieces whose slopes are shifts and small factors."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from qornn_hw.ir.formats import IntFormat, Rounding, round_shift
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import (
    FORMAT_BITS_MAX,
    Evaluator,
    IntArray,
    Operation,
    check_format,
    check_name,
    check_number,
    check_shape,
    integers,
    round_and_saturate,
)
from qornn_hw.ir.ops.requantize import SHIFT_MAX, check_rounding

__all__ = ["PiecewiseLinear"]

KNOTS_MAX = 64
SLOPE_FACTOR_MAX = 15
SLOPE_SHIFT_MAX = 31
OFFSET_BITS_MAX = 62


@dataclass(frozen=True, eq=False, repr=False)
class PiecewiseLinear(Operation):
    """``saturate(round(((factors_k * value << shifts_k) + offsets_k) / 2**shift))`` on piece k.

    Piece k holds the values that are not below ``knots[k-1]`` and below ``knots[k]``; piece 0 everything
    below the first knot, the last piece everything from the last knot on. The pieces need not meet.

    Attributes:
        value: the operand.
        knots: (K,), ascending, 1 <= K <= 64, 48 bits signed.
        factors: (K + 1,), -15 to 15.
        shifts: (K + 1,), left shifts, 0 to 31.
        offsets: (K + 1,), 62 bits signed.
        shift: right shift, 0 to 47.
        format: of the result.
        rounding: the tie rule.

    >>> relu = PiecewiseLinear.relu("f", "acc")
    >>> relu.evaluate(np.array([[-5, 0, 7]])).tolist()
    [[0, 0, 7]]
    """

    op: ClassVar[str] = "piecewise_linear"
    value: str
    knots: IntArray
    factors: IntArray
    shifts: IntArray
    offsets: IntArray
    shift: int
    format: IntFormat
    rounding: Rounding = Rounding.HALF_UP

    @classmethod
    def relu(cls, name: str, value: str) -> Self:
        """Return ``max(value, 0)``, of at most 48 bits."""
        form = IntFormat(FORMAT_BITS_MAX, signed=True)
        zeros = np.zeros(2, dtype=np.int64)
        return cls(name, value, np.array([0]), np.array([0, 1]), zeros, zeros, 0, form)

    @classmethod
    def clip(cls, name: str, value: str, low: int, high: int) -> Self:
        """Return ``min(max(value, low), high)``: a hard tanh, or a hard sigmoid of a scaled value."""
        form = IntFormat(FORMAT_BITS_MAX, signed=True)
        factors, zeros = np.array([0, 1, 0]), np.zeros(3, dtype=np.int64)
        return cls(name, value, np.array([low, high]), factors, zeros, np.array([low, 0, high]), 0, form)

    def check(self) -> None:
        """Refuse knots that do not rise, pieces of another number, and numbers beyond the limits."""
        check_name(f"{self.name}: value", self.value)
        check_shape(f"{self.name}: knots", self.knots, (None,))
        check_number(f"{self.name}: number of knots", len(self.knots), 1, KNOTS_MAX)
        pieces = len(self.knots) + 1
        knot, offset = IntFormat(FORMAT_BITS_MAX, signed=True), IntFormat(OFFSET_BITS_MAX, signed=True)
        for field, count, low, high in (
            ("knots", pieces - 1, knot.min, knot.max),
            ("factors", pieces, -SLOPE_FACTOR_MAX, SLOPE_FACTOR_MAX),
            ("shifts", pieces, 0, SLOPE_SHIFT_MAX),
            ("offsets", pieces, offset.min, offset.max),
        ):
            array = integers(f"{self.name}: {field}", getattr(self, field), (count,), low, high)
            object.__setattr__(self, field, array)
        for k in np.flatnonzero(np.diff(self.knots) <= 0):
            check_number(
                f"{self.name}: knots[{k + 1}]", int(self.knots[k + 1]), int(self.knots[k]) + 1, knot.max
            )
        check_number(f"{self.name}: shift", self.shift, 0, SHIFT_MAX)
        check_format(f"{self.name}: format", self.format)
        check_rounding(self.name, self.rounding)

    @property
    def operands(self) -> tuple[str, ...]:
        """The value."""
        return (self.value,)

    @cached_property
    def slopes(self) -> IntArray:
        """``factors << shifts``, (K + 1,)."""
        return self.factors << self.shifts

    @property
    def is_relu(self) -> bool:
        """Whether the function is ``max(value, 0)`` for every value of 48 bits."""
        straight = self.knots.tolist() == [0] and self.slopes.tolist() == [0, 1]
        wide = self.format == IntFormat(FORMAT_BITS_MAX, signed=True)
        return straight and wide and self.shift == 0 and not np.any(self.offsets)

    def size(self, *sizes: int) -> int:
        """Return the entries of the operand."""
        return self.same_size(*sizes)

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the function, (batch, n)."""
        value = operands[0]
        piece = np.searchsorted(self.knots, value, side="right")
        total = value * np.take(self.slopes, piece)
        total += np.take(self.offsets, piece)
        return round_and_saturate(total, self.shift, self.rounding, self.format)

    def prepare(self, *operands: Interval) -> Evaluator:
        """Return :meth:`evaluate`, or the maximum that a relu is."""
        if self.is_relu:
            return lambda value: np.maximum(value, 0)
        return self.evaluate

    @cached_property
    def _pieces(self) -> tuple[list[int], list[int], list[int]]:
        return self.knots.tolist(), self.slopes.tolist(), self.offsets.tolist()

    def _product(self, value: int) -> tuple[int, int]:
        """Return the product and the offset of one value of any size."""
        knots, slopes, offsets = self._pieces
        piece = bisect_right(knots, value)
        return value * slopes[piece], offsets[piece]

    def inner(self, *operands: Interval) -> Interval:
        """Return the interval of the product and of the sum with the rounding constant."""
        half = (1 << self.shift) >> 1
        value = operands[0].hull

        def ends(points: Iterable[int]) -> Interval:
            formed = [t for v in points for p, o in (self._product(v),) for t in (p, p + o, p + o + half)]
            return Interval.of(min(formed), max(formed))

        return ends(self._ends(value.least, value.most))

    def _ends(self, low: int, high: int) -> list[int]:
        """Return the ends of each piece within ``low`` to ``high``: every piece takes its extremes there."""
        knots = [t for t in self._pieces[0] if low < t <= high]
        return [low, high, *knots, *(t - 1 for t in knots)]

    def interval(self, *operands: Interval) -> Interval:
        """Return the exact interval of each result."""
        value, form = operands[0], self.format
        least, most = form.min, form.max
        found: dict[tuple[int, int], tuple[int, int]] = {}
        low, high = np.empty_like(value.low), np.empty_like(value.high)
        for i, ends in enumerate(zip(value.low, value.high, strict=True)):
            if ends not in found:
                totals = (sum(self._product(v)) for v in self._ends(*ends))
                rounded = [round_shift(t, self.shift, self.rounding) for t in totals]
                found[ends] = min(max(min(rounded), least), most), min(max(max(rounded), least), most)
            low[i], high[i] = found[ends]
        return Interval(low, high)
