# amaranth: UnusedElaboratable=no
"""The UART against bit streams made in Python."""

import random
from collections import Counter
from fractions import Fraction
from itertools import groupby

import pytest
from amaranth.sim import Simulator

from qornn_hw.rtl_gen.links.uart.rate import BitRate, phase_bits, phase_increment
from qornn_hw.rtl_gen.links.uart.receiver import UartReceiver
from qornn_hw.rtl_gen.links.uart.transmitter import UartTransmitter

# Rates of the clocks that the PLLs make: whole and broken, few and many cycles a bit.
RATES = [8, 12, 13, 100, *(Fraction(n) for n in ("8.01", "8.33", "12.5", "15.75", "16.25", "33.4", "434.03"))]


def line_of(data, clocks_per_bit, stop=1):
    """Return the line's level in every cycle, for bytes back to back."""
    levels = []
    for byte in data:
        bits = [0, *((byte >> i) & 1 for i in range(8)), stop]
        levels += bits
    return [levels[int(t / clocks_per_bit)] for t in range(int(len(levels) * clocks_per_bit))]


def receive(levels, clocks_per_bit):
    """Return the (data, error) pairs that the receiver gives for a line."""
    bits = phase_bits(clocks_per_bit)
    dut = UartReceiver(phase_bits=bits)
    got = []

    async def bench(ctx):
        ctx.set(dut.increment, phase_increment(clocks_per_bit, bits))
        for level in [1] * 5 + levels + [1] * int(2 * clocks_per_bit):
            ctx.set(dut.rx, level)
            await ctx.tick()
            if ctx.get(dut.o.valid):
                got.append((ctx.get(dut.o.payload.data), ctx.get(dut.o.payload.error)))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return got


def transmit(data, clocks_per_bit):
    """Return the line's level in every cycle while bytes are sent as fast as the transmitter takes them."""
    bits = phase_bits(clocks_per_bit)
    dut = UartTransmitter(phase_bits=bits)
    levels = []

    async def bench(ctx):
        ctx.set(dut.increment, phase_increment(clocks_per_bit, bits))
        queue = list(data)
        for _ in range(int((len(data) * 10 + 2) * clocks_per_bit)):
            ctx.set(dut.i.valid, bool(queue))
            if queue:
                ctx.set(dut.i.payload, queue[0])
                if ctx.get(dut.i.ready):
                    queue.pop(0)
            await ctx.tick()
            levels.append(ctx.get(dut.tx))
        assert not queue

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return levels


@pytest.mark.parametrize("clocks_per_bit", RATES)
def test_receiver_gives_back_to_back_bytes(clocks_per_bit):
    """Bytes without a pause between them all arrive, without error."""
    data = [0x00, 0xFF, 0x55, 0xA5, *random.Random(1).randbytes(8)]
    assert receive(line_of(data, clocks_per_bit), clocks_per_bit) == [(b, 0) for b in data]


@pytest.mark.parametrize("off", [0.975, 1.025])
@pytest.mark.parametrize("clocks_per_bit", RATES[:-1])
def test_receiver_stands_a_clock_that_is_off(clocks_per_bit, off):
    """A sender 2.5 % slower or faster is understood."""
    data = random.Random(2).randbytes(10)
    assert receive(line_of(data, clocks_per_bit * off), clocks_per_bit) == [(b, 0) for b in data]


def test_receiver_forgets_a_glitch():
    """A low shorter than half a bit is no start bit, and a one-cycle spike in a bit changes nothing."""
    levels = [0] * 4 + [1] * 12 + line_of([0x00], 12)
    levels[16 + 3 * 12 + 6] = 1
    assert receive(levels, 12) == [(0x00, 0)]


@pytest.mark.parametrize(
    ("clocks_per_bit", "byte"), [(8, 0x00), (8, 0xFF), (8, 0x55), (Fraction("12.5"), 0xA6)]
)
def test_receiver_stands_one_wrong_cycle_anywhere(clocks_per_bit, byte):
    """Each cycle of a frame once with the other level, next to edges, in start and stop bit: no error."""
    frame = [1] * 8 + line_of([byte], clocks_per_bit) + [1] * 8
    levels = []
    for at in range(len(frame)):
        levels += [*frame[:at], 1 - frame[at], *frame[at + 1 :]]
    assert Counter(receive(levels, clocks_per_bit)) == {(byte, 0): len(frame)}


def test_receiver_reports_a_low_stop_bit_once():
    """A break is one error, and the byte after it is right."""
    levels = line_of([0x0F], 12, stop=0) + [0] * 200 + [1] * 12 + line_of([0x3C], 12)
    assert receive(levels, 12) == [(0x0F, 1), (0x3C, 0)]


@pytest.mark.parametrize("clocks_per_bit", RATES)
def test_transmitter_sends_at_full_rate(clocks_per_bit):
    """Bytes without a gap, no edge off by more than 1.25 cycles and 0.25 %, then rest."""
    data = [0x00, 0xFF, 0xA5, *random.Random(3).randbytes(4)]
    levels = transmit(data, clocks_per_bit)
    bits = line_of(data, 1)
    at = sent = 0
    for level, group in groupby(bits):
        length = next((i for i, v in enumerate(levels[at:]) if v != level), len(levels) - at)
        sent += len(list(group))
        if sent < len(bits):
            at += length
            exact = sent * clocks_per_bit
            assert abs(at - exact) <= 1.25 + 0.0025 * exact, (sent, at, float(exact))
    assert bits[-1] == 1 and set(levels[at:]) == {1}


@pytest.mark.parametrize("clocks_per_bit", [8, 12])
def test_whole_number_of_clocks_is_kept(clocks_per_bit):
    """A first byte at a whole number of clocks has exactly that in each bit."""
    levels = transmit([0x55], clocks_per_bit)
    assert levels[: 10 * clocks_per_bit] == line_of([0x55], clocks_per_bit)


@pytest.mark.parametrize("clocks_per_bit", RATES)
def test_rate_is_within_a_quarter_of_a_percent(clocks_per_bit):
    """The increment is that of the rate, rounded up by less than 0.25 %."""
    bits = phase_bits(clocks_per_bit)
    error = Fraction(phase_increment(clocks_per_bit, bits) * clocks_per_bit, 1 << bits) - 1
    assert 0 <= error < Fraction(1, 400)


@pytest.mark.parametrize("clocks_per_bit", [0, 7, Fraction(79, 10), 8.5, None])
def test_rejects_a_bad_rate(clocks_per_bit):
    """Fewer than 8 clocks a bit, or no exact number, is refused."""
    message = r"^clocks_per_bit must be a whole number or a Fraction of at least 8, not "
    with pytest.raises(ValueError, match=message):
        BitRate(clocks_per_bit=clocks_per_bit)


def test_rejects_a_phase_that_is_too_narrow():
    """A phase must be wide enough for its rate."""
    with pytest.raises(ValueError, match=r"^a phase of 12 bits must be wider for 434 clocks a bit$"):
        phase_increment(434, 12)
