"""The rate of a UART: a phase accumulator whose overflows are the bits.

A bit need not have a whole number of clocks: a phase is increased by ``increment`` in every cycle, modulo
``2 ** phase_bits``, and a bit ends where it overflows. So any clock gives any rate, and each edge is at most
one cycle late.
"""

import math
from fractions import Fraction
from typing import Any

from amaranth.hdl import Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

__all__ = ["CLOCKS_PER_BIT_MIN", "BitRate", "phase_bits", "phase_increment"]

# With fewer cycles the sampling point is more than 1/16 of a bit away from the centre.
CLOCKS_PER_BIT_MIN = 8
# Smallest increment of a phase. Rounding it up to a whole number makes the rate at most 0.25 % too high, and
# the last bit of a byte at most 2.4 % of a bit early.
INCREMENT_MIN = 400


def phase_bits(clocks_per_bit: Fraction | int) -> int:
    """Return the bits of a phase that gives a rate within 0.25 %.

    >>> [phase_bits(n) for n in (8, 12, 33)]
    [12, 13, 14]
    """
    return (math.ceil(clocks_per_bit * INCREMENT_MIN) - 1).bit_length()


def phase_increment(clocks_per_bit: Fraction | int, bits: int) -> int:
    """Return the increment of a phase of ``bits`` bits that overflows every ``clocks_per_bit`` cycles.

    Raises:
        ValueError: a bit has fewer than 8 cycles, or so many that the rate is more than 0.25 % off.

    >>> phase_increment(Fraction(49, 4), 13), phase_increment(12, 13)
    (669, 683)
    """
    if not isinstance(clocks_per_bit, int | Fraction) or clocks_per_bit < CLOCKS_PER_BIT_MIN:
        raise ValueError(
            f"clocks_per_bit must be a whole number or a Fraction of at least {CLOCKS_PER_BIT_MIN}, not "
            f"{clocks_per_bit!r}"
        )
    if phase_bits(clocks_per_bit) > bits:
        raise ValueError(f"a phase of {bits} bits must be wider for {float(clocks_per_bit):g} clocks a bit")
    # Rounded up, so that a whole number of clocks stays exact for more than one byte.
    return math.ceil(Fraction(1 << bits) / clocks_per_bit)


class BitRate(wiring.Component):
    """The increment of a UART's phase, a constant.

    Parameters:
        clocks_per_bit: Clock cycles of one bit, at least 8; need not be whole.

    Members:
        increment: Out(bits): What the phase is increased by in every cycle.
    """

    def __init__(self, *, clocks_per_bit: Fraction | int) -> None:
        # What is no number is refused by the second call.
        bits = phase_bits(clocks_per_bit) if isinstance(clocks_per_bit, int | Fraction) else 0
        self._value = phase_increment(clocks_per_bit, bits)
        super().__init__({"increment": Out(bits)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.d.comb += self.increment.eq(Const(self._value, len(self.increment)))
        return m
