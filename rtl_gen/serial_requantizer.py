"""From the accumulator's precision to the state's, one unit after the other, without a multiplier."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.design import Design
from qornn_hw.dsp_schedule import DspSchedule
from qornn_hw.network import Activation
from qornn_hw.rom import RomImage
from rtl_gen.ram import Ram
from rtl_gen.rom import Rom
from rtl_gen.saturate import saturate

__all__ = ["SerialRequantizer"]


class SerialRequantizer(wiring.Component):
    """Complete sums into a memory at a unit a cycle, states out of it at a unit in ``drain_cycles``.

    The product with M is formed bit by bit, the highest first: ``total = 2 total + m value``. Neither the bit
    nor the gate costs logic: the bits of M are a memory of their own, and where a bit is 0 the value is read
    from the half of its memory that holds zeros. The rounding constant's bits come in at the lower end, which
    the doubling leaves free. Rounding, saturation and table are those of
    :class:`rtl_gen.requantizer.Requantizer`.

    Parameters:
        design: constants and formats.

    Members:
        unit: In; index of the unit whose value is there; a step's come in order, one a cycle.
        value: In(signed(activated_bits)).
        valid: In.
        result: Out(signed(state_bits)); states in the order of the units.
        result_valid: Out.

    Latency: unit u of a step is out ``3 + (u + 1) * drain_cycles`` cycles after unit 0 went in. The values of
    a step may follow when its last state is out.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        s, net = design.schedule, design.network
        super().__init__(
            {
                "unit": In(range(net.hidden_size)),
                "value": In(signed(s.activated_bits)),
                "valid": In(1),
                "result": Out(signed(net.state_bits)),
                "result_valid": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        design, net = self._design, self._design.network
        s = design.schedule
        assert isinstance(s, DspSchedule)
        factor_bits, n = s.multiplier_bits, net.hidden_size
        constant = design.rounding_constant

        # -- phases: factor_bits bits, and one cycle that starts the next total --------------------
        draining = Signal()
        unit = Signal(range(n))
        phase = Signal(range(factor_bits + 1))
        at_end = phase == factor_bits
        with m.If(draining):
            m.d.sync += phase.eq(Mux(at_end, 0, phase + 1))
            with m.If(at_end):
                m.d.sync += unit.eq(unit + 1)
                with m.If(unit == n - 1):
                    m.d.sync += [unit.eq(0), draining.eq(0)]
        with m.If(self.valid & (self.unit == 0)):
            m.d.sync += draining.eq(1)

        # -- the bit of M: a cycle behind the phase ------------------------------------------------
        bit = Signal()
        if design.multiplier is not None:
            bits = Const(int(f"{design.multiplier:0{factor_bits}b}"[::-1], 2), factor_bits)
            m.d.sync += bit.eq(bits.bit_select(phase, 1))
        else:
            m.submodules.factors = factors = Rom(_factor_image(design))
            at = phase[: max(1, (factor_bits - 1).bit_length())]
            m.d.comb += [factors.addr.eq(Cat(at, unit)), bit.eq(factors.data)]

        # -- value or zero: two cycles behind the phase --------------------------------------------
        half = 1 << max(1, (n - 1).bit_length())
        m.submodules.values = values = Ram(width=s.activated_bits, depth=2 * half)
        m.d.comb += [
            values.w_addr.eq(self.unit),
            values.w_data.eq(self.value),
            values.w_en.eq(self.valid),
            values.r_addr.eq(unit | Mux(bit, 0, half)),
        ]

        # -- total ---------------------------------------------------------------------------------
        # The sum with all of the constant, as it is when the last bit is in.
        total_bits = max(s.activated_bits + factor_bits, constant.bit_length()) + 2
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

        saturated = saturate(
            m,
            total,
            shift=net.shift,
            rounding=net.rounding,
            bits=net.index_bits,
            relu=net.activation is Activation.RELU,
        )
        complete = Signal(3)
        m.d.sync += complete.eq(Cat(draining & at_end, complete[:2]))
        m.d.comb += self.result_valid.eq(complete[2])
        if design.table_image is None:
            result = Signal.like(self.result, reset_less=True)
            m.d.sync += result.eq(saturated)
            m.d.comb += self.result.eq(result)
        else:
            m.submodules.table = table = Rom(design.table_image)
            m.d.comb += [table.addr.eq(saturated), self.result.eq(table.data)]
        return m


def _factor_image(design: Design) -> RomImage:
    """Return the bits of M, the highest first, of unit u from ``u << bits of a phase`` on."""
    s, image = design.schedule, design.constant_image
    count = s.multiplier_bits
    stride = 1 << max(1, (count - 1).bit_length())
    words = [0] * (design.network.hidden_size * stride)
    for unit in range(design.network.hidden_size):
        factor = image.words[unit] >> (image.width - count)
        for j in range(count):
            words[unit * stride + j] = factor >> (count - 1 - j) & 1
    return RomImage("factors", 1, tuple(words))
