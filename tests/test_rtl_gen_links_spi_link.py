# amaranth: UnusedElaboratable=no
"""A core behind SPI: frames through the pins, faults, the latency, and the facts of the link."""

import random
from fractions import Fraction

import pytest
from spi_bench import Controller, run_spi
from stub_core import StubCore

from qornn_hw.compiler.design import compile_network
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.latency import StepTimes, link_cycles
from qornn_hw.link.protocol import (
    PROTOCOL_VERSION,
    Answer,
    Fault,
    FaultCode,
    Identity,
    LinkFormat,
    ReplyDecoder,
    ResetDone,
    encode_identify,
    encode_reset,
    encode_step,
)
from qornn_hw.link.spi.stuffing import IDLE, Unstuffer, stuff
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.links.linked_core import LinkedCore
from qornn_hw.rtl_gen.links.spi.link import SPI
from qornn_hw.sim.stimuli import random_network, random_sequences

FORM = LinkFormat(2, IntFormat(8, signed=True), 3, 12)


class Host:
    """Requests to a linked core and replies from it; idle bytes come at random."""

    def __init__(self, ctx, dut, form, half, seed):
        self.controller = Controller(ctx, dut, half)
        self.rng = random.Random(seed)
        self.unstuffer, self.decoder = Unstuffer(), ReplyDecoder(form)
        self.replies = []

    async def start(self):
        """Bring the board through its reset."""
        self.controller.ctx.set(self.controller.dut.starting, 1)
        await self.controller.wait(4.3)
        self.controller.ctx.set(self.controller.dut.starting, 0)
        await self.controller.wait(30)

    async def transfer(self, wire):
        """Clock bytes in transactions of random sizes."""
        while wire:
            size = self.rng.randrange(1, 9)
            await self.controller.select(6 + self.rng.random())
            for byte in wire[:size]:
                got = await self.controller.bits(byte)
                self.replies += self.decoder.feed(self.unstuffer.feed(bytes([got])))
            await self.controller.release(6 + self.rng.random())
            wire = wire[size:]

    async def send(self, data):
        """Send bytes with idle ones among them."""
        idle = bytes([IDLE])
        await self.transfer(b"".join(idle * (self.rng.random() < 0.1) + bytes([b]) for b in stuff(data)))

    async def read(self, count):
        """Clock idle bytes until there are ``count`` replies, or too many were clocked."""
        for _ in range(600):
            if len(self.replies) >= count:
                break
            await self.transfer(bytes([IDLE]))


def play(scene, form=FORM, half=4.0, seed=0, core=None):
    """Run a scene, an async function of a host, on a linked core; return the replies."""
    core = StubCore(form=form, wait=5) if core is None else core
    dut = LinkedCore(core=core, form=form, link=SPI, timeout_bits=12)
    hosts = []

    async def bench(ctx):
        hosts.append(Host(ctx, dut, form, half, seed))
        await hosts[0].start()
        await scene(hosts[0])

    run_spi(dut, bench)
    return hosts[0].replies


@pytest.mark.parametrize("half", [4.0, 4.37, 9.1])
@pytest.mark.parametrize("seed", range(2))
def test_steps_are_answered(half, seed):
    """IDENTIFY, a RESET in the midst, and every answer of a sequence; the bytes 0x7D and 0x7E among them."""
    steps = [[0x7E, 0x7D], [-1, 3], [-128, 0x7D], [0x7E, 0]]
    sums = [sum(w for one in steps[: k + 1] for w in one) for k in range(len(steps))]
    answers = [
        Answer(tuple(total + k for k in range(3)), last=n == len(steps) - 1, number=n)
        for n, total in enumerate(sums)
    ]

    async def scene(host):
        await host.send(encode_reset(0x7E) + encode_identify())
        await host.read(2)
        await host.send(encode_step(FORM, steps[0], 0, first=True))
        await host.send(encode_reset(0x7D))
        await host.read(4)
        for number, step in enumerate(steps):
            await host.send(encode_step(FORM, step, number, first=number == 0, last=number == len(steps) - 1))
        await host.read(4 + len(steps))

    replies = play(scene, half=half, seed=seed)
    first = [ResetDone(PROTOCOL_VERSION, 0x7E), FORM.identity]
    assert replies[0] == first[0]
    assert isinstance(replies[1], Identity) and replies[1].constant == FORM.identity.constant
    assert ResetDone(PROTOCOL_VERSION, 0x7D) in replies[2:4]
    assert replies[-len(steps) :] == answers


