"""The logits of the tile engine: the sums of the readout, one behind the other."""

from typing import Any

from amaranth.hdl import Array, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.layout import TileLayout

__all__ = ["Logits"]


class Logits(wiring.Component):
    """Adds the chunks of a logit and its constant; a logit in each phase, as far as a slot has some.

    Parameters:
        layout: the network on the engine.

    Members:
        enable: In; the stage is the readout.
        phase: In; of the tail.
        valid: In; a slot is there.
        constant: In(signed); of the logit of the cycle before.
        begin: In; pulse, in a stage's first cycle.
        sum_<f>_<j>: In(signed); the sums of a slot.
        logit: Out(signed).
        logit_valid: Out.
        retire: Out; pulse, in the cycle behind that in which the last sums are taken.

    Latency: 2 cycles from the sums to the logit.
    """

    def __init__(self, layout: TileLayout) -> None:
        self._layout = p = layout
        members: dict[str, Any] = {name: In(1) for name in ("enable", "valid", "begin")}
        members |= {
            f"sum_{f}_{j}": In(signed(bits))
            for f, bits in enumerate(p.phase_bits)
            for j in range(p.unit_lanes)
        }
        members |= {
            "phase": In(range(p.shape.interval)),
            "constant": In(signed(p.logit_bits)),
            "logit": Out(signed(p.ranges.bits(p.network.readout.logits.name))),
            "logit_valid": Out(1),
            "retire": Out(1),
        }
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._layout
        number, picked_valid = Signal(range(p.network.output_size)), Signal()
        # Behind the last logit nothing comes: its slot may have more phases.
        here, last, over = Signal(), Signal(), Signal()
        m.d.comb += [
            last.eq(number == p.network.output_size - 1),
            here.eq(self.enable & self.valid & (self.phase < p.slot_logits) & ~over & ~self.begin),
        ]
        with m.If(here):
            m.d.sync += [number.eq(number + 1), over.eq(last)]
        with m.If(self.begin):
            m.d.sync += [number.eq(0), over.eq(0)]
        total: Any = self.constant
        stage = p.stages[-1]
        first = len(p.phase_bits) - len(stage.phases)
        for chain, phase in enumerate(stage.phases, first):
            sums = [getattr(self, f"sum_{chain}_{j}") for j in range(p.slot_logits)]
            picked = Signal(signed(p.phase_bits[chain]), name=f"picked_{chain}", reset_less=True)
            m.d.sync += picked.eq(Array(sums)[self.phase] if len(sums) > 1 else sums[0])
            total = total + (picked << phase.matrices[0].shift)
        logit = Signal.like(self.logit, reset_less=True)
        m.d.sync += [
            picked_valid.eq(here),
            logit.eq(total),
            self.logit_valid.eq(picked_valid),
            self.retire.eq(here & last),
        ]
        m.d.comb += self.logit.eq(logit)
        return m
