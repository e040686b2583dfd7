"""UART receiver and transmitter: 8 data bits, no parity, one stop bit, least significant bit first."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CLOCKS_PER_BIT_MIN", "ReceivedByte", "UartReceiver", "UartTransmitter"]

# Below this the sampling point is more than 1/16 of a bit off its centre.
CLOCKS_PER_BIT_MIN = 8

ReceivedByte = data.StructLayout({"data": 8, "error": 1})


def _check_clocks_per_bit(clocks_per_bit: int) -> None:
    if not isinstance(clocks_per_bit, int) or clocks_per_bit < CLOCKS_PER_BIT_MIN:
        raise ValueError(
            f"clocks_per_bit must be an integer of at least {CLOCKS_PER_BIT_MIN}, not {clocks_per_bit!r}"
        )


class UartReceiver(wiring.Component):
    """Bytes from a serial line.

    The line passes two synchronizing flip-flops; a bit is the majority of three samples round its centre. A
    start bit that is gone at its centre is a glitch and is forgotten. A byte whose stop bit is low comes out
    with ``error`` set, and the next start bit needs a high line first, so that a break gives one error only.

    Parameters:
        clocks_per_bit: Clock cycles of one bit, at least 8.

    Members:
        rx: In(1): The serial line; asynchronous, high when idle.
        o: Out(stream.Signature(ReceivedByte, always_ready=True)): A byte, valid for one cycle; nothing can
            hold it back.

    Latency: From the start bit's edge to ``o``: ``9.5 * clocks_per_bit`` and 5 cycles.
    """

    def __init__(self, *, clocks_per_bit: int) -> None:
        _check_clocks_per_bit(clocks_per_bit)
        self._clocks_per_bit = clocks_per_bit
        super().__init__({"rx": In(1), "o": Out(stream.Signature(ReceivedByte, always_ready=True))})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # The line idles high; starting from anything else would look like a start bit after power-up.
        samples = Signal(4, init=0b1111)
        m.d.sync += samples.eq(Cat(self.rx, samples[:-1]))
        # samples[0] may be metastable and is not looked at.
        a, b, c = samples[1], samples[2], samples[3]
        level = Signal()
        m.d.comb += level.eq((a & b) | (b & c) | (a & c))
        was_high = Signal()
        m.d.sync += was_high.eq(level)

        busy = Signal()
        start = Signal()
        timer = Signal(range(self._clocks_per_bit))
        # A one enters at the top and marks the stop bit when it arrives at the bottom.
        bits = Signal(10)
        # Given a cycle later, from flip-flops: the byte has moved on by one bit.
        done, error = Signal(), Signal()
        m.d.sync += [done.eq(busy & (timer == 0) & bits[0]), error.eq(~level)]
        m.d.comb += [
            self.o.payload.data.eq(bits[1:9]),
            self.o.payload.error.eq(error),
            self.o.valid.eq(done),
        ]
        with m.If(~busy):
            with m.If(was_high & ~level):
                m.d.sync += [
                    busy.eq(1),
                    start.eq(1),
                    timer.eq(self._clocks_per_bit // 2 - 1),
                    bits.eq(1 << 9),
                ]
        with m.Elif(timer == 0):
            m.d.sync += [
                start.eq(0),
                timer.eq(self._clocks_per_bit - 1),
                bits.eq(Cat(bits[1:], level)),
            ]
            # Done in the middle of the stop bit: half a bit remains to catch a fast sender's next edge.
            with m.If(bits[0] | (start & level)):
                m.d.sync += busy.eq(0)
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a serial line.

    Parameters:
        clocks_per_bit: Clock cycles of one bit, at least 8.

    Members:
        i: In(stream.Signature(8)): Bytes to send.
        tx: Out(1): The serial line, straight from a flip-flop; high when idle.

    Latency: The start bit begins in the cycle after the transfer; a byte takes ``10 * clocks_per_bit``
        cycles.
    """

    def __init__(self, *, clocks_per_bit: int) -> None:
        _check_clocks_per_bit(clocks_per_bit)
        self._clocks_per_bit = clocks_per_bit
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Start bit, data and stop bit, zeros behind them: a lone one at the bottom is stop bit or idleness.
        bits = Signal(10, init=1)
        timer = Signal(range(self._clocks_per_bit))
        last = bits[1:] == 0
        # last & (timer == 0), from a flip-flop: whoever sends looks far behind it.
        ready = Signal(init=1)
        m.d.comb += [self.tx.eq(bits[0]), self.i.ready.eq(ready)]
        with m.If(timer != 0):
            m.d.sync += [timer.eq(timer - 1), ready.eq(last & (timer == 1))]
        with m.Elif(~ready | self.i.valid):
            m.d.sync += [
                ready.eq(0),
                timer.eq(self._clocks_per_bit - 1),
                bits.eq(Mux(ready, Cat(0, self.i.payload, 1), bits[1:])),
            ]
        return m
