"""``Diagonal``: each unit's own weight, added to its accumulator."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import IntArray, Operation, check_name, check_number, integers

__all__ = ["Diagonal"]

DIAGONAL_BITS_MAX = 12
DIAGONAL_SHIFT_MAX = 31


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(Operation):
    """``result_i = accumulator_i + (weights_i * value_i << shift)``.

    Attributes:
        accumulator, value: the operands, of one size.
        weights: d, (n,).
        bits: of a weight, signed, 2 to 12.
        shift: left shift, 0 to 31.

    >>> op = Diagonal("sum", "acc", "h", np.array([100]), bits=8, shift=1)
    >>> op.evaluate(np.array([[7]]), np.array([[-3]])).item()
    -593
    """

    op: ClassVar[str] = "diagonal"
    accumulator: str
    value: str
    weights: IntArray
    bits: int
    shift: int = 0

    def check(self) -> None:
        """Refuse weights of another range, and shifts and bits beyond the limits."""
        check_name(f"{self.name}: accumulator", self.accumulator)
        check_name(f"{self.name}: value", self.value)
        check_number(f"{self.name}: bits", self.bits, 2, DIAGONAL_BITS_MAX)
        check_number(f"{self.name}: shift", self.shift, 0, DIAGONAL_SHIFT_MAX)
        form = IntFormat(self.bits, signed=True)
        weights = integers(f"{self.name}: weights", self.weights, (None,), form.min, form.max)
        object.__setattr__(self, "weights", weights)

    @property
    def operands(self) -> tuple[str, ...]:
        """The accumulator and the value."""
        return self.accumulator, self.value

    def size(self, *sizes: int) -> int:
        """Return the number of weights, which is that of both operands' entries."""
        return self.same_size(*sizes, of=len(self.weights))

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the sums, (batch, n)."""
        accumulator, value = operands
        return accumulator + ((value * self.weights) << self.shift)

    def _products(self, value: Interval) -> Interval:
        weights = self.weights.astype(object)
        at_low, at_high = weights * value.low, weights * value.high
        low, high = np.minimum(at_low, at_high), np.maximum(at_low, at_high)
        return Interval(low << self.shift, high << self.shift)

    def inner(self, *operands: Interval) -> Interval:
        """Return an interval of the product and of the sum."""
        return self._products(operands[1]).union(self.interval(*operands))

    def interval(self, *operands: Interval) -> Interval:
        """Return the exact interval of each sum."""
        accumulator, product = operands[0], self._products(operands[1])
        return Interval(accumulator.low + product.low, accumulator.high + product.high)
