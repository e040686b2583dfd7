"""The readout: logits in hard multipliers beside the chain."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.rtl_gen.delay import delay
from qornn_hw.rtl_gen.ram import Ram
from qornn_hw.rtl_gen.rom import Rom

__all__ = ["Readout"]


@dataclass(frozen=True)
class _Sweep:
    """What is known of the unit that is read: the first or the last one of a sweep, and of which sweep.

    Attributes:
        first: the first unit of a sweep is read.
        final: the last unit of a sweep is read.
        last: the step is the last of its sequence.
        sweeps_left: sweeps after this one.
    """

    first: Signal
    final: Signal
    last: Signal
    sweeps_left: Signal


class Readout(wiring.Component):
    """``y = V g + c`` from new units as they come, with ``readout_lanes`` multiply-accumulates a cycle.

    The units of a step that calls for an answer go into a memory of their own and, from the first one on, are
    read back as often as the outputs take sweeps. In sweep q lane d adds up logit ``q lanes + d``. Behind the
    last unit of a sweep the lanes are asked for their sums one after the other, in the order of the logits.

    Where rows of V in the chain would cost a second block RAM in each element, or more bit planes than W
    needs, this costs multipliers that nobody else uses.

    Parameters:
        design: sizes, V and c.

    Members:
        state: In(signed(state_bits)); a new unit, in the order of the units, a step's without a pause.
        state_valid: In; there is one.
        calls: In; with the first unit of a step: the step calls for an answer. Until ``readout_cycles`` after
            it no unit of another step may come.
        last: In; with it: the step is the last of its sequence.
        logit: Out(signed(logit_bits)), in order.
        valid: Out; there is one.
        logit_last: Out; ``last`` of its step.

    Latency: ``n + 5`` cycles from the first unit to the first logit.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        self._schedule = s = ChainSchedule.of(design.schedule)
        super().__init__(
            {
                "state": In(signed(s.network.state_bits)),
                "state_valid": In(1),
                "calls": In(1),
                "last": In(1),
                "logit": Out(signed(s.widths.logit_bits)),
                "valid": Out(1),
                "logit_last": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Unit u is at u + 1: word 0 stays zero, and so do the products while no unit is read. Counters rest
        # at 0, where the iCE40's flip-flops start: any other number costs inverters in the carry chain.
        n = self._schedule.network.hidden_size
        m.submodules.units = units = Ram(width=self._schedule.network.state_bits, depth=1 << n.bit_length())
        m.submodules.weights = weights = Rom(self._design.memory("readout"))
        sweep = self._build_sweeps(m, units, weights, self._store_units(m, units))
        self._build_logits(m, sweep, self._build_lanes(m, units, weights, sweep))
        return m

    def _store_units(self, m: Module, units: Ram) -> Signal:
        """Write the units as they come, and return whether the first one of an answer does."""
        n = self._schedule.network.hidden_size
        unit, after_unit = Signal(range(n + 1)), Signal(range(n + 1))
        at_first_unit = Signal(init=1)
        begin = Signal()
        m.d.comb += [
            after_unit.eq(unit + 1),
            units.w_addr.eq(after_unit),
            units.w_data.eq(self.state),
            units.w_en.eq(self.state_valid),
            begin.eq(self.state_valid & at_first_unit & self.calls),
        ]
        with m.If(self.state_valid):
            m.d.sync += [unit.eq(Mux(after_unit == n, 0, after_unit)), at_first_unit.eq(after_unit == n)]
        return begin

    def _build_sweeps(self, m: Module, units: Ram, weights: Rom, begin: Signal) -> _Sweep:
        """Read a unit and its weights in each cycle, then wait a cycle for each lane, in every sweep."""
        s = self._schedule
        n, lanes, sweeps = s.network.hidden_size, s.chain.readout_lanes, s.placement.readout_sweeps
        at = Signal(range(n + 1))
        rest = Signal(range(lanes + 1))
        sweeps_left = Signal(range(sweeps))
        address = Signal(range(n * sweeps))
        # ``reading`` is ``at != 0`` and ``final`` is ``at == n``, from flip-flops.
        first, reading, final, last = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [units.r_addr.eq(at), weights.addr.eq(address)]
        m.d.sync += first.eq(0)
        with m.If(begin):
            m.d.sync += [
                at.eq(1),
                reading.eq(1),
                final.eq(n == 1),
                sweeps_left.eq(sweeps - 1),
                address.eq(0),
                first.eq(1),
                last.eq(self.last),
            ]
        with m.Elif(reading):
            m.d.sync += [
                at.eq(Mux(final, 0, at + 1)),
                reading.eq(~final),
                final.eq(at == n - 1),
                rest.eq(lanes - 1),
            ]
            if (n * sweeps).bit_count() == 1:
                m.d.sync += address.eq(address + 1)
            else:
                # It stays at the last word: the lanes go on to add that word times zero.
                with m.If(~final | (sweeps_left != 0)):
                    m.d.sync += address.eq(address + 1)
        with m.Elif(rest != 0):
            m.d.sync += rest.eq(rest - 1)
        with m.Elif(sweeps_left != 0):
            m.d.sync += [
                at.eq(1),
                reading.eq(1),
                final.eq(n == 1),
                sweeps_left.eq(sweeps_left - 1),
                first.eq(1),
            ]
        return _Sweep(first, final, last, sweeps_left)

    def _build_lanes(self, m: Module, units: Ram, weights: Rom, sweep: _Sweep) -> list[Signal]:
        """Return the sums of the lanes: factors, product and sum are in registers of the hard multiplier."""
        s = self._schedule
        lanes = s.chain.readout_lanes
        load = delay(m, sweep.first, 2, "load")
        factor = Signal(signed(s.network.state_bits), reset_less=True)
        m.d.sync += factor.eq(units.r_data)
        sums = []
        row = data.View(data.ArrayLayout(signed(s.placement.readout_weight_bits), lanes), weights.data)
        for d in range(lanes):
            weight = Signal.like(row[d], name=f"weight_{d}", reset_less=True)
            product = Signal(signed(len(weight) + len(factor)), name=f"product_{d}", reset_less=True)
            total = Signal.like(self.logit, name=f"total_{d}", reset_less=True)
            # The last sweep's first.
            constant = Array(self._design.readout_constants[d::lanes][::-1])[sweep.sweeps_left]
            m.d.sync += [
                weight.eq(row[d]),
                product.eq(factor * weight),
                total.eq(Mux(load, constant, total + product)),
            ]
            sums.append(total)
        return sums

    def _build_logits(self, m: Module, sweep: _Sweep, sums: list[Signal]) -> None:
        """Send the sums of the lanes, one after the other."""
        s = self._schedule
        lanes = s.chain.readout_lanes
        done, done_last = delay(m, sweep.final, 4, "done"), delay(m, sweep.last, 4, "done_last")
        asked = Signal(range(lanes))
        asking, logits = Signal(), Signal(range(s.network.output_size))
        m.d.sync += [self.valid.eq(done | asking), self.logit.eq(Array(sums)[asked])]
        with m.If(done | asking):
            end = logits == s.network.output_size - 1
            m.d.sync += [
                asked.eq(Mux(end | (asked == lanes - 1), 0, asked + 1)),
                asking.eq(~end & (asked != lanes - 1)),
                logits.eq(Mux(end, 0, logits + 1)),
            ]
        with m.If(done):
            m.d.sync += self.logit_last.eq(done_last)
