"""UART receiver: 8 data bits, no parity, one stop bit, least significant bit first."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.rtl_gen.links.byte_streams import from_host

__all__ = ["UartReceiver"]


class UartReceiver(wiring.Component):
    """Bytes from a serial line.

    The line passes two synchronizing flip-flops. A bit is the majority of three samples around its centre. A
    start bit that has ended before its centre is a glitch and is ignored. A byte whose stop bit is low has
    ``error`` set, and the next start bit needs a high line first, so a break gives only one error.

    Parameters:
        phase_bits: Bits of the phase.

    Members:
        increment: In(phase_bits): See :func:`qornn_hw.rtl_gen.links.uart.rate.phase_increment`; constant.
        rx: In(1): The serial line; asynchronous, high when idle.
        o: Out(:func:`qornn_hw.rtl_gen.links.byte_streams.from_host`): A byte, valid for one cycle; nothing
            can hold it back.

    Latency: From the start bit's edge to ``o``: 9.5 bits and 6 cycles.
    """

    def __init__(self, *, phase_bits: int) -> None:
        self._phase_bits = phase_bits
        super().__init__(
            {
                "increment": In(phase_bits),
                "rx": In(1),
                "o": Out(from_host()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # The line idles high; any other initial value would look like a start bit after power-up.
        samples = Signal(4, init=0b1111)
        m.d.sync += samples.eq(Cat(self.rx, samples[:-1]))
        # samples[0] may be metastable and is not used.
        a, b, c = samples[1], samples[2], samples[3]
        level = Signal()
        m.d.comb += level.eq((a & b) | (b & c) | (a & c))
        was_high = Signal()
        m.d.sync += was_high.eq(level)

        busy = Signal()
        start = Signal()
        # No reset: the idle state sets it, and two ways to set a bit would break the carry chain.
        phase = Signal(self._phase_bits, reset_less=True)
        # High for the cycle after an overflow: a bit's centre.
        centre = Signal()
        # A one enters at the top and marks the stop bit when it arrives at the bottom.
        bits = Signal(10)
        # One cycle later, from flip-flops: the byte has moved on by one bit.
        done, error = Signal(), Signal()
        m.d.sync += [done.eq(busy & centre & bits[0]), error.eq(~level)]
        m.d.comb += [
            self.o.payload.data.eq(bits[1:9]),
            self.o.payload.error.eq(error),
            self.o.valid.eq(done),
        ]
        m.d.sync += Cat(phase, centre).eq(phase + self.increment)
        with m.If(~busy):
            # Half a bit to the first centre, less about one cycle, by which the edge is detected late.
            m.d.sync += [phase.eq(0b1001 << (self._phase_bits - 4)), centre.eq(0)]
            with m.If(was_high & ~level):
                m.d.sync += [busy.eq(1), start.eq(1), bits.eq(1 << 9)]
        with m.Elif(centre):
            m.d.sync += [start.eq(0), bits.eq(Cat(bits[1:], level))]
            # The byte ends in the middle of the stop bit: half a bit remains to detect the next start bit
            # of a sender that is slightly fast.
            with m.If(bits[0] | (start & level)):
                m.d.sync += busy.eq(0)
        return m
