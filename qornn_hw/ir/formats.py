"""The number rules of docs/numerics.md: formats, rounding, saturation, requantization.

Every rule takes Python integers and NumPy int64 arrays alike and is exact on both. The integer
model calls these functions; the hardware re-expresses them and is compared with them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = [
    "IntFormat",
    "Integers",
    "Rounding",
    "bits_for_range",
    "requantize",
    "round_shift",
    "saturate",
    "scale_to_multiplier",
]

Integers = TypeVar("Integers", int, NDArray[np.int64])


class Rounding(StrEnum):
    """What happens to a value exactly half way between two integers.

    HALF_UP goes to the larger one, HALF_EVEN to the even one.
    """

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"


@dataclass(frozen=True)
class IntFormat:
    """An integer of ``bits`` bits in two's complement (signed) or plain binary (unsigned).

    >>> IntFormat(4, signed=True)
    IntFormat(bits=4, signed=True)
    >>> IntFormat(4, signed=True).min, IntFormat(4, signed=True).max
    (-8, 7)
    """

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if self.bits < 1:
            raise FormatError(f"an integer format must have at least 1 bit, not {self.bits!r}")

    @property
    def min(self) -> int:
        """Smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest value."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def signed_bits(self) -> int:
        """Bits of the narrowest signed format that holds every value of this one."""
        return self.bits if self.signed else self.bits + 1


def bits_for_range(low: int, high: int) -> int:
    """Return the bits of the narrowest signed format that holds ``low`` and ``high``.

    >>> bits_for_range(-8, 7), bits_for_range(-9, 7), bits_for_range(0, 0)
    (4, 5, 1)
    """
    return max(max(high, 0).bit_length() + 1, max(-low - 1, 0).bit_length() + 1 if low < 0 else 1)


def round_shift(value: Integers, shift: int, rounding: Rounding = Rounding.HALF_UP) -> Integers:
    """Return ``value / 2**shift`` rounded to the nearest integer.

    half up: ``(value + 2**(shift-1)) >> shift`` with an arithmetic (flooring) shift. Half even is
    the same, less 1 where the value was a tie and that result is odd. ``shift == 0`` is the identity.

    >>> [round_shift(v, 2) for v in (5, 6, -6, -7)]
    [1, 2, -1, -2]
    >>> [round_shift(v, 2, Rounding.HALF_EVEN) for v in (2, 6, -2, -6)]
    [0, 2, 0, -2]
    """
    if shift == 0:
        return value
    half = 1 << (shift - 1)
    biased = value + half
    rounded = biased >> shift
    if rounding is Rounding.HALF_EVEN:
        tie = (biased & ((1 << shift) - 1)) == 0
        rounded = rounded - (rounded & 1) * tie
    return rounded


def saturate(value: Integers, bits: int) -> Integers:
    """Clamp ``value`` to the signed range ``[-2**(bits-1), 2**(bits-1) - 1]``.

    >>> [saturate(v, 4) for v in (-9, -8, 7, 8)]
    [-8, -8, 7, 7]
    """
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if isinstance(value, np.ndarray):
        return np.clip(value, low, high)
    return min(max(value, low), high)


def requantize(
    value: Integers,
    multiplier: Integers | int,
    shift: int,
    bits: int,
    rounding: Rounding = Rounding.HALF_UP,
) -> Integers:
    """Return ``saturate(round_shift(value * multiplier, shift), bits)``.

    >>> requantize(100, 77, 9, 8)
    15
    >>> requantize(-5000, 77, 9, 8)
    -128
    """
    return saturate(round_shift(value * multiplier, shift, rounding), bits)


def scale_to_multiplier(scale: float, multiplier_bits: int, max_shift: int) -> tuple[int, int]:
    """Return ``(multiplier, shift)`` with ``multiplier / 2**shift`` nearest to ``scale``.

    The multiplier is unsigned, at most ``2**multiplier_bits - 1``; common factors of two are removed.
    The relative error is at most ``2**-multiplier_bits`` unless ``max_shift`` cuts it short.

    >>> scale_to_multiplier(0.25, 8, 31)
    (1, 2)
    >>> scale_to_multiplier(0.3, 8, 31)
    (77, 8)
    """
    if not (scale > 0 and np.isfinite(scale)):
        raise FormatError(f"a requantization scale must be positive and finite, not {scale!r}")
    limit = (1 << multiplier_bits) - 1
    if round(scale) > limit:
        raise FormatError(
            f"a requantization scale must be at most {limit} for a {multiplier_bits}-bit "
            f"multiplier, not {scale!r}"
        )
    shift = 0
    while shift < max_shift and round(scale * (1 << (shift + 1))) <= limit:
        shift += 1
    multiplier = round(scale * (1 << shift))
    if multiplier == 0:
        raise FormatError(f"a requantization scale must not vanish in {max_shift} bits, as {scale!r} does")
    while shift > 0 and multiplier % 2 == 0:
        multiplier //= 2
        shift -= 1
    return multiplier, shift
