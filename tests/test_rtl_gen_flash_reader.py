# amaranth: UnusedElaboratable=no
"""The reader of a serial flash against a flash as strict as its data sheet, and what it loads."""

import random
from itertools import pairwise

import pytest
from amaranth.sim import Simulator
from flash_bench import SerialFlash

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import HEADER_BYTES, LoadStatus, check_image, encode_image
from qornn_hw.link.protocol import (
    Answer,
    BoardFlag,
    FaultCode,
    LinkFormat,
    Loaded,
    ReplyDecoder,
    ResetDone,
    encode_identify,
    encode_load,
    encode_reset,
    encode_step,
)
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.flash_reader import BYTE_CYCLES, FlashReader
from qornn_hw.rtl_gen.links.linked_core import LinkedCore
from qornn_hw.sim.stimuli import random_network, random_sequences


def read(content, address, count, *, tick_cycles=40, **flash):
    """Return the bytes that a reader gives up to its stop, cycles between them, and the flash."""
    reader, device = FlashReader(address=address), SerialFlash(content, **flash)
    got, at, started = [], [], []

    async def bench(ctx):
        pins = reader.flash
        for cycle in range(3 * tick_cycles + 64 + BYTE_CYCLES * (count + 3)):
            ctx.set(reader.tick, cycle % tick_cycles == tick_cycles - 1)
            ctx.set(reader.stop, len(got) == count)
            ctx.set(pins.cipo, device.step(ctx.get(pins.cs), ctx.get(pins.sck), ctx.get(pins.copi)))
            if ctx.get(reader.start):
                started.append(cycle)
                assert not got
            if ctx.get(reader.valid):
                got.append(ctx.get(reader.data))
                at.append(cycle)
            await ctx.tick()

    simulator = Simulator(reader)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(started) == 1
    return bytes(got), [b - a for a, b in pairwise(at)], device


@pytest.mark.parametrize("address", [0, 1, 0x155, 0x2AA, 600])
@pytest.mark.parametrize("delay", [0, 1])
def test_bytes_come_from_the_address_on(address, delay):
    """Every byte, one in 16 cycles, from a flash that takes up to a cycle; no more after the stop."""
    content = random.Random(address).randbytes(750)
    got, cycles, device = read(content, address, 50, delay=delay)
    assert got == content[address : address + 50]
    assert set(cycles) == {BYTE_CYCLES}
    assert not device.selected


def test_a_flash_that_is_too_slow_is_not_read():
    """A flash of two cycles gives the bit too late: the bench sees it."""
    content = random.Random(1).randbytes(64)
    got, _, _ = read(content, 0, 32, delay=2)
    assert got != content[:32]


def test_a_flash_is_given_time_to_wake():
    """The read begins a whole tick after the flash was woken."""
    with pytest.raises(AssertionError, match="tRES1"):
        read(bytes(8), 0, 4, tick_cycles=40, wakes_after=150)
    read(bytes(8), 0, 4, tick_cycles=400, wakes_after=300)


@pytest.mark.parametrize("address", [-1, 1 << 24])
def test_an_address_is_of_24_bits(address):
    """The read command has no more."""
    with pytest.raises(ValueError, match=r"^address must be 0 to 16777215, not "):
        FlashReader(address=address)


# -- weights from the flash into a linked core -------------------------------------------------------------

CLOCKS_PER_BIT = 8
ADDRESS = 0x000100


