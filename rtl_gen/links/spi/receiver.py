"""SPI receiver: bytes from the host, most significant bit first, stuffed."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.spi.stuffing import ESCAPE, FLIP, IDLE
from qornn_hw.rtl_gen.links.byte_streams import BYTE_CYCLES_MIN, from_host
from qornn_hw.rtl_gen.links.spi.pins import spi_events

__all__ = ["SpiReceiver"]


class SpiReceiver(wiring.Component):
    """Bytes from COPI, stuffed as in :mod:`qornn_hw.link.spi.stuffing`.

    A byte is eight rising edges of SCK; CS aligns the bytes. If CS is released within a byte, a byte with
    ``error`` set is transferred. Whatever the pins do, two transfers are at least 12 cycles apart: an error
    waits until then, and edges of SCK are ignored until it is reported.

    Members:
        pins: In(:func:`qornn_hw.rtl_gen.links.spi.pins.spi_events`): What the pins do.
        o: Out(:func:`qornn_hw.rtl_gen.links.byte_streams.from_host`): A byte, valid for one cycle; nothing
            can hold it back.

    Latency: 2 cycles from the pulse of the eighth edge to ``o``.
    """

    def __init__(self) -> None:
        super().__init__({"pins": In(spi_events()), "o": Out(from_host())})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        pins = self.pins
        # Always written before it is read.
        bits = Signal(8, reset_less=True)
        count = Signal(3)
        # ``bits`` is a byte; the one before it was ESCAPE.
        done, escaped = Signal(), Signal()
        idle, escape = Signal(), Signal()
        flip = Signal()
        # CS was released within a byte.
        broken = Signal()
        # Cycles since the latest transfer, up to the least number that there must be.
        since = Signal(range(BYTE_CYCLES_MIN), init=BYTE_CYCLES_MIN - 1)
        rested = Signal()
        taken, report = Signal(), Signal()
        m.d.comb += [
            rested.eq(since == BYTE_CYCLES_MIN - 1),
            taken.eq(pins.rise & ~broken),
            report.eq(broken & rested),
            idle.eq(bits == IDLE),
            escape.eq(bits == ESCAPE),
            self.o.payload.data.eq(bits ^ Mux(flip, FLIP, 0)),
        ]
        m.d.sync += [
            done.eq(taken & count.all()),
            flip.eq(escaped),
            self.o.valid.eq((done & ~idle & ~escape) | report),
            self.o.payload.error.eq(report),
        ]
        with m.If(taken):
            m.d.sync += [bits.eq(Cat(pins.bit, bits)), count.eq(count + 1)]
        with m.If(done & ~idle):
            m.d.sync += escaped.eq(escape)
        with m.If(report):
            m.d.sync += [broken.eq(0), escaped.eq(0)]
        with m.If(pins.end):
            m.d.sync += count.eq(0)
            with m.If(count != 0):
                m.d.sync += broken.eq(1)
        with m.If(self.o.valid):
            m.d.sync += since.eq(1)
        with m.Elif(~rested):
            m.d.sync += since.eq(since + 1)
        return m
