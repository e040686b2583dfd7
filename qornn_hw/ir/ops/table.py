"""``Table``: any function of a narrow value, as a look-up."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops.operation import IntArray, Operation, check_name, check_number, integers

__all__ = ["INDEX_BITS_MAX", "Table"]

INDEX_BITS_MAX = 14
ENTRY_BITS_MAX = 18


@dataclass(frozen=True, eq=False, repr=False)
class Table(Operation):
    """``result = entries[value + 2**(t-1)] + offset``; without sign ``entries[value] + offset``.

    The entries are in ascending order of the value. Operations with the same entries share one memory: as
    ``sigmoid(x) = (1 + tanh(x / 2)) / 2``, the table of tanh with an offset of half a unit is a sigmoid
    whose index counts steps twice as large.

    Attributes:
        value: the operand, which must lie within the table's index range.
        entries: (2**t,), 1 <= t <= 14, each 18 bits signed.
        signed: whether the index is signed.
        offset: added to the entry, 18 bits signed.

    >>> table = np.array([-7, -6, -5, -3, 0, 3, 5, 6])
    >>> Table("h", "index", table).evaluate(np.array([[-4, 0, 3]])).tolist()
    [[-7, 0, 6]]
    """

    op: ClassVar[str] = "table"
    value: str
    entries: IntArray
    signed: bool = True
    offset: int = 0

    def check(self) -> None:
        """Refuse a number of entries that is no power of two, and entries of too many bits."""
        check_name(f"{self.name}: value", self.value)
        count = np.shape(self.entries)[0] if np.ndim(self.entries) == 1 else 0
        if count.bit_count() != 1 or not 2 <= count <= 1 << INDEX_BITS_MAX:
            raise FormatError(
                f"{self.name}: entries must be 2 to {1 << INDEX_BITS_MAX}, a power of two, not "
                f"of shape {np.shape(self.entries)}"
            )
        form = IntFormat(ENTRY_BITS_MAX, signed=True)
        entries = integers(f"{self.name}: entries", self.entries, (count,), form.min, form.max)
        object.__setattr__(self, "entries", entries)
        if type(self.signed) is not bool:
            raise FormatError(f"{self.name}: signed must be true or false, not {self.signed!r:.80}")
        check_number(f"{self.name}: offset", self.offset, form.min, form.max)

    @property
    def index_format(self) -> IntFormat:
        """The format whose values are the indices."""
        return IntFormat((len(self.entries) - 1).bit_length(), self.signed)

    @property
    def operands(self) -> tuple[str, ...]:
        """The index."""
        return (self.value,)

    def size(self, *sizes: int) -> int:
        """Return the entries of the operand."""
        return self.same_size(*sizes)

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Look the indices up, (batch, n)."""
        index = operands[0] - self.index_format.min if self.signed else operands[0]
        found = np.take(self.entries, index)
        return found + self.offset if self.offset else found

    def domain(self) -> Interval:
        """Return the interval of the indices."""
        return Interval.of_format(self.index_format)

    def interval(self, *operands: Interval) -> Interval:
        """Return the exact interval of each result; of an index outside the table the nearest counts."""
        form = self.index_format
        inside = operands[0].clamp(form)
        found: dict[tuple[int, int], tuple[int, int]] = {}
        low, high = np.empty_like(inside.low), np.empty_like(inside.high)
        for i, ends in enumerate(zip(inside.low, inside.high, strict=True)):
            if ends not in found:
                part = self.entries[ends[0] - form.min : ends[1] - form.min + 1]
                found[ends] = int(part.min()) + self.offset, int(part.max()) + self.offset
            low[i], high[i] = found[ends]
        return Interval(low, high)
