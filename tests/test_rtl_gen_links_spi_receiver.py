# amaranth: UnusedElaboratable=no
"""SPI pins and receiver: bytes at random phases, broken bytes, glitches, chaos."""

import random
from itertools import pairwise

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from planted_fault import must_fail
from spi_bench import Controller, run_spi

from qornn_hw.link.spi.stuffing import ESCAPE, IDLE, stuff
from qornn_hw.rtl_gen.links.byte_streams import BYTE_CYCLES_MIN, from_host
from qornn_hw.rtl_gen.links.spi.pins import SpiPins
from qornn_hw.rtl_gen.links.spi.receiver import SpiReceiver


class Receiver(wiring.Component):
    """Pins and receiver."""

    def __init__(self, pins=SpiPins, receiver=SpiReceiver):
        self._parts = pins(), receiver()
        super().__init__({"sck": In(1), "cs": In(1), "copi": In(1), "cipo": In(1), "o": Out(from_host())})

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        m.submodules.pins, m.submodules.receiver = pins, receiver = self._parts
        m.d.comb += [pins.sck.eq(self.sck), pins.cs.eq(self.cs), pins.copi.eq(self.copi)]
        wiring.connect(m, pins.o, receiver.pins)
        wiring.connect(m, receiver.o, wiring.flipped(self.o))
        return m


def received(play, half=4.0, **parts):
    """Return the bytes that ``play`` brings, None for a broken one, and the cycles of their transfers."""
    dut = Receiver(**parts)
    got, times = [], []

    async def bench(ctx):
        await play(Controller(ctx, dut, half))
        await ctx.tick().repeat(20)

    async def watch(ctx):
        cycle = 0
        async for _, _, valid, data, error in ctx.tick().sample(
            dut.o.valid, dut.o.payload.data, dut.o.payload.error
        ):
            cycle += 1
            if valid:
                got.append(None if error else data)
                times.append(cycle)

    run_spi(dut, bench, watch)
    return got, times


def bursts(data, rng, gap=6):
    """Return a play of bytes in bursts of random sizes, which begin at random phases."""

    async def play(host):
        wire = stuff(data)
        await host.wait(rng.random())
        while wire:
            size = rng.randrange(1, 6)
            await host.select(6 + rng.random())
            for byte in wire[:size]:
                await host.bits(byte)
            await host.release(gap + rng.random())
            wire = wire[size:]

    return play


def check_bytes(half=4.0, seed=1, **parts):
    """Random bytes come, at random phases of SCK."""
    rng = random.Random(seed)
    data = bytes([0x00, 0xFF, IDLE, ESCAPE, 0xA5, *rng.randbytes(25)])
    got, _ = received(bursts(data, rng), half, **parts)
    assert got == list(data)


@pytest.mark.parametrize("half", [4.0, 4.03, 4.5, 5.37, 11.9, 40.0])
@pytest.mark.parametrize("seed", range(3))
def test_bytes_at_any_phase(half, seed):
    """Every byte arrives, from the highest SCK to a slow one."""
    check_bytes(half, seed)


def test_idle_bytes_are_skipped():
    """Idle bytes mean nothing, within an escape as well."""

    async def play(host):
        await host.select()
        for byte in (IDLE, 0x12, IDLE, ESCAPE, IDLE, IDLE, IDLE ^ 0x20, IDLE, 0x34):
            await host.bits(byte)

    assert received(play)[0] == [0x12, IDLE, 0x34]


def check_broken(bits, **parts):
    """A byte that CS cuts after some bits is one error, and the next byte is right."""

    async def play(host):
        await host.select()
        await host.bits(0x5A)
        await host.bits(ESCAPE)
        await host.bits(0xFF, bits)
        await host.release()
        await host.select()
        await host.bits(0x21)

    assert received(play, **parts)[0] == [0x5A, None, 0x21]


@pytest.mark.parametrize("bits", range(1, 8))
def test_a_byte_that_cs_cuts_is_an_error(bits):
    """One error, which ends an escape, too; the next byte is aligned."""
    check_broken(bits)


def test_cs_between_bytes_is_no_error():
    """CS may be released behind any byte, and the host may toggle it without a clock."""

    async def play(host):
        for byte in (1, 2, 3):
            await host.select()
            await host.bits(byte)
            await host.release()
            await host.select()
            await host.release()

    assert received(play)[0] == [1, 2, 3]


