"""``Assign``: a state takes a new value at the end of a layer's step."""

from dataclasses import dataclass
from typing import ClassVar

from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import IntArray, Operation, check_name

__all__ = ["Assign"]


@dataclass(frozen=True, eq=False, repr=False)
class Assign(Operation):
    """The state ``name`` takes ``value``; until the layer's step ends, its name still means the old state.

    Attributes:
        value: the operand, of the state's size, whose proven range must lie within the state's format.

    >>> Assign("h", "new")
    Assign(h <- new)
    """

    op: ClassVar[str] = "assign"
    value: str

    def check(self) -> None:
        """Refuse a name that is none."""
        check_name(f"{self.name}: value", self.value)

    @property
    def operands(self) -> tuple[str, ...]:
        """The new value."""
        return (self.value,)

    def size(self, *sizes: int) -> int:
        """Return the entries of the operand."""
        return self.same_size(*sizes)

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Return the new value."""
        return operands[0]

    def interval(self, *operands: Interval) -> Interval:
        """Return the operand's."""
        return operands[0]
