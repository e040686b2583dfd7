"""``Requantize``: from the accumulators' precision to a narrow format."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding, round_shift
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import (
    Evaluator,
    IntArray,
    Operation,
    check_format,
    check_name,
    check_number,
    integers,
    round_and_saturate,
)

__all__ = ["SHIFT_MAX", "Factor", "Requantize", "check_rounding"]

MULTIPLIER_MAX = (1 << 16) - 1
SHIFT_MAX = 47
REQUANTIZE_BIAS_BITS_MAX = 48


@dataclass(frozen=True, eq=False)
class Factor:
    """``value_i * multiplier_i``.

    Attributes:
        value: the name of the operand.
        multiplier: M, (n,), -65535 to 65535.
    """

    value: str
    multiplier: IntArray

    def __post_init__(self) -> None:
        check_name("value", self.value)
        multiplier = integers("multiplier", self.multiplier, (None,), -MULTIPLIER_MAX, MULTIPLIER_MAX)
        object.__setattr__(self, "multiplier", multiplier)

    def interval(self, value: Interval) -> Interval:
        """Return the exact interval of the products."""
        m = self.multiplier.astype(object)
        at_low, at_high = m * value.low, m * value.high
        return Interval(np.minimum(at_low, at_high), np.maximum(at_low, at_high))


@dataclass(frozen=True, eq=False, repr=False)
class Requantize(Operation):
    """``saturate(round((sum over factors of value_i * multiplier_i + bias_i) / 2**shift))``.

    Attributes:
        factors: at least one.
        shift: right shift, 0 to 47.
        format: of the result, 1 to 48 bits; what lies outside is saturated after the rounding.
        rounding: the tie rule.
        bias: (n,), 48 bits, signed, at the scale of the products; None for zeros.

    >>> op = Requantize("q", (Factor("acc", np.array([77])),), 9, IntFormat(8, signed=True))
    >>> op.evaluate(np.array([[100], [-5000]])).tolist()
    [[15], [-128]]
    """

    op: ClassVar[str] = "requantize"
    factors: tuple[Factor, ...]
    shift: int
    format: IntFormat
    rounding: Rounding = Rounding.HALF_UP
    bias: IntArray | None = None

    def check(self) -> None:
        """Refuse factors of different sizes, and a shift, format or bias beyond the limits."""
        if not self.factors:
            raise FormatError(f"{self.name}: factors must hold at least one, not none")
        n = len(self.factors[0].multiplier)
        for factor in self.factors[1:]:
            if len(factor.multiplier) != n:
                raise FormatError(
                    f"{self.name}: multiplier of {factor.value} must have {n} entries, not "
                    f"{len(factor.multiplier)}"
                )
        check_number(f"{self.name}: shift", self.shift, 0, SHIFT_MAX)
        check_format(f"{self.name}: format", self.format)
        check_rounding(self.name, self.rounding)
        if self.bias is not None:
            form = IntFormat(REQUANTIZE_BIAS_BITS_MAX, signed=True)
            bias = integers(f"{self.name}: bias", self.bias, (n,), form.min, form.max)
            object.__setattr__(self, "bias", bias)

    @property
    def operands(self) -> tuple[str, ...]:
        """The factors' values."""
        return tuple(factor.value for factor in self.factors)

    def size(self, *sizes: int) -> int:
        """Return the entries of a multiplier, which are those of each operand."""
        return self.same_size(*sizes, of=len(self.factors[0].multiplier))

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the rounded and saturated sums, (batch, n)."""
        total = operands[0] * self.factors[0].multiplier
        for factor, value in zip(self.factors[1:], operands[1:], strict=True):
            total += value * factor.multiplier
        if self.bias is not None:
            total += self.bias
        return round_and_saturate(total, self.shift, self.rounding, self.format)

    def prepare(self, *operands: Interval) -> Evaluator:
        """Return :meth:`evaluate` with the bias, the rounding constant and the multiplier joined."""
        if self.rounding is not Rounding.HALF_UP or len(self.factors) > 1 or self.shift == 0:
            return self.evaluate
        multiplier = self.factors[0].multiplier
        if np.all(multiplier == multiplier[0]):
            multiplier = multiplier[:1]
        half = (1 << self.shift) >> 1
        constant: IntArray | int = half if self.bias is None else self.bias + half
        shift, low, high = self.shift, self.format.min, self.format.max

        def evaluate(value: IntArray) -> IntArray:
            total = value * multiplier
            total += constant
            total >>= shift
            np.maximum(total, low, out=total)
            np.minimum(total, high, out=total)
            return total

        return evaluate

    def inner(self, *operands: Interval) -> Interval:
        """Return an interval of each partial sum and of the sum with the rounding constant."""
        n = len(self.factors[0].multiplier)
        low = high = np.zeros(n, dtype=object)
        parts = [factor.interval(value) for factor, value in zip(self.factors, operands, strict=True)]
        if self.bias is not None:
            parts.append(Interval.of_values(self.bias))
        for part in parts:
            low, high = low + np.minimum(part.low, 0), high + np.maximum(part.high, 0)
        return Interval(low, high + ((1 << self.shift) >> 1))

    def interval(self, *operands: Interval) -> Interval:
        """Return the exact interval of each result."""
        low = high = np.zeros(1, dtype=object) if self.bias is None else self.bias.astype(object)
        for factor, value in zip(self.factors, operands, strict=True):
            part = factor.interval(value)
            low, high = low + part.low, high + part.high
        rounded = Interval(low, high).monotone(lambda v: round_shift(v, self.shift, self.rounding))
        return rounded.clamp(self.format)


def check_rounding(name: str, rounding: Rounding) -> None:
    """Refuse what is no tie rule."""
    if not isinstance(rounding, Rounding):
        raise FormatError(f"{name}: rounding must be half_up or half_even, not {rounding!r:.80}")
