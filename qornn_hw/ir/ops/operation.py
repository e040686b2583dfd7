"""What every operation of a network is: a named result, computed from named values."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding, round_shift
from qornn_hw.ir.interval import Interval

__all__ = [
    "FORMAT_BITS_MAX",
    "IntArray",
    "Operation",
    "check_format",
    "check_name",
    "check_number",
    "check_scale",
    "check_shape",
    "integers",
    "round_and_saturate",
]

IntArray = NDArray[np.int64]
Evaluator = Callable[..., IntArray]

FORMAT_BITS_MAX = 48
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_NAME_CHARACTERS = 64


@dataclass(frozen=True, eq=False)
class Operation(ABC):
    """One step of a computation on integers.

    Attributes:
        op: the name of the operation's class in a model file.
        name: the name of the result, unique in a network.
    """

    op: ClassVar[str]
    name: str

    def __post_init__(self) -> None:
        check_name("name", self.name)
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Refuse fields that break the operation's rules, and make its arrays int64 and read-only.

        Raises:
            FormatError: what must be what, and what it was.
        """

    @property
    @abstractmethod
    def operands(self) -> tuple[str, ...]:
        """The names of the values that the operation reads, in the order of :meth:`evaluate`."""

    @abstractmethod
    def size(self, *sizes: int) -> int:
        """Return the entries of the result, from those of the operands.

        Raises:
            FormatError: the operands do not fit each other or the operation's arrays.
        """

    @abstractmethod
    def evaluate(self, *operands: IntArray) -> IntArray:
        """Compute the result, (batch, size), from operands (batch, size) each, exactly."""

    @abstractmethod
    def interval(self, *operands: Interval) -> Interval:
        """Return an interval that holds every result, from intervals that hold the operands."""

    def inner(self, *operands: Interval) -> Interval:
        """Return an interval that holds the widest integer that is formed on the way to the result."""
        return self.interval(*operands)

    def domain(self) -> Interval | None:
        """Return the interval in which every operand must lie, or None where each value has a result."""
        return None

    def prepare(self, *operands: Interval) -> Evaluator:
        """Return a fast :meth:`evaluate` that is exact for operands within these intervals."""
        return self.evaluate

    def same_size(self, *sizes: int, of: int | None = None) -> int:
        """Return the one size of all operands, ``of`` if it is given.

        Raises:
            FormatError: they differ.
        """
        wanted = sizes[0] if of is None else of
        for value, size in zip(self.operands, sizes, strict=True):
            if size != wanted:
                raise FormatError(f"{self.name}: {value} must have {wanted} entries, not {size}")
        return wanted

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name} <- {', '.join(self.operands)})"


def check_name(field: str, name: Any) -> None:
    """Refuse a value's name that is no sequence of small letters, digits, ``_`` and ``.``."""
    if not (isinstance(name, str) and len(name) <= _NAME_CHARACTERS and _NAME.fullmatch(name)):
        raise FormatError(
            f"{field} must be small letters, digits and _ in parts joined by '.', at most "
            f"{_NAME_CHARACTERS} characters, not {name!r:.80}"
        )


def check_number(field: str, value: Any, low: int, high: int) -> None:
    """Refuse what is no integer from ``low`` to ``high``."""
    if type(value) is not int or not low <= value <= high:
        raise FormatError(f"{field} must be an integer from {low} to {high}, not {value!r:.80}")


def check_format(field: str, form: Any, bits_max: int = FORMAT_BITS_MAX) -> None:
    """Refuse what is no format of 1 to ``bits_max`` bits."""
    if not isinstance(form, IntFormat):
        raise FormatError(f"{field} must be an IntFormat, not {form!r:.80}")
    check_number(f"{field}.bits", form.bits, 1, bits_max)


def check_scale(field: str, scale: Any) -> None:
    """Refuse what is no positive finite number."""
    if type(scale) not in (int, float) or not (0 < scale < np.inf):
        raise FormatError(f"{field} must be positive and finite, not {scale!r:.80}")


def check_shape(field: str, values: Any, shape: tuple[int | None, ...]) -> None:
    """Refuse an array of another shape; ``None`` stands for any size of at least 1."""
    found = np.shape(values)
    right = len(found) == len(shape) and all(
        f == s if s is not None else f >= 1 for f, s in zip(found, shape, strict=True)
    )
    if not right:
        wanted = ", ".join("1 or more" if s is None else str(s) for s in shape)
        raise FormatError(f"{field} must have shape ({wanted}{',' * (len(shape) == 1)}), not {found}")


def integers(field: str, values: Any, shape: tuple[int | None, ...], low: int, high: int) -> IntArray:
    """Return integers as a read-only int64 array.

    Raises:
        FormatError: another type or shape, or an entry outside ``low`` to ``high``; the first one is named.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise FormatError(f"{field} must hold integers, not {array.dtype}")
    check_shape(field, array, shape)
    # Compared before the cast, which would wrap an unsigned value without a word.
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        at = next(i for i in np.ndindex(array.shape) if not low <= int(array[i]) <= high)
        raise FormatError(f"{field} must lie in {low} to {high}, not {int(array[at])} at {list(at)}")
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


def round_and_saturate(total: IntArray, shift: int, rounding: Rounding, form: IntFormat) -> IntArray:
    """Return ``saturate(round(total / 2**shift))``, in the memory of ``total`` where that can be."""
    if shift:
        if rounding is Rounding.HALF_EVEN:
            total = round_shift(total, shift, rounding)
        else:
            total += 1 << (shift - 1)
            total >>= shift
    return np.clip(total, form.min, form.max, out=total)
