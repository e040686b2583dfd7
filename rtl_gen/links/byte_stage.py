"""Register stage between the physical link's receiver and the frame layer."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.rtl_gen.links.byte_streams import from_host

__all__ = ["ByteStage"]


class ByteStage(wiring.Component):
    """Holds the latest byte, and reports what arrived or that nothing arrives any more.

    The registers separate the logic of the receiver from that of the parser.

    Members:
        i: In(:func:`qornn_hw.rtl_gen.links.byte_streams.from_host`): Bytes.
        tick: In(1): Time base of the timeout, one pulse in many cycles.
        shift: In(1): Shift ``byte`` to the left by one bit; ignored in the cycle in which a byte arrives.
        byte: Out(8): The latest byte, until it is shifted.
        good: Out(1): Pulse: ``byte`` is new and without error.
        bad: Out(1): Pulse: a byte with an error arrived.
        cut: Out(1): Pulse: the frame in progress cannot be completed: ``bad``, or no byte arrived for two
            ticks. The timeout therefore lies between one and two periods of ``tick``.

    Latency: 1 cycle. Throughput: one byte a cycle.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(from_host()),
                "tick": In(1),
                "shift": In(1),
                "byte": Out(8),
                "good": Out(1),
                "bad": Out(1),
                "cut": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Always written before it is read.
        byte = Signal(8, reset_less=True)
        # One tick has passed since the latest byte.
        late = Signal()
        arrived, error = self.i.valid, self.i.payload.error
        m.d.comb += self.byte.eq(byte)
        m.d.sync += [
            self.good.eq(arrived & ~error),
            self.bad.eq(arrived & error),
            self.cut.eq(Mux(arrived, error, self.tick & late)),
        ]
        with m.If(arrived):
            m.d.sync += [byte.eq(self.i.payload.data), late.eq(0)]
        with m.Else():
            with m.If(self.shift):
                m.d.sync += byte.eq(byte << 1)
            with m.If(self.tick):
                m.d.sync += late.eq(1)
        return m