def listen():
    """Take the line of each cycle; yield a byte where one ends, else None."""
    byte = None
    while True:
        while (yield byte):
            byte = None
        byte = 0
        for bit in range(8):
            for _ in range(CLOCKS_PER_BIT + (CLOCKS_PER_BIT // 2 - 1 if bit == 0 else 0)):
                level = yield None
            byte |= level << bit
        for _ in range(CLOCKS_PER_BIT):
            yield None


def boot(design, content, requests=(), starting=range(0)):
    """Start a linked core beside a flash; return what it replies to requests, and whether it ends faulty.

    A request is (cycle, bytes); the flash holds ``content`` from the address on. The board starts again in
    the cycles ``starting``.
    """
    form = LinkFormat.of(design)
    linked = LinkedCore(
        core=make_core(design),
        form=form,
        clocks_per_bit=CLOCKS_PER_BIT,
        timeout_bits=8,
        flash_address=ADDRESS,
    )
    device, decoder = SerialFlash(bytes(ADDRESS) + content), ReplyDecoder(form)
    line = {}
    for begin, sent in requests:
        bits = [bit for byte in sent for bit in (0, *(byte >> i & 1 for i in range(8)), 1, 1)]
        line |= {begin + CLOCKS_PER_BIT * i: bit for i, bit in enumerate(bits)}
    replies, states = [], []

    async def bench(ctx):
        pins, received = linked.flash, listen()
        next(received)
        ctx.set(linked.rx, 1)
        for cycle in range(max(line, default=0) + 4000 + 2 * BYTE_CYCLES * len(content)):
            if cycle in line:
                ctx.set(linked.rx, line[cycle])
            ctx.set(linked.starting, cycle in starting)
            ctx.set(pins.cipo, device.step(ctx.get(pins.cs), ctx.get(pins.sck), ctx.get(pins.copi)))
            if (byte := received.send(ctx.get(linked.tx))) is not None:
                replies.extend(decoder.feed(bytes([byte])))
            await ctx.tick()
        states.append(ctx.get(linked.faulty))

    simulator = Simulator(linked)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return replies, bool(states[0])


@pytest.fixture(scope="module")
def design():
    """Return a small design with its weights in SPRAM."""
    network = random_network(seed=1, hidden_size=5, input_size=2, output_size=2, weight_bits=8)
    return compile_network(network, elements=3, engine="dsp")


def steps_of(design, count):
    """Return the requests of a sequence, and its answers by the integer model."""
    (x,) = random_sequences(design.network, batch=1, steps=count, seed=1)
    form = LinkFormat.of(design)
    frames = (
        encode_step(form, [int(v) for v in words], i, first=i == 0, last=i == count - 1)
        for i, words in enumerate(x)
    )
    trace = IntegerModel(design.network).run(x[None])
    answers = [
        Answer((*map(int, logits), int(argmax)), last=i == count - 1, number=i)
        for i, (logits, argmax) in enumerate(zip(trace.logits[0], trace.argmax[0], strict=True))
    ]
    return b"".join(frames), answers


def test_weights_come_from_the_flash(design):
    """Without a host the image is read and judged; the first steps are answered as by the integer model."""
    image = encode_image(design)
    frames, answers = steps_of(design, 3)
    replies, faulty = boot(design, image, [(4000 + BYTE_CYCLES * len(image), encode_reset() + frames)])
    assert isinstance(replies[0], ResetDone)
    assert replies[1:] == answers
    assert not faulty


@pytest.mark.sampled(1)
@pytest.mark.parametrize("at", [0, 9, HEADER_BYTES + 3, -1])
def test_a_bad_image_in_the_flash_is_told(design, at):
    """Steps are refused, and IDENTIFY says what is wrong: checksum, or whatever comes before."""
    image = bytearray(encode_image(design))
    image[at] ^= 0x10
    begin = 4000 + BYTE_CYCLES * len(image)
    frames, _ = steps_of(design, 1)
    replies, faulty = boot(design, bytes(image), [(begin, encode_identify() + encode_reset() + frames)])
    identity, _, fault = replies
    assert identity.image == check_image(LinkFormat.of(design).weights, bytes(image)) != LoadStatus.LOADED
    assert not identity.flags & BoardFlag.LOADED
    assert fault.code == FaultCode.NOT_LOADED
    assert faulty


@pytest.mark.sampled(1)
@pytest.mark.parametrize("begin", [5, 300, 1500, 9000])
def test_an_image_of_the_link_takes_over(design, begin):
    """Before, in the midst of and behind a bad image from the flash the host's good one counts."""
    image = encode_image(design)
    frames, answers = steps_of(design, 2)
    bad = image[:-1] + bytes([image[-1] ^ 1])
    load = encode_load(image)
    there = begin + 11 * CLOCKS_PER_BIT * len(load) + 4000
    replies, faulty = boot(design, bad, [(begin, load), (there, encode_reset() + frames)])
    assert [r for r in replies if isinstance(r, Loaded)] == [Loaded(LoadStatus.LOADED)]
    assert [r for r in replies if isinstance(r, Answer)] == answers
    assert not faulty


@pytest.mark.slow
def test_the_flash_counts_again_after_a_start_of_the_board(design):
    """What the host had loaded is gone after the board's reset, and the image of the flash is read again."""
    image = encode_image(design)
    frames, answers = steps_of(design, 2)
    bad = encode_load(image[:-1] + bytes([image[-1] ^ 1]))
    loaded = 9000 + 11 * CLOCKS_PER_BIT * len(bad) + 4000
    begin = loaded + 4000 + 2 * BYTE_CYCLES * len(image)
    replies, faulty = boot(
        design, image, [(9000, bad), (begin, encode_reset() + frames)], starting=range(loaded, loaded + 3)
    )
    assert replies[1] == Loaded(LoadStatus.BAD_CHECKSUM)
    assert [type(reply) for reply in replies[:3]] == [ResetDone, Loaded, ResetDone]
    assert replies[3:] == answers
    assert not faulty