@pytest.mark.parametrize("bits", [1, 4, 7])
def test_cs_within_a_byte_of_a_frame_is_a_fault(bits):
    """The frame layer reports BAD_BYTE, and the next RESET is answered."""

    async def scene(host):
        await host.send(encode_reset(1))
        await host.read(1)
        frame = encode_step(FORM, [1, 2], 0, first=True)
        await host.transfer(frame[:4])
        await host.controller.select()
        await host.controller.bits(0xFF, bits)
        await host.controller.release()
        await host.read(2)
        await host.send(encode_reset(2))
        await host.read(3)

    replies = play(scene)
    assert replies == [
        ResetDone(PROTOCOL_VERSION, 1),
        Fault(FaultCode.BAD_BYTE, 0),
        ResetDone(PROTOCOL_VERSION, 2),
    ]


def test_a_host_that_stops_within_a_frame_is_a_fault():
    """Idle bytes do not keep a frame alive: it is TRUNCATED after the timeout, as on any link."""

    async def scene(host):
        await host.send(encode_reset(1))
        await host.read(1)
        await host.transfer(encode_step(FORM, [1, 2], 0, first=True)[:5])
        await host.read(2)

    assert play(scene) == [ResetDone(PROTOCOL_VERSION, 1), Fault(FaultCode.TRUNCATED, 0)]


def spi_cycles(design, half):
    """Count the cycles from the first bit of a step's frame to the last bit of its answer's frame.

    The host clocks without a pause.
    """
    form = LinkFormat.of(design)
    (sequence,) = random_sequences(design.network, batch=1, steps=1, seed=0)
    frame = stuff(encode_step(form, sequence.reshape(-1).tolist(), 0, first=True, last=True))
    found = []

    async def scene(host):
        await host.send(encode_reset(1))
        await host.read(1)
        await host.controller.select()
        for count in range(1, 4000):
            byte = frame[count - 1] if count <= len(frame) else IDLE
            got = await host.controller.bits(byte)
            host.replies += host.decoder.feed(host.unstuffer.feed(bytes([got])))
            found.append(got)
            if len(host.replies) == 2:
                break

    replies = play(scene, form, half, core=make_core(design, preloaded=True))
    assert isinstance(replies[1], Answer)
    data = Unstuffer().feed(bytes(found))
    # The stuffing of an answer is no part of the formula.
    stuffed = len(stuff(data)) - len(data)
    return (len(found) - stuffed) * 16 * half


@pytest.mark.parametrize("half", [4, 6.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_latency_is_within_a_byte_of_the_formula(half, seed):
    """A reply begins with a byte of the host: at most one byte before the latest time."""
    network = random_network(seed=seed, hidden_size=5 + seed, input_size=2, output_size=2)
    design = compile_network(network, columns_per_element=2, elements=2)
    s = design.schedule
    times = StepTimes(s.cycles_per_step, s.answer_latency, s.answer_end_latency)
    due = link_cycles(times, LinkFormat.of(design), Fraction(2 * half), SPI.line)
    assert 0 <= due - spi_cycles(design, half) <= 16 * half + 1


def test_the_rate_follows_the_clock():
    """SCK is at most an eighth of the core clock, whatever the rates of a bridge; nothing else follows it."""
    assert SPI.rate((3_000_000,), 48_000_000) == 6_000_000
    assert SPI.rate((), 12_000_000) == 1_500_000
    assert SPI.full_rate_hz(()) == 0
    assert SPI.constant == "" and SPI.constant_bits((), Fraction(48)) == 0
    with pytest.raises(ValueError, match=r"^clocks_per_bit must be at least 8, not 7$"):
        SPI.constant_source(7)