def check_glitches(**parts):
    """Pulses of CS of less than a cycle, in both directions, change nothing."""
    rng = random.Random(5)

    async def glitch(host, level):
        await host.wait(rng.random())
        host.ctx.set(host.dut.cs, level)
        await host.wait(0.9)
        host.ctx.set(host.dut.cs, not level)
        await host.wait(3)

    async def play(host):
        for byte in range(0x30, 0x38):
            await glitch(host, 1)
            await host.select()
            await host.bits(byte, 3)
            await glitch(host, 0)
            await host.bits(byte << 3 & 0xFF, 5)
            await host.release()

    assert received(play, 6.0, **parts)[0] == list(range(0x30, 0x38))


def test_a_short_pulse_of_cs_changes_nothing():
    """Glitches while idle select nothing, glitches within a byte break nothing."""
    check_glitches()


def check_unselected(**parts):
    """Bytes without CS do not count."""

    async def play(host):
        await host.bits(0x11)
        await host.select()
        await host.bits(0x22)
        await host.release()
        await host.bits(0x33)

    assert received(play, **parts)[0] == [0x22]


def test_sck_without_cs_is_ignored():
    """Another device's bytes on the same bus are none of ours."""
    check_unselected()


def check_spacing(seed, **parts):
    """Whatever the pins do, transfers are at least 12 cycles apart."""
    rng = random.Random(seed)

    async def play(host):
        for _ in range(1500):
            pin = rng.choice(["sck", "sck", "sck", "copi", "cs"] if rng.random() < 0.5 else ["sck"])
            member = getattr(host.dut, pin)
            host.ctx.set(member, not host.ctx.get(member))
            await host.wait(rng.choice([0.3, 1.0, 1.0, 1.1, 2.5]))

    got, times = received(play, **parts)
    assert len(got) > 20 and None in got
    assert min(b - a for a, b in pairwise(times)) >= BYTE_CYCLES_MIN


def check_fast_breaks(**parts):
    """The same where bytes are cut and begun anew, and clocked, as fast as the pins can be sampled."""
    rng = random.Random(7)

    async def play(host):
        for _ in range(60):
            await host.select(rng.uniform(2, 4))
            await host.bits(rng.randrange(128))
            await host.bits(rng.randrange(256), rng.randrange(1, 3))
            await host.release(rng.uniform(2, 4))

    got, times = received(play, 1.0, **parts)
    assert None in got
    assert min(b - a for a, b in pairwise(times)) >= BYTE_CYCLES_MIN


def test_a_cut_byte_and_the_next_one_are_apart():
    """An error waits, and the bits that come before it is reported do not count."""
    check_fast_breaks()


@pytest.mark.parametrize("seed", range(4))
def test_transfers_are_apart_whatever_the_pins_do(seed):
    """Random edges, faster than any host may make them."""
    check_spacing(seed)


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("Cat(pins.bit, bits)", "Cat(bits[1:], pins.bit)", check_bytes),
        ("Cat(pins.bit, bits)", "Cat(~pins.bit, bits)", check_bytes),
        (" & ~escape)", ")", check_bytes),
        ("flip.eq(escaped)", "flip.eq(0)", check_bytes),
        ("m.d.sync += escaped.eq(escape)", "m.d.sync += escaped.eq(escaped | escape)", check_bytes),
        (
            "m.d.sync += [broken.eq(0), escaped.eq(0)]",
            "m.d.sync += broken.eq(0)",
            lambda **p: check_broken(3, **p),
        ),
        ("m.d.sync += broken.eq(1)", "pass", lambda **p: check_broken(3, **p)),
        ("m.d.sync += count.eq(0)", "pass", lambda **p: check_broken(3, **p)),
        ("with m.If(count != 0):", "with m.If(1):", check_bytes),
        ("report.eq(broken & rested)", "report.eq(broken)", check_fast_breaks),
        ("taken.eq(pins.rise & ~broken)", "taken.eq(pins.rise)", check_fast_breaks),
    ],
)
def test_a_wrong_receiver_is_noticed(old, new, check):
    """Planted faults: order, level, stuffing, errors that are lost, alignment, spacing."""
    must_fail(lambda receiver: check(receiver=receiver), SpiReceiver, old, new)


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("with m.If(cs == cs_before):", "with m.If(1):", check_glitches),
        ("self.o.selected & sck & ~sck_before", "self.o.selected & ~sck & sck_before", check_bytes),
        ("self.o.selected & sck & ~sck_before", "sck & ~sck_before", check_unselected),
    ],
)
def test_wrong_events_are_noticed(old, new, check):
    """Planted faults: no filter of CS, the wrong edge, edges without CS."""
    must_fail(lambda pins: check(pins=pins), SpiPins, old, new)
