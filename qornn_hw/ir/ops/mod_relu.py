"""``ModRelu``: shrinks or stretches a value toward or from zero, and keeps its sign."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.mat_vec import BIAS_BITS_MAX
from qornn_hw.ir.ops.operation import IntArray, Operation, check_name, integers

__all__ = ["ModRelu"]


@dataclass(frozen=True, eq=False, repr=False)
class ModRelu(Operation):
    """``sgn(value_i) * max(|value_i| + bias_i, 0)``, with ``sgn(0) = 0``.

    Attributes:
        value: the operand.
        bias: b, (n,), 40 bits, signed.

    >>> op = ModRelu("f", "acc", np.array([-3]))
    >>> op.evaluate(np.array([[-5], [-2], [0], [2], [5]])).ravel().tolist()
    [-2, 0, 0, 0, 2]
    """

    op: ClassVar[str] = "mod_relu"
    value: str
    bias: IntArray

    def check(self) -> None:
        """Refuse a bias of too many bits."""
        check_name(f"{self.name}: value", self.value)
        form = IntFormat(BIAS_BITS_MAX, signed=True)
        bias = integers(f"{self.name}: bias", self.bias, (None,), form.min, form.max)
        object.__setattr__(self, "bias", bias)

    @property
    def operands(self) -> tuple[str, ...]:
        """The value."""
        return (self.value,)

    def size(self, *sizes: int) -> int:
        """Return the entries of the bias, which are those of the operand."""
        return self.same_size(*sizes, of=len(self.bias))

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the function, (batch, n)."""
        value = operands[0]
        moved = np.abs(value)
        moved += self.bias
        np.maximum(moved, 0, out=moved)
        moved *= np.sign(value)
        return moved

    def interval(self, *operands: Interval) -> Interval:
        """Return a symmetric interval that holds the result, and ``|value| + bias`` on the way to it."""
        value = operands[0]
        bias = self.bias.astype(object)
        reach = np.maximum(np.abs(value.low), np.abs(value.high)) + bias
        high = np.maximum(reach, np.abs(bias))
        return Interval(-high, high)
