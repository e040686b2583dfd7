"""The slots of the tile engine's tail: when a unit enters, and which."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.layout import TileLayout

__all__ = ["Slots"]


class Slots(wiring.Component):
    """Counts phases, the slots of a pass, and those of a stage.

    Parameters:
        layout: the network on the engine.

    Members:
        begin: In; pulse, in a stage's first cycle.
        stage: In; which.
        load: In; pulse: the sums of a pass are taken.
        phase: Out; 0 in the cycle behind ``load``.
        valid: Out; a slot is there, for a cycle in each phase.
        unit: Out; its number.
        shift: Out; the next slot of the pass.
    """

    def __init__(self, layout: TileLayout) -> None:
        self._layout = p = layout
        super().__init__(
            {
                "begin": In(1),
                "stage": In(range(len(p.stages))),
                "load": In(1),
                "phase": Out(range(p.shape.interval)),
                "valid": Out(1),
                "unit": Out(range(max(stage.slots for stage in p.stages))),
                "shift": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._layout
        g = p.shape.interval
        left, last = Signal(range(p.pass_slots + 1)), Signal.like(self.unit)
        some, over = Signal(), Signal()
        m.d.comb += [self.shift.eq(1 if g == 1 else self.phase == g - 1), some.eq(left != 0)]
        if g > 1:
            m.d.sync += self.phase.eq(self.phase + 1)
            with m.If(self.shift):
                m.d.sync += self.phase.eq(0)
        with m.Switch(self.stage):
            for number, stage in enumerate(p.stages):
                with m.Case(number):
                    m.d.comb += last.eq(stage.slots - 1)
        m.d.comb += self.valid.eq(some & ~over)
        with m.If(self.shift):
            with m.If(some):
                m.d.sync += left.eq(left - 1)
            with m.If(self.valid):
                m.d.sync += self.unit.eq(self.unit + 1)
                with m.If(self.unit == last):
                    m.d.sync += [self.unit.eq(0), over.eq(1)]
        with m.If(self.load):
            m.d.sync += left.eq(p.pass_slots)
        with m.If(self.begin):
            m.d.sync += [self.unit.eq(0), left.eq(0), over.eq(0)]
            if g > 1:
                # The first slot is there in phase 0.
                with m.Switch(self.stage):
                    for number, stage in enumerate(p.stages):
                        with m.Case(number):
                            m.d.sync += self.phase.eq((1 - p.transform_cycles(stage) - p.burst(stage)) % g)
        return m
