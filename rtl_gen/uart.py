"""UART receiver and transmitter: 8 data bits, no parity, one stop bit, least significant bit first.

A bit need not have a whole number of clocks: a phase is increased by ``increment`` in every cycle, modulo
``2 ** phase_bits``, and a bit ends where it overflows. So any clock gives any rate, and each edge is at most
one cycle late.
"""

import math
from fractions import Fraction
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = [
    "CLOCKS_PER_BIT_MIN",
    "BitRate",
    "ReceivedByte",
    "UartReceiver",
    "UartTransmitter",
    "phase_bits",
    "phase_increment",
]

# Below this the sampling point is more than 1/16 of a bit off its centre.
CLOCKS_PER_BIT_MIN = 8
# Smallest increment of a phase: rounded up to a whole number, it makes a rate at most 0.25 % too high, and a
# byte's last bit at most 2.4 % of a bit early.
INCREMENT_MIN = 400

ReceivedByte = data.StructLayout({"data": 8, "error": 1})


def phase_bits(clocks_per_bit: Fraction | int) -> int:
    """Return the bits of a phase that gives a rate within 0.25 %.

    >>> [phase_bits(n) for n in (8, 12, 33)]
    [12, 13, 14]
    """
    return (math.ceil(clocks_per_bit * INCREMENT_MIN) - 1).bit_length()


def phase_increment(clocks_per_bit: Fraction | int, bits: int) -> int:
    """Return the increment of a phase of ``bits`` bits that overflows every ``clocks_per_bit`` cycles.

    Raises:
        ValueError: a bit has fewer than 8 cycles, or so many that the rate is more than 0.25 % off.

    >>> phase_increment(Fraction(49, 4), 13), phase_increment(12, 13)
    (669, 683)
    """
    if not isinstance(clocks_per_bit, int | Fraction) or clocks_per_bit < CLOCKS_PER_BIT_MIN:
        raise ValueError(
            f"clocks_per_bit must be a whole number or a Fraction of at least {CLOCKS_PER_BIT_MIN}, not "
            f"{clocks_per_bit!r}"
        )
    if phase_bits(clocks_per_bit) > bits:
        raise ValueError(f"a phase of {bits} bits must be wider for {float(clocks_per_bit):g} clocks a bit")
    # Up, so that a whole number of clocks is kept exactly for a byte and more.
    return math.ceil(Fraction(1 << bits) / clocks_per_bit)


class BitRate(wiring.Component):
    """The increment of a UART's phase, a constant.

    Parameters:
        clocks_per_bit: Clock cycles of one bit, at least 8; need not be whole.

    Members:
        increment: Out(bits): What the phase is increased by in every cycle.
    """

    def __init__(self, *, clocks_per_bit: Fraction | int) -> None:
        # One that is none is refused by the second.
        bits = phase_bits(clocks_per_bit) if isinstance(clocks_per_bit, int | Fraction) else 0
        self._value = phase_increment(clocks_per_bit, bits)
        super().__init__({"increment": Out(bits)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.d.comb += self.increment.eq(Const(self._value, len(self.increment)))
        return m


class UartReceiver(wiring.Component):
    """Bytes from a serial line.

    The line passes two synchronizing flip-flops; a bit is the majority of three samples round its centre. A
    start bit that is gone at its centre is a glitch and is forgotten. A byte whose stop bit is low comes out
    with ``error`` set, and the next start bit needs a high line first, so that a break gives one error only.

    Parameters:
        phase_bits: Bits of the phase.

    Members:
        increment: In(phase_bits): See :func:`phase_increment`; constant.
        rx: In(1): The serial line; asynchronous, high when idle.
        o: Out(stream.Signature(ReceivedByte, always_ready=True)): A byte, valid for one cycle; nothing can
            hold it back.

    Latency: From the start bit's edge to ``o``: 9.5 bits and 6 cycles.
    """

    def __init__(self, *, phase_bits: int) -> None:
        self._phase_bits = phase_bits
        super().__init__(
            {
                "increment": In(phase_bits),
                "rx": In(1),
                "o": Out(stream.Signature(ReceivedByte, always_ready=True)),
            }
        )

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
        # Without reset: idleness sets it, and two ways to set a bit would break the carry chain.
        phase = Signal(self._phase_bits, reset_less=True)
        # High for the cycle after an overflow: a bit's centre.
        centre = Signal()
        # A one enters at the top and marks the stop bit when it arrives at the bottom.
        bits = Signal(10)
        # Given a cycle later, from flip-flops: the byte has moved on by one bit.
        done, error = Signal(), Signal()
        m.d.sync += [done.eq(busy & centre & bits[0]), error.eq(~level)]
        m.d.comb += [
            self.o.payload.data.eq(bits[1:9]),
            self.o.payload.error.eq(error),
            self.o.valid.eq(done),
        ]
        m.d.sync += Cat(phase, centre).eq(phase + self.increment)
        with m.If(~busy):
            # Half a bit to the first centre, less about the cycle by which it is seen late.
            m.d.sync += [phase.eq(0b1001 << (self._phase_bits - 4)), centre.eq(0)]
            with m.If(was_high & ~level):
                m.d.sync += [busy.eq(1), start.eq(1), bits.eq(1 << 9)]
        with m.Elif(centre):
            m.d.sync += [start.eq(0), bits.eq(Cat(bits[1:], level))]
            # Done in the middle of the stop bit: half a bit remains to catch a fast sender's next edge.
            with m.If(bits[0] | (start & level)):
                m.d.sync += busy.eq(0)
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a serial line.

    Parameters:
        phase_bits: Bits of the phase.

    Members:
        increment: In(phase_bits): See :func:`phase_increment`; constant.
        i: In(stream.Signature(8)): Bytes to send.
        tx: Out(1): The serial line, straight from a flip-flop; high when idle.

    Latency: The start bit begins in the cycle after the transfer, and at the earliest where the last stop
        bit ends; a byte takes 10 bits.
    """

    def __init__(self, *, phase_bits: int) -> None:
        self._phase_bits = phase_bits
        super().__init__({"increment": In(phase_bits), "i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Start bit, data and stop bit, zeros behind them: a lone one at the bottom is stop bit or idleness.
        bits = Signal(10, init=1)
        idle = Signal(init=1)
        phase = Signal(self._phase_bits, reset_less=True)
        # High for the cycle after an overflow: the last of a bit.
        done = Signal()
        # From a flip-flop: the bits stay for a whole bit, and whoever sends looks far behind ``ready``.
        last = Signal(init=1)
        m.d.sync += last.eq(bits[1:] == 0)
        m.d.comb += [self.tx.eq(bits[0]), self.i.ready.eq(idle | (last & done))]
        m.d.sync += Cat(phase, done).eq(phase + self.increment)
        with m.If(idle):
            # A bit from here, less the cycle by which its end is seen late. Between bytes the phase goes
            # on, so that the rate is kept.
            m.d.sync += [phase.eq(self.increment), done.eq(0)]
        with m.If(self.i.ready):
            m.d.sync += idle.eq(~self.i.valid)
        with m.If((done | idle) & (~last | self.i.valid)):
            m.d.sync += bits.eq(Mux(last, Cat(0, self.i.payload, 1), bits[1:]))
        return m
