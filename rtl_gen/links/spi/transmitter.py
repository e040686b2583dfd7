"""SPI transmitter: bytes to the host, most significant bit first, stuffed."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.spi.stuffing import ESCAPE, FLIP, IDLE
from qornn_hw.rtl_gen.links.byte_streams import to_host
from qornn_hw.rtl_gen.links.spi.pins import spi_events

__all__ = ["SpiTransmitter"]


class SpiTransmitter(wiring.Component):
    """Bytes to CIPO, stuffed as in :mod:`qornn_hw.link.spi.stuffing`.

    A byte on the wire is chosen when the board is selected, and at the falling edge of SCK behind the byte
    before. A byte of the stream is transferred at the first rising edge of its (last) byte on the wire, where
    the host samples the first bit. So a byte that was chosen is not lost if CS is released before that edge.

    Members:
        pins: In(:func:`qornn_hw.rtl_gen.links.spi.pins.spi_events`): What the pins do.
        i: In(:func:`qornn_hw.rtl_gen.links.byte_streams.to_host`): Bytes to send.
        cipo: Out(1): Data to the host, straight from a flip-flop; changes at the falling edge of SCK.

    Latency: 1 cycle from the pulse of an edge to ``cipo``.
    """

    def __init__(self) -> None:
        super().__init__({"pins": In(spi_events()), "i": In(to_host()), "cipo": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        pins = self.pins
        bits = Signal(8, init=IDLE)
        # Bits of the byte that the host has sampled.
        count = Signal(3)
        # The byte on the wire ends a byte of the stream; it is ESCAPE; the byte before it was.
        ends, escapes, escaped = Signal(), Signal(), Signal()
        special, first = Signal(), Signal()
        m.d.comb += [
            self.cipo.eq(bits[-1]),
            special.eq((self.i.payload == IDLE) | (self.i.payload == ESCAPE)),
            first.eq(pins.rise & (count == 0)),
            self.i.ready.eq(first & ends),
        ]
        with m.If(pins.begin):
            m.d.sync += count.eq(0)
        with m.Elif(pins.rise):
            m.d.sync += count.eq(count + 1)
        with m.If(pins.begin | (pins.fall & (count == 0))):
            m.d.sync += [
                bits.eq(IDLE),
                ends.eq(self.i.valid & (escaped | ~special)),
                escapes.eq(self.i.valid & special & ~escaped),
            ]
            with m.If(self.i.valid):
                m.d.sync += bits.eq(Mux(escaped, self.i.payload ^ FLIP, Mux(special, ESCAPE, self.i.payload)))
        with m.Elif(pins.fall):
            m.d.sync += bits.eq(bits << 1)
        with m.If(first):
            m.d.sync += escaped.eq(escapes)
        return m
