"""Closed intervals of integers of any size, one for each entry of a value, or one for all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.ir.formats import IntFormat, bits_for_range

__all__ = ["Interval"]

Integers = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Interval:
    """``low_i <= value_i <= high_i``.

    The ends are Python integers in arrays of objects: no width of a network can make them overflow.

    Attributes:
        low, high: the ends, (n,) each, or (1,) where all entries share them.

    >>> a = Interval.of(-8, 7)
    >>> a.bits, a.magnitude
    (4, 8)
    >>> a.union(Interval.of(0, 100))
    -8..100
    """

    low: Integers
    high: Integers

    @classmethod
    def of(cls, low: int, high: int) -> Self:
        """Return one interval for all entries."""
        return cls(_objects([low]), _objects([high]))

    @classmethod
    def of_format(cls, form: IntFormat) -> Self:
        """Return the interval of all values of a format."""
        return cls.of(form.min, form.max)

    @classmethod
    def of_values(cls, values: NDArray[np.int64]) -> Self:
        """Return for each of the values (n,) the interval that holds only it."""
        return cls(values.astype(object), values.astype(object))

    @property
    def least(self) -> int:
        """The smallest value of any entry."""
        return int(min(self.low))

    @property
    def most(self) -> int:
        """The largest value of any entry."""
        return int(max(self.high))

    @property
    def magnitude(self) -> int:
        """The largest absolute value of any entry."""
        return max(-self.least, self.most, 0)

    @property
    def bits(self) -> int:
        """Bits of the narrowest signed format that holds every entry."""
        return bits_for_range(self.least, self.most)

    @property
    def hull(self) -> "Interval":
        """The interval that holds every entry, one for all of them."""
        return Interval.of(self.least, self.most)

    def union(self, other: "Interval") -> "Interval":
        """Return the smallest interval that holds both."""
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def inside(self, other: "Interval") -> bool:
        """Return whether ``other`` holds every value of this interval."""
        return bool(np.all(self.low >= other.low) and np.all(self.high <= other.high))

    def clamp(self, form: IntFormat) -> "Interval":
        """Return the interval of the values saturated to a format."""
        low, high = form.min, form.max
        return self.monotone(lambda v: low if v < low else min(v, high))

    def monotone(self, function: Callable[[int], int]) -> "Interval":
        """Return the interval of a function that never falls where its argument rises."""
        return Interval(_objects(map(function, self.low)), _objects(map(function, self.high)))

    def __repr__(self) -> str:
        return f"{self.least}..{self.most}"


def _objects(values: Any) -> Integers:
    numbers = list(map(int, values))
    array = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    return array
