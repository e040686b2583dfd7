"""``Add``: a sum of values, aligned by shifts, unit by unit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding, round_shift
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.mat_vec import BIAS_BITS_MAX
from qornn_hw.ir.ops.operation import (
    IntArray,
    Operation,
    check_format,
    check_name,
    check_number,
    integers,
    round_and_saturate,
)
from qornn_hw.ir.ops.requantize import SHIFT_MAX, check_rounding

__all__ = ["Add", "Summand"]

SUMMAND_SHIFT_MAX = 31


@dataclass(frozen=True)
class Summand:
    """``value << shift``, or with ``negative`` ``-(value << shift)``.

    Attributes:
        value: the name of the operand.
        shift: left shift, 0 to 31.
        negative: whether it is subtracted.
    """

    value: str
    shift: int = 0
    negative: bool = False

    def __post_init__(self) -> None:
        check_name("value", self.value)
        check_number("shift", self.shift, 0, SUMMAND_SHIFT_MAX)
        if type(self.negative) is not bool:
            raise FormatError(f"negative must be true or false, not {self.negative!r:.80}")

    def interval(self, value: Interval) -> Interval:
        """Return the exact interval of the summand."""
        low, high = value.low << self.shift, value.high << self.shift
        return Interval(-high, -low) if self.negative else Interval(low, high)


@dataclass(frozen=True, eq=False, repr=False)
class Add(Operation):
    """``saturate(round((sum of summands + bias_i) / 2**shift))``.

    Attributes:
        summands: at least one.
        format: of the result.
        bias: (n,), 40 bits, signed, or one integer for all units.
        shift: right shift, 0 to 47.
        rounding: the tie rule.

    >>> op = Add("d", (Summand("h"), Summand("n", negative=True)), IntFormat(9, signed=True))
    >>> op.evaluate(np.array([[127]]), np.array([[-128]])).item()
    255
    """

    op: ClassVar[str] = "add"
    summands: tuple[Summand, ...]
    format: IntFormat
    bias: IntArray | int = 0
    shift: int = 0
    rounding: Rounding = Rounding.HALF_UP

    def check(self) -> None:
        """Refuse an empty sum, and a bias, shift or format beyond the limits."""
        if not self.summands:
            raise FormatError(f"{self.name}: summands must hold at least one, not none")
        form = IntFormat(BIAS_BITS_MAX, signed=True)
        if isinstance(self.bias, int):
            check_number(f"{self.name}: bias", self.bias, form.min, form.max)
        else:
            bias = integers(f"{self.name}: bias", self.bias, (None,), form.min, form.max)
            object.__setattr__(self, "bias", bias)
        check_number(f"{self.name}: shift", self.shift, 0, SHIFT_MAX)
        check_format(f"{self.name}: format", self.format)
        check_rounding(self.name, self.rounding)

    @property
    def operands(self) -> tuple[str, ...]:
        """The summands' values."""
        return tuple(summand.value for summand in self.summands)

    def size(self, *sizes: int) -> int:
        """Return the entries of each operand, and of the bias where it has one for each unit."""
        return self.same_size(*sizes, of=None if isinstance(self.bias, int) else len(self.bias))

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the rounded and saturated sums, (batch, n)."""
        total: IntArray = np.zeros_like(operands[0])
        for summand, value in zip(self.summands, operands, strict=True):
            part = value << summand.shift if summand.shift else value
            if summand.negative:
                total -= part
            else:
                total += part
        if not isinstance(self.bias, int) or self.bias:
            total += self.bias
        return round_and_saturate(total, self.shift, self.rounding, self.format)

    def _parts(self, operands: tuple[Interval, ...]) -> list[Interval]:
        bias = (
            Interval.of(self.bias, self.bias) if isinstance(self.bias, int) else Interval.of_values(self.bias)
        )
        return [bias, *(s.interval(value) for s, value in zip(self.summands, operands, strict=True))]

    def inner(self, *operands: Interval) -> Interval:
        """Return an interval of each partial sum and of the sum with the rounding constant."""
        low = high = np.zeros(1, dtype=object)
        for part in self._parts(operands):
            low, high = low + np.minimum(part.low, 0), high + np.maximum(part.high, 0)
        return Interval(low, high + ((1 << self.shift) >> 1))

    def interval(self, *operands: Interval) -> Interval:
        """Return the exact interval of each result, as far as the operands are independent."""
        low = high = np.zeros(1, dtype=object)
        for part in self._parts(operands):
            low, high = low + part.low, high + part.high
        rounded = Interval(low, high).monotone(lambda v: round_shift(v, self.shift, self.rounding))
        return rounded.clamp(self.format)
