"""The accumulator of the simple engine, with shift, rounding and saturation."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.simple.instruction import Kind
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.rtl_gen.engines.simple.stage import stage_layout

__all__ = ["Accumulator"]


class Accumulator(wiring.Component):
    """Adds products; shifts right by a bit a cycle; rounds; saturates.

    Parameters:
        program: its widths and formats.

    Members:
        stage: In; the instruction in the stage ``execute``.
        product: In(signed); its product, 0 but with MULTIPLY_ADD.
        value: Out(signed); the accumulator.
        stored: Out(signed); the accumulator, saturated to the format that the instruction's number names.

    Latency: 1 cycle from ``stage`` to ``value``; none from there to ``stored``.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        bits = program.accumulator_bits
        super().__init__(
            {
                "stage": In(stage_layout(program)),
                "product": In(signed(program.product_bits)),
                "value": Out(signed(bits)),
                "stored": Out(signed(program.value_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # The last bit that was shifted out, and whether any before it was 1.
        guard, sticky = Signal(), Signal()
        up = Signal()
        with m.If(self.stage.kind == Kind.ROUND_UP):
            m.d.comb += up.eq(guard)
        with m.If(self.stage.kind == Kind.ROUND_EVEN):
            m.d.comb += up.eq(guard & (sticky | self.value[0]))
        moved = Mux(self.stage.scale, self.value << self._program.digit_bits, self.value)
        with m.If(self.stage.enable):
            with m.Switch(self.stage.kind):
                with m.Case(Kind.MULTIPLY_ADD, Kind.ROUND_UP, Kind.ROUND_EVEN):
                    m.d.sync += self.value.eq(moved + self.product + up)
                with m.Case(Kind.SHIFT):
                    m.d.sync += [
                        self.value.eq(self.value >> 1),
                        guard.eq(self.value[0]),
                        sticky.eq(sticky | guard),
                    ]
                with m.Default():
                    m.d.sync += [self.value.eq(0), guard.eq(0), sticky.eq(0)]
        self._saturate(m)
        return m

    def _saturate(self, m: Module) -> None:
        """Give ``stored``. All bits from that of a format's sign on are alike in a value that fits it.

        ``above`` has ones there: it is the lowest value of a signed format. Its complement is the highest
        value. A format without sign, whose lowest value is 0, has them above its bits.
        """
        above, unsigned = Signal(signed(len(self.value))), Signal()
        with m.Switch(self.stage.number):
            for number, form in enumerate(self._program.saturations):
                if form is not None:
                    with m.Case(number):
                        m.d.comb += [above.eq(~form.max), unsigned.eq(not form.signed)]
        negative = self.value[-1]
        m.d.comb += self.stored.eq(self.value)
        with m.If(~negative & (self.value & above).any()):
            m.d.comb += self.stored.eq(~above)
        with m.If(negative & (unsigned | (~self.value & above).any())):
            m.d.comb += self.stored.eq(Mux(unsigned, 0, above))
