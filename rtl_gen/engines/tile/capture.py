"""The sums of a pass on their way from the lanes to the tail, a unit at a time."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Capture"]


class Capture(wiring.Component):
    """Takes the accumulators at the end of each phase, and gives those of one unit after the other.

    The sums of a phase that is not the pass' last are held beside the accumulators. At the end of the pass
    all go into shift registers, one for each phase, which move on by the lanes of a unit.

    Parameters:
        lanes: how many there are.
        unit_lanes: of them for a unit.
        accumulator_bits: signed.
        phase_bits: signed bits of the sums of each phase, the pass' last phase last.

    Members:
        accumulator_<l>: In(signed); of lane l.
        hold_<f>: In; pulse: the accumulators are those of phase f, which is not the last.
        load: In; pulse: the accumulators are those of the last phase.
        shift: In; the next unit.
        sum_<f>_<j>: Out(signed); of phase f and lane j of the unit.

    Latency: 1 cycle from ``load`` to the sums of the first unit.
    """

    def __init__(
        self, *, lanes: int, unit_lanes: int, accumulator_bits: int, phase_bits: tuple[int, ...]
    ) -> None:
        self._lanes, self._unit_lanes, self._phase_bits = lanes, unit_lanes, phase_bits
        members: dict[str, Any] = {"load": In(1), "shift": In(1)}
        members |= {f"accumulator_{lane}": In(signed(accumulator_bits)) for lane in range(lanes)}
        members |= {f"hold_{phase}": In(1) for phase in range(len(phase_bits) - 1)}
        members |= {
            f"sum_{phase}_{j}": Out(signed(bits))
            for phase, bits in enumerate(phase_bits)
            for j in range(unit_lanes)
        }
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        for phase, bits in enumerate(self._phase_bits):
            taken = [self._taken(m, phase, bits, lane) for lane in range(self._lanes)]
            chain = [
                Signal(signed(bits), name=f"chain_{phase}_{lane}", reset_less=True)
                for lane in range(self._lanes)
            ]
            behind = chain[self._unit_lanes :]
            with m.If(self.load | self.shift):
                for lane, register in enumerate(chain):
                    if lane < len(behind):
                        m.d.sync += register.eq(Mux(self.load, taken[lane], behind[lane]))
                    else:
                        m.d.sync += register.eq(taken[lane])
            m.d.comb += [getattr(self, f"sum_{phase}_{j}").eq(chain[j]) for j in range(self._unit_lanes)]
        return m

    def _taken(self, m: Module, phase: int, bits: int, lane: int) -> Any:
        """Return what a chain takes of a lane: its accumulator, or what is held of it."""
        accumulator = getattr(self, f"accumulator_{lane}")[:bits]
        if phase == len(self._phase_bits) - 1:
            return accumulator
        held = Signal(bits, name=f"held_{phase}_{lane}", reset_less=True)
        with m.If(getattr(self, f"hold_{phase}")):
            m.d.sync += held.eq(accumulator)
        return held
