"""From the accumulator's precision to the state's, one unit after the other, without a multiplier."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.activation_stages import state_latency
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.rtl_gen.ram import Ram
from qornn_hw.rtl_gen.rom import Rom
from qornn_hw.rtl_gen.saturate import saturate
from qornn_hw.rtl_gen.state_pieces import StatePieces

__all__ = ["SerialRequantizer"]


class SerialRequantizer(wiring.Component):
    """Complete sums into a memory at a unit a cycle, states out of it at a unit in ``drain_cycles``.

    The product with M is formed bit by bit, the highest first: ``total = 2 total + m value``. Neither the bit
    nor the gate costs logic: the bits of M are a memory of their own, and where a bit is 0 the value is read
    from the half of its memory that holds zeros. The rounding constant's bits come in at the lower end, which
    the doubling leaves free. Rounding, saturation and table are those of
    :class:`qornn_hw.rtl_gen.requantizer.Requantizer`.

    Parameters:
        design: constants and formats.

    Members:
        unit: In; index of the unit whose value is there; a step's come in order, one a cycle.
        value: In(signed(activated_bits)).
        valid: In.
        result: Out(signed(state_bits)); states in the order of the units.
        result_valid: Out.

    Latency: unit u of a step is out ``3 + (u + 1) * drain_cycles`` cycles after unit 0 went in, 4 more with
    an activation of straight pieces. The values of
    a step may follow when its last state is out.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        self._widths = w = ChainSchedule.of(design.schedule).widths
        self._factor_bits, net = w.multiplier_bits, design.elman
        super().__init__(
            {
                "unit": In(range(net.hidden_size)),
                "value": In(signed(w.activated_bits)),
                "valid": In(1),
                "result": Out(signed(net.state_bits)),
                "result_valid": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        unit, phase, complete = self._build_phases(m)
        values = self._build_values(m, unit, self._build_factor_bit(m, unit, phase))
        self._build_result(m, self._build_total(m, phase, values), complete)
        return m

    def _build_phases(self, m: Module) -> tuple[Signal, Signal, Any]:
        """Return the unit that is drained, the phase, and whether its total is complete after this cycle.

        A unit has a phase for each bit of M, and one that starts the next total.
        """
        n = self._design.elman.hidden_size
        draining = Signal()
        unit = Signal(range(n))
        phase = Signal(range(self._factor_bits + 1))
        at_end = phase == self._factor_bits
        with m.If(draining):
            m.d.sync += phase.eq(Mux(at_end, 0, phase + 1))
            with m.If(at_end):
                m.d.sync += unit.eq(unit + 1)
                with m.If(unit == n - 1):
                    m.d.sync += [unit.eq(0), draining.eq(0)]
        with m.If(self.valid & (self.unit == 0)):
            m.d.sync += draining.eq(1)
        return unit, phase, draining & at_end

    def _build_factor_bit(self, m: Module, unit: Signal, phase: Signal) -> Signal:
        """Return the bit of M, a cycle behind the phase."""
        design, factor_bits = self._design, self._factor_bits
        bit = Signal()
        if design.multiplier is not None:
            bits = Const(int(f"{design.multiplier:0{factor_bits}b}"[::-1], 2), factor_bits)
            m.d.sync += bit.eq(bits.bit_select(phase, 1))
        else:
            m.submodules.factors = factors = Rom(design.memory("factors"))
            at = phase[: max(1, (factor_bits - 1).bit_length())]
            m.d.comb += [factors.addr.eq(Cat(at, unit)), bit.eq(factors.data)]
        return bit

    def _build_values(self, m: Module, unit: Signal, bit: Signal) -> Ram:
        """Return the memory of values, which gives a value or zero, two cycles behind the phase."""
        n = self._design.elman.hidden_size
        half = 1 << max(1, (n - 1).bit_length())
        m.submodules.values = values = Ram(width=self._widths.activated_bits, depth=2 * half)
        m.d.comb += [
            values.w_addr.eq(self.unit),
            values.w_data.eq(self.value),
            values.w_en.eq(self.valid),
            values.r_addr.eq(unit | Mux(bit, 0, half)),
        ]
        return values

    def _build_total(self, m: Module, phase: Signal, values: Ram) -> Signal:
        """Return the sum of the product and the rounding constant; it is complete in phase 1."""
        factor_bits, constant = self._factor_bits, self._design.rounding_constant
        # The sum with all of the constant, as it is when the last bit is in.
        total_bits = max(self._widths.activated_bits + factor_bits, constant.bit_length()) + 2
        total = Signal(signed(total_bits), reset_less=True)
        # Phase 1 has the finished total of the unit before. The bits of the constant below those that it
        # starts with come in with those of M, from the highest on: with bit j in phase j + 2.
        low_bits = constant & ((1 << factor_bits) - 1)
        lower = Signal()
        for j in range(factor_bits):
            if low_bits >> (factor_bits - 1 - j) & 1:
                m.d.comb += lower.eq(phase == (j + 2) % (factor_bits + 1))
        m.d.sync += total.eq(Cat(lower, total[:-1]).as_signed() + values.r_data.as_signed())
        with m.If(phase == 1):
            m.d.sync += total.eq(constant >> factor_bits)
        return total

    def _build_result(self, m: Module, total: Signal, completed: Any) -> None:
        """Shift, round and saturate a complete total, and look it up in the table if there is one."""
        design, net = self._design, self._design.elman
        saturated = saturate(
            m,
            total,
            shift=net.shift,
            rounding=net.rounding,
            bits=net.index_bits,
            relu=net.activation.shape.rectified,
        )
        complete = Signal(3 + state_latency(net.activation.shape))
        m.d.sync += complete.eq(Cat(completed, complete[:-1]))
        m.d.comb += self.result_valid.eq(complete[-1])
        if design.pieces is not None:
            m.submodules.pieces = pieces = StatePieces(design)
            index = Signal.like(pieces.index, reset_less=True)
            m.d.sync += index.eq(saturated)
            m.d.comb += [pieces.index.eq(index), self.result.eq(pieces.state)]
        elif design.find_memory("table") is None:
            result = Signal.like(self.result, reset_less=True)
            m.d.sync += result.eq(saturated)
            m.d.comb += self.result.eq(result)
        else:
            m.submodules.table = table = Rom(design.memory("table"))
            # Unsigned: where the memory has a word more than the table, a bit of the address is always 0.
            m.d.comb += [table.addr.eq(saturated.as_unsigned()), self.result.eq(table.data)]
