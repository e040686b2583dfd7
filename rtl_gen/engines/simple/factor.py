"""The factor of the simple engine: a value whose digits multiply another value."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.simple.program import Program

__all__ = ["Factor"]


class Factor(wiring.Component):
    """Gives the digits of a value, the highest first; it alone has a sign.

    Parameters:
        program: the bits of a digit, and how many there are.

    Members:
        load: In; a value is taken.
        value: In(signed); the value.
        take: In; the digit is used in this cycle.
        digit: Out(signed).

    Latency: 1 cycle from ``load`` to the first digit. Throughput: a digit a cycle.
    """

    def __init__(self, program: Program) -> None:
        self._bits, self._digits = program.digit_bits, program.factor_digits
        super().__init__(
            {
                "load": In(1),
                "value": In(signed(program.accumulator_bits)),
                "take": In(1),
                "digit": Out(signed(program.multiplier_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        rest, first = Signal(signed(self._digits * self._bits), reset_less=True), Signal()
        highest = rest[-self._bits :]
        m.d.comb += self.digit.eq(Cat(highest, first & highest[-1]).as_signed())
        with m.If(self.take):
            m.d.sync += [rest.eq(rest << self._bits), first.eq(0)]
        with m.If(self.load):
            m.d.sync += [rest.eq(self.value), first.eq(1)]
        return m
