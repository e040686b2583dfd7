"""The sums of the operands' entries, with which accumulators start."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.layout import TileLayout
from qornn_hw.ir.formats import bits_for_range

__all__ = ["Totals"]


class Totals(wiring.Component):
    """``offset * sum of entries`` of the vector of a phase (:mod:`qornn_hw.compiler.engines.tile.digits`).

    The entries are added up as they are stored. A state has a total of the old entries and one of the new.

    Parameters:
        layout: the network on the engine.

    Members:
        stage, phase: In; whose total is wanted.
        starting: In; old entries are the initial ones.
        use: In; the bank of the step's input.
        done: In; pulse: the new entries of the states are the old ones from now on.
        write: In; an entry of the input comes.
        fill: In; its bank.
        input: In(signed); the entry.
        input_first: In; it is the vector's first.
        store_<k>: In; an entry of vector k comes, of :attr:`TileLayout.vectors`.
        stored: In(signed); the entry.
        stored_first: In; it is the vector's first.
        total: Out(signed).

    Latency: 1 cycle.
    """

    def __init__(self, layout: TileLayout) -> None:
        self._layout = p = layout
        bits, self._bits = p.operand_bits, {}
        reach = 1
        for stage in p.stages:
            for phase in stage.phases:
                value, size = p.ranges.values[phase.vector], phase.columns
                ends = [min(0, size * value.least), max(0, size * value.most)]
                self._bits[phase.vector] = bits_for_range(*ends)
                offset = phase.matrices[0].offset
                reach = max(reach, bits_for_range(offset * ends[0], offset * ends[1]))
        members: dict[str, Any] = {
            name: In(1)
            for name in ("starting", "use", "done", "write", "fill", "input_first", "stored_first")
        }
        members |= {f"store_{number}": In(1) for number in range(len(p.vectors))}
        members |= {
            "stage": In(range(len(p.stages))),
            "phase": In(range(max(len(stage.phases) for stage in p.stages))),
            "input": In(signed(bits)),
            "stored": In(signed(bits)),
            "total": Out(signed(reach)),
        }
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._layout
        self._registers(m)
        wanted = {phase.vector for stage in p.stages for phase in stage.phases if phase.matrices[0].offset}
        old: dict[str, Any] = {}
        new: dict[str, Any] = {}
        for number, vector in enumerate(p.vectors):
            if vector not in wanted:
                continue
            if vector == p.network.input.name:
                old[vector] = new[vector] = self._of_input(m, vector)
            else:
                found = self._of_stored(m, number, vector)
                new[vector] = old[vector] = found
                if vector in p.network.states:
                    old[vector] = self._of_old(m, vector, found)
        # No default: a switch on a phase of no bits would have two cases for the one value, and Amaranth's
        # simulator and the Verilog choose differently.
        m.d.sync += self.total.eq(0)
        with m.Switch(self.stage):
            for number, stage in enumerate(p.stages):
                with m.Case(number):
                    with m.Switch(self.phase):
                        for index, phase in enumerate(stage.phases):
                            if offset := phase.matrices[0].offset:
                                source = new if p.is_fresh(phase.vector, number) else old
                                with m.Case(index):
                                    m.d.sync += self.total.eq(offset * source[phase.vector])
        return m

    def _registers(self, m: Module) -> None:
        """Put registers in front of the adders."""
        self._entry, self._entry_first = Signal.like(self.input), Signal()
        self._unit, self._unit_first = Signal.like(self.stored), Signal()
        self._written = [Signal(name=f"written_{bank}") for bank in range(2)]
        stores = [getattr(self, f"store_{number}") for number in range(len(self._layout.vectors))]
        self._stores = [Signal(name=f"stores_{number}") for number in range(len(stores))]
        m.d.sync += [
            self._entry.eq(self.input),
            self._entry_first.eq(self.input_first),
            self._unit.eq(self.stored),
            self._unit_first.eq(self.stored_first),
            *(held.eq(self.write & (self.fill == bank)) for bank, held in enumerate(self._written)),
            *(held.eq(store) for held, store in zip(self._stores, stores, strict=True)),
        ]

    def _of_input(self, m: Module, vector: str) -> Any:
        """Return the total of the bank that is used."""
        totals = [
            Signal(signed(self._bits[vector]), name=f"total_input_{bank}", reset_less=True)
            for bank in range(2)
        ]
        for bank, total in enumerate(totals):
            with m.If(self._written[bank]):
                m.d.sync += total.eq(Mux(self._entry_first, 0, total) + self._entry)
        return Mux(self.use, totals[1], totals[0])

    def _of_stored(self, m: Module, number: int, vector: str) -> Signal:
        """Return the total of what the step has stored."""
        total = Signal(signed(self._bits[vector]), name=f"total_{number}", reset_less=True)
        with m.If(self._stores[number]):
            m.d.sync += total.eq(Mux(self._unit_first, 0, total) + self._unit)
        return total

    def _of_old(self, m: Module, vector: str, total: Signal) -> Any:
        """Return the total of a state before the step."""
        before = Signal.like(total, name=f"{total.name}_before")
        # The last entry is added in the cycle of the pulse.
        done = Signal(name=f"{total.name}_done")
        m.d.sync += done.eq(self.done)
        with m.If(done):
            m.d.sync += before.eq(total)
        initial = int(self._layout.network.states[vector].initial.sum())
        return Mux(self.starting, initial, before)
