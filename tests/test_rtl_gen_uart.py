# amaranth: UnusedElaboratable=no
"""The UART against bit streams made in Python."""

import random

import pytest
from amaranth.sim import Simulator

from rtl_gen.uart import UartReceiver, UartTransmitter


def line_of(data, clocks_per_bit, stop=1):
    """Return the line's level in every cycle, for bytes back to back."""
    levels = []
    for byte in data:
        bits = [0, *((byte >> i) & 1 for i in range(8)), stop]
        levels += [b for b in bits for _ in range(clocks_per_bit)]
    return levels


def receive(levels, clocks_per_bit):
    """Return the (data, error) pairs that the receiver gives for a line."""
    dut = UartReceiver(clocks_per_bit=clocks_per_bit)
    got = []

    async def bench(ctx):
        for level in [1] * 5 + levels + [1] * (2 * clocks_per_bit):
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
    dut = UartTransmitter(clocks_per_bit=clocks_per_bit)
    levels = []

    async def bench(ctx):
        queue = list(data)
        for _ in range((len(data) * 10 + 2) * clocks_per_bit):
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


@pytest.mark.parametrize("clocks_per_bit", [8, 12, 13])
def test_receiver_gives_back_to_back_bytes(clocks_per_bit):
    """Bytes without a pause between them all arrive, without error."""
    data = [0x00, 0xFF, 0x55, 0xA5, *random.Random(1).randbytes(8)]
    assert receive(line_of(data, clocks_per_bit), clocks_per_bit) == [(b, 0) for b in data]


@pytest.mark.parametrize("clocks", [11.7, 12.3])
def test_receiver_stands_a_clock_that_is_off(clocks):
    """A sender 2.5 % slower or faster is understood."""
    data = random.Random(2).randbytes(10)
    bits = line_of(data, 1)
    levels = [bits[int(t / clocks)] for t in range(int(len(bits) * clocks))]
    assert receive(levels, 12) == [(b, 0) for b in data]


def test_receiver_forgets_a_glitch():
    """A low shorter than half a bit is no start bit, and a one-cycle spike in a bit changes nothing."""
    levels = [0] * 4 + [1] * 12 + line_of([0x00], 12)
    levels[16 + 3 * 12 + 6] = 1
    assert receive(levels, 12) == [(0x00, 0)]


def test_receiver_reports_a_low_stop_bit_once():
    """A break is one error, and the byte after it is right."""
    levels = line_of([0x0F], 12, stop=0) + [0] * 200 + [1] * 12 + line_of([0x3C], 12)
    assert receive(levels, 12) == [(0x0F, 1), (0x3C, 0)]


@pytest.mark.parametrize("clocks_per_bit", [8, 12])
def test_transmitter_sends_at_full_rate(clocks_per_bit):
    """Bytes follow each other without a gap, and the line ends high."""
    data = [0x00, 0xFF, 0xA5, *random.Random(3).randbytes(4)]
    levels = transmit(data, clocks_per_bit)
    expected = line_of(data, clocks_per_bit)
    assert levels[: len(expected)] == expected
    assert set(levels[len(expected) :]) == {1}


@pytest.mark.parametrize("clocks_per_bit", [0, 7, 8.5, None])
@pytest.mark.parametrize("component", [UartReceiver, UartTransmitter])
def test_rejects_a_bad_rate(component, clocks_per_bit):
    """Fewer than 8 clocks a bit, or no integer, is refused."""
    with pytest.raises(ValueError, match=r"^clocks_per_bit must be an integer of at least 8, not "):
        component(clocks_per_bit=clocks_per_bit)
