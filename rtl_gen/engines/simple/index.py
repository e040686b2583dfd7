"""The index of the simple engine: which entry of a table, or of a value, an instruction takes."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.simple.instruction import Kind
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.rtl_gen.engines.simple.stage import stage_layout

__all__ = ["Index"]


class Index(wiring.Component):
    """A register that CHOOSE and INDEX set, and STORE clears.

    Parameters:
        program: widths.

    Members:
        stage: In; the instruction in the stage ``execute``.
        accumulator: In(signed); its value.
        index: Out.

    Latency: 1 cycle.
    """

    def __init__(self, program: Program) -> None:
        self._symbol_bits = program.input_format.bits
        super().__init__(
            {
                "stage": In(stage_layout(program)),
                "accumulator": In(signed(program.accumulator_bits)),
                "index": Out(program.index_bits),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        stage = self.stage
        with m.If(stage.enable):
            with m.Switch(stage.kind):
                with m.Case(Kind.STORE):
                    m.d.sync += self.index.eq(0)
                with m.Case(Kind.CHOOSE):
                    with m.If(self.accumulator >= 0):
                        m.d.sync += self.index.eq(Mux(stage.with_unit, stage.unit, stage.number))
                with m.Case(Kind.INDEX):
                    symbol = Cat(self.accumulator[: self._symbol_bits], stage.unit)
                    m.d.sync += self.index.eq(Mux(stage.with_unit, symbol, self.accumulator))
        return m
