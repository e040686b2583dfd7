"""UART transmitter: 8 data bits, no parity, one stop bit, least significant bit first."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.rtl_gen.links.byte_streams import to_host

__all__ = ["UartTransmitter"]


class UartTransmitter(wiring.Component):
    """Bytes to a serial line.

    Parameters:
        phase_bits: Bits of the phase.

    Members:
        increment: In(phase_bits): See :func:`qornn_hw.rtl_gen.links.uart.rate.phase_increment`; constant.
        i: In(:func:`qornn_hw.rtl_gen.links.byte_streams.to_host`): Bytes to send.
        tx: Out(1): The serial line, straight from a flip-flop; high when idle.

    Latency: The start bit begins in the cycle after the transfer, and at the earliest where the last stop
        bit ends; a byte takes 10 bits.
    """

    def __init__(self, *, phase_bits: int) -> None:
        self._phase_bits = phase_bits
        super().__init__({"increment": In(phase_bits), "i": In(to_host()), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Start bit, data and stop bit, then zeros: a single one at the bottom is the stop bit, or idle.
        bits = Signal(10, init=1)
        idle = Signal(init=1)
        phase = Signal(self._phase_bits, reset_less=True)
        # High for the cycle after an overflow: the last of a bit.
        done = Signal()
        # From a flip-flop, which shortens the path through ``ready``: the bits stay for a whole bit.
        last = Signal(init=1)
        m.d.sync += last.eq(bits[1:] == 0)
        m.d.comb += [self.tx.eq(bits[0]), self.i.ready.eq(idle | (last & done))]
        m.d.sync += Cat(phase, done).eq(phase + self.increment)
        with m.If(idle):
            # One bit from here, less one cycle, by which its end is detected late. Between bytes the phase
            # continues, so that the rate is exact.
            m.d.sync += [phase.eq(self.increment), done.eq(0)]
        with m.If(self.i.ready):
            m.d.sync += idle.eq(~self.i.valid)
        with m.If((done | idle) & (~last | self.i.valid)):
            m.d.sync += bits.eq(Mux(last, Cat(0, self.i.payload, 1), bits[1:]))
        return m
