# amaranth: UnusedElaboratable=no
"""SPI pins and transmitter: bytes at random phases, with pauses on both sides, and the limit of SCK."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from planted_fault import must_fail
from spi_bench import Controller, run_spi

from qornn_hw.link.spi.stuffing import ESCAPE, IDLE, Unstuffer, stuff
from qornn_hw.rtl_gen.links.byte_streams import to_host
from qornn_hw.rtl_gen.links.spi.link import CLOCKS_PER_BIT_MIN
from qornn_hw.rtl_gen.links.spi.pins import SpiPins
from qornn_hw.rtl_gen.links.spi.transmitter import SpiTransmitter


class Transmitter(wiring.Component):
    """Pins and transmitter."""

    def __init__(self, transmitter=SpiTransmitter):
        self._parts = SpiPins(), transmitter()
        super().__init__({"sck": In(1), "cs": In(1), "copi": In(1), "cipo": Out(1), "i": In(to_host())})

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        m.submodules.pins, m.submodules.transmitter = pins, transmitter = self._parts
        m.d.comb += [pins.sck.eq(self.sck), pins.cs.eq(self.cs), self.cipo.eq(transmitter.cipo)]
        wiring.connect(m, pins.o, transmitter.pins)
        wiring.connect(m, wiring.flipped(self.i), transmitter.i)
        return m


def clocked(data, play, half=4.0, *, gap=0.0, seed=0, **parts):
    """Play ``play`` while ``data`` is offered; return the bytes on the wire and what is left of ``data``."""
    dut, rng = Transmitter(**parts), random.Random(seed)
    wire, queue = [], list(data)

    async def bench(ctx):
        host = Controller(ctx, dut, half)
        await play(host, wire)

    async def offer(ctx):
        while queue:
            if rng.random() < gap:
                await ctx.tick().repeat(rng.randrange(1, 200))
            ctx.set(dut.i.payload, queue[0])
            ctx.set(dut.i.valid, 1)
            ready = 0
            while not ready:
                _, _, ready = await ctx.tick().sample(dut.i.ready)
            queue.pop(0)
            ctx.set(dut.i.valid, 0)
        await ctx.tick()

    run_spi(dut, bench, offer)
    return bytes(wire), queue


def bursts(count, seed):
    """Return a play of ``count`` bytes in bursts of random sizes at random phases."""

    async def play(host, wire):
        rng, left = random.Random(seed), count
        await host.wait(20 + rng.random())
        while left:
            size = min(left, rng.randrange(1, 6))
            await host.select(6 + rng.random())
            for _ in range(size):
                wire.append(await host.bits(0))
                if rng.random() < 0.2:
                    await host.wait(40 * rng.random())
            await host.release(6 + rng.random())
            left -= size

    return play


def check(half=4.0, seed=1, gap=0.0, **parts):
    """Random bytes come out in order, stuffed, and the rest is idle."""
    data = bytes([0x00, 0xFF, IDLE, ESCAPE, 0xA5, *random.Random(seed).randbytes(25)])
    count = len(stuff(data)) + (200 if gap else 5)
    wire, left = clocked(data, bursts(count, seed), half, gap=gap, seed=seed, **parts)
    assert not left
    assert Unstuffer().feed(wire) == data
    assert wire.replace(bytes([IDLE]), b"") == stuff(data)


@pytest.mark.parametrize("half", [CLOCKS_PER_BIT_MIN / 2, 4.03, 4.5, 5.37, 11.9])
@pytest.mark.parametrize("seed", range(3))
def test_bytes_at_any_phase(half, seed):
    """Every byte comes, from the highest SCK to a slow one."""
    check(half, seed)


@pytest.mark.parametrize("gap", [0.3, 0.9])
def test_a_board_with_nothing_to_say_is_idle(gap):
    """Idle bytes come between the bytes, also within a frame, and none is taken for a byte."""
    check(gap=gap)


def test_bytes_are_back_to_back():
    """A byte that waits follows the one before it without an idle byte."""
    data = bytes(range(1, 40))
    assert clocked(data, bursts(len(data), 3))[0] == data


@pytest.mark.parametrize("half", [2.0, 2.5])
def test_beyond_its_limit_sck_is_too_fast(half):
    """CIPO follows 2 to 3 cycles after the falling edge: less than half a period must not work."""
    with pytest.raises(AssertionError):
        check(half)


def test_cipo_is_stable_around_the_rising_edge():
    """At the highest SCK the level is there a cycle before the sampling edge, and stays until SCK falls."""
    data, rng = random.Random(4).randbytes(30), random.Random(5)

    async def play(host, wire):
        for _ in range(len(data)):
            await host.select(6 + rng.random())
            wire.append(await early_bits(host))
            await host.release(6)

    async def early_bits(host):
        got = 0
        for _ in range(8):
            await host.wait(CLOCKS_PER_BIT_MIN / 2 - 0.99)
            early = host.ctx.get(host.dut.cipo)
            await host.wait(0.99)
            assert host.ctx.get(host.dut.cipo) == early
            got = got << 1 | early
            host.ctx.set(host.dut.sck, 1)
            await host.wait(CLOCKS_PER_BIT_MIN / 2)
            assert host.ctx.get(host.dut.cipo) == early
            host.ctx.set(host.dut.sck, 0)
        return got

    wire, _ = clocked(data, play)
    assert stuff(data).startswith(wire)


def check_cut(**parts):
    """CS that is released behind a byte, or before any edge, loses no byte of those that follow."""

    async def play(host, wire):
        await host.wait(20)
        for _ in range(12):
            await host.select()
            await host.release()
            await host.select()
            wire.append(await host.bits(0))
            await host.release()

    data = bytes(range(0x10, 0x1C))
    assert clocked(data, play, **parts)[0] == data


def test_a_byte_that_was_not_clocked_out_is_not_lost():
    """The transaction after has it."""
    check_cut()


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("self.cipo.eq(bits[-1])", "self.cipo.eq(bits[0])", check),
        ("self.i.payload ^ FLIP", "self.i.payload", check),
        ("special.eq((self.i.payload == IDLE) | (self.i.payload == ESCAPE))", "special.eq(0)", check),
        ("(self.i.payload == IDLE) | (self.i.payload == ESCAPE)", "self.i.payload == IDLE", check),
        ("first.eq(pins.rise & (count == 0))", "first.eq(pins.begin)", check_cut),
        ("self.i.ready.eq(first & ends)", "self.i.ready.eq(first)", lambda **p: check(gap=0.5, **p)),
        ("pins.begin | (pins.fall & (count == 0))", "pins.fall & (count == 0)", check_cut),
        ("escaped.eq(escapes)", "escaped.eq(0)", check),
        ("bits.eq(bits << 1)", "bits.eq(bits.rotate_left(2))", check),
        ("bits.eq(IDLE),", "bits.eq(0),", lambda **p: check(gap=0.5, **p)),
    ],
)
def test_a_wrong_transmitter_is_noticed(old, new, check):
    """Planted faults: order, stuffing, bytes that are lost or sent twice, and another idle byte."""
    must_fail(lambda transmitter: check(transmitter=transmitter), SpiTransmitter, old, new)
