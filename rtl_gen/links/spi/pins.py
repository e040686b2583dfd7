"""The pins of an SPI device in the clock domain of the core: levels and edges."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["SpiPins", "spi_events"]


def spi_events() -> wiring.Signature:
    """Return the port from the pins to receiver and transmitter, with the members of :class:`SpiPins`."""
    return wiring.Signature(
        {"selected": Out(1), "begin": Out(1), "end": Out(1), "rise": Out(1), "fall": Out(1), "bit": Out(1)}
    )


class SpiPins(wiring.Component):
    """Samples SCK, CS and COPI with the core clock, and finds the edges.

    Each pin passes two synchronizing flip-flops. CS counts as changed when two samples agree, so that a pulse
    of less than one cycle is no change. SCK is not filtered.

    Members:
        sck: In(1): The host's clock; asynchronous, low when idle.
        cs: In(1): The board is selected; asynchronous.
        copi: In(1): Data from the host; asynchronous, stable around the rising edge of SCK.
        o.selected: Out(1): The board is selected.
        o.begin: Out(1): Pulse: the first cycle of ``selected``.
        o.end: Out(1): Pulse: the first cycle after it.
        o.rise: Out(1): Pulse: SCK rose while the board is selected.
        o.fall: Out(1): Pulse: SCK fell while the board is selected.
        o.bit: Out(1): COPI at the rising edge, with ``rise``.

    Latency: 2 to 3 cycles from an edge of SCK to the end of its pulse; 4 to 5 cycles from an edge of CS to
    the end of ``begin`` or ``end``.
    """

    def __init__(self) -> None:
        super().__init__({"sck": In(1), "cs": In(1), "copi": In(1), "o": Out(spi_events())})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        sck, cs = Signal(), Signal()
        m.submodules.sck_sync = FFSynchronizer(self.sck, sck)
        m.submodules.cs_sync = FFSynchronizer(self.cs, cs)
        m.submodules.copi_sync = FFSynchronizer(self.copi, self.o.bit)
        sck_before, cs_before = Signal(), Signal()
        selected_before = Signal()
        m.d.sync += [
            sck_before.eq(sck),
            cs_before.eq(cs),
            selected_before.eq(self.o.selected),
        ]
        with m.If(cs == cs_before):
            m.d.sync += self.o.selected.eq(cs)
        m.d.comb += [
            self.o.begin.eq(self.o.selected & ~selected_before),
            self.o.end.eq(~self.o.selected & selected_before),
            self.o.rise.eq(self.o.selected & sck & ~sck_before),
            self.o.fall.eq(self.o.selected & ~sck & sck_before),
        ]
        return m
