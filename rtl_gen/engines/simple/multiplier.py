"""The multiplier of the simple engine: a value times a digit."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Kind
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.rtl_gen.engines.simple.factor import Factor
from qornn_hw.rtl_gen.engines.simple.stage import stage_layout

__all__ = ["Multiplier"]


class Multiplier(wiring.Component):
    """Chooses the digit of an instruction and multiplies a value by it.

    Parameters:
        program: widths.

    Members:
        stage: In; the instruction in the stage ``read``.
        value: In(signed); the word of the value memory.
        coefficient: In(signed); the word of the coefficient memory.
        executed: In; the instruction in the stage ``execute``, which may be a FACTOR.
        accumulator: In(signed); the value that it takes.
        product: Out(signed).

    Latency: 2 cycles; synthesis may take the registers of both operands and of the product into a hard
    multiplier. Throughput: 1 product a cycle.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        super().__init__(
            {
                "stage": In(stage_layout(program)),
                "value": In(signed(program.value_bits)),
                "coefficient": In(signed(program.digit_bits)),
                "executed": In(stage_layout(program)),
                "accumulator": In(signed(program.accumulator_bits)),
                "product": Out(signed(program.product_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._program
        digit = Signal(signed(p.multiplier_bits))
        with m.Switch(self.stage.coefficient):
            with m.Case(Coefficient.NUMBER):
                m.d.comb += digit.eq(self.stage.number[: p.digit_bits].as_signed())
            with m.Case(Coefficient.STREAM, Coefficient.TABLE):
                m.d.comb += digit.eq(self.coefficient)
            if p.factor_digits:
                m.submodules.factor = factor = Factor(p)
                with m.Case(Coefficient.FACTOR):
                    m.d.comb += [digit.eq(factor.digit), factor.take.eq(self.stage.enable)]
                m.d.comb += [
                    factor.load.eq(self.executed.enable & (self.executed.kind == Kind.FACTOR)),
                    factor.value.eq(self.accumulator),
                ]
        # Data without a reset: an instruction looks at the product of its own operands only.
        left, right = (
            Signal.like(v, name=n, reset_less=True) for v, n in ((self.value, "left"), (digit, "right"))
        )
        product = Signal.like(self.product, reset_less=True)
        m.d.sync += [left.eq(self.value), right.eq(digit), product.eq(left * right)]
        m.d.comb += self.product.eq(product)
        return m
