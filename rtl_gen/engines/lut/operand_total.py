"""The total of the operands that the elements have loaded, which bipolar weights add too much."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.engines.lut.timing import levels
from qornn_hw.rtl_gen.operand_bus import operand_bus_layout

__all__ = ["OperandTotal"]


class OperandTotal(wiring.Component):
    """Adds up what goes over the operand bus in the passes of a step.

    It watches the same bus as the elements, so that it is right whatever they load: new states, the initial
    state, or the input that happens to be there when an answer goes alone.

    Parameters:
        design: schedule and widths.

    Members:
        bus: In; as the elements see it.
        start: In; the first element loads: this word begins a pass.
        first_pass: In; with it: the pass is the step's first.
        take: In; pulse, at least ``1 + levels(pairs of a word)`` cycles after the last counted word and
            before the next pass begins: the total of the step so far goes to ``total``.
        total: Out(signed(widths.total_bits)), from the cycle after ``take`` on.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        s = ChainSchedule.of(design.schedule)
        super().__init__(
            {
                "bus": In(operand_bus_layout(s.placement.operand_bits, s.chain.columns_per_element)),
                "start": In(1),
                "first_pass": In(1),
                "take": In(1),
                "total": Out(signed(s.widths.total_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = LutPlacement.of(self._design.schedule)

        # Words 1, 2, ... of a pass follow its first; the elements behind the counted ones need no total.
        counted = p.total_elements
        left = Signal(range(counted + 1))
        with m.If(self.start):
            m.d.sync += left.eq(counted - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        valid, first = self.start | (left != 0), self.start & self.first_pass

        terms = [pair.sum for pair in self.bus.pairs]
        for level in range(levels(len(terms))):
            added = []
            for i in range(0, len(terms), 2):
                value = sum(terms[i + 1 : i + 2], terms[i])
                register = Signal.like(value, name=f"level{level}_{i}", reset_less=True)
                m.d.sync += register.eq(value)
                added.append(register)
            terms = added
            delayed = [Signal(name=f"{name}_{level}") for name in ("valid", "first")]
            m.d.sync += [delayed[0].eq(valid), delayed[1].eq(first)]
            valid, first = delayed

        running = Signal.like(self.total, reset_less=True)
        total = Signal.like(self.total, reset_less=True)
        base = Signal.like(self.total)
        with m.If(~first):
            m.d.comb += base.eq(running)
        with m.If(valid):
            m.d.sync += running.eq(base + terms[0])
        with m.If(self.take):
            m.d.sync += total.eq(running)
        m.d.comb += self.total.eq(total)
        return m
