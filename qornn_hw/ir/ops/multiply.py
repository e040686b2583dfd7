"""``Multiply``: the product of two values, unit by unit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.ir.formats import IntFormat, Rounding, round_shift
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import (
    IntArray,
    Operation,
    check_format,
    check_name,
    check_number,
    round_and_saturate,
)
from qornn_hw.ir.ops.requantize import SHIFT_MAX, check_rounding

__all__ = ["Multiply"]


@dataclass(frozen=True, eq=False, repr=False)
class Multiply(Operation):
    """``saturate(round(a_i * b_i / 2**shift))``.

    Attributes:
        a, b: the operands, of one size; they may be the same value.
        shift: right shift, 0 to 47.
        format: of the result.
        rounding: the tie rule.

    >>> op = Multiply("p", "a", "b", 8, IntFormat(8, signed=True))
    >>> op.evaluate(np.array([[200, 255]]), np.array([[-128, 127]])).tolist()
    [[-100, 127]]
    """

    op: ClassVar[str] = "multiply"
    a: str
    b: str
    shift: int
    format: IntFormat
    rounding: Rounding = Rounding.HALF_UP

    def check(self) -> None:
        """Refuse a shift or format beyond the limits."""
        check_name(f"{self.name}: a", self.a)
        check_name(f"{self.name}: b", self.b)
        check_number(f"{self.name}: shift", self.shift, 0, SHIFT_MAX)
        check_format(f"{self.name}: format", self.format)
        check_rounding(self.name, self.rounding)

    @property
    def operands(self) -> tuple[str, ...]:
        """Both values."""
        return self.a, self.b

    def size(self, *sizes: int) -> int:
        """Return the entries of either operand."""
        return self.same_size(*sizes)

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the rounded and saturated products, (batch, n)."""
        return round_and_saturate(operands[0] * operands[1], self.shift, self.rounding, self.format)

    def _products(self, a: Interval, b: Interval) -> Interval:
        ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        if self.a == self.b:  # a square
            ends = [a.low * a.low, a.high * a.high]
            crosses = (a.low <= 0) & (a.high >= 0)
            least = np.where(crosses, 0, np.minimum(*ends)).astype(object)
            return Interval(least, np.maximum(*ends))
        return Interval(np.minimum.reduce(ends), np.maximum.reduce(ends))

    def inner(self, *operands: Interval) -> Interval:
        """Return the interval of the product and of its sum with the rounding constant."""
        product = self._products(*operands)
        return Interval(product.low, product.high + ((1 << self.shift) >> 1))

    def interval(self, *operands: Interval) -> Interval:
        """Return the exact interval of each result, as far as a and b are independent."""
        rounded = self._products(*operands).monotone(lambda v: round_shift(v, self.shift, self.rounding))
        return rounded.clamp(self.format)
