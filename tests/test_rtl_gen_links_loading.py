# amaranth: UnusedElaboratable=no
"""Images of weights through link and loader, with a stand-in core: what is cut, spoilt or repeated."""

import pytest
from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from link_script import link_events
from stub_core import StubCore, stub_answers

from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import LoadStatus, encode_image
from qornn_hw.link.protocol import (
    PROTOCOL_VERSION,
    SYNC,
    Answer,
    Command,
    Fault,
    FaultCode,
    LinkFormat,
    Loaded,
    ReplyDecoder,
    ResetDone,
    encode_load,
    encode_reset,
    encode_step,
)
from qornn_hw.rtl_gen.links.byte_streams import BYTE_CYCLES_MIN, ReceivedByte
from qornn_hw.rtl_gen.links.frame_link import FrameLink
from qornn_hw.rtl_gen.links.weight_loader import WeightLoader
from qornn_hw.sim.addresses import check_addresses
from qornn_hw.sim.stimuli import random_network

TIMEOUT_BITS = 7
SILENCE = 3 << TIMEOUT_BITS
DESIGN = compile_network(
    random_network(seed=1, hidden_size=5, input_size=2, output_size=2, weight_bits=8),
    elements=3,
    engine="dsp",
)
FORM = LinkFormat.of(DESIGN)
IMAGE = encode_image(DESIGN)
LOAD = encode_load(IMAGE)
HEADER = len(LOAD) - len(IMAGE)
STEPS = [[1, 2], [3, 4]]
FRAMES = [encode_step(FORM, words, i, first=i == 0, last=i == 1) for i, words in enumerate(STEPS)]
ANSWERS = [Answer(w, last=i == 1, number=i) for i, w in enumerate(stub_answers(FORM, STEPS))]
GOOD = [ResetDone(PROTOCOL_VERSION), Loaded(LoadStatus.LOADED), *ANSWERS]


class LoadedLink(wiring.Component):
    """Link, loader and stand-in core as a linked core has them, with the byte streams outside."""

    def __init__(self):
        self.loader = WeightLoader(FORM.weights)
        super().__init__(
            {"i": In(stream.Signature(ReceivedByte, always_ready=True)), "o": Out(stream.Signature(8))}
        )

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        m.submodules.link = link = FrameLink(form=FORM, timeout_bits=TIMEOUT_BITS)
        m.submodules.loader = loader = self.loader
        core = StubCore(form=FORM)
        m.submodules.core = ResetInserter(link.core_rst)(core)
        wiring.connect(m, wiring.flipped(self.i), link.i_bytes)
        wiring.connect(m, wiring.flipped(self.o), link.o_bytes)
        wiring.connect(m, link.o_step, core.i)
        wiring.connect(m, core.o, link.i_answer)
        m.d.comb += [
            loader.start.eq(link.load.start),
            loader.data.eq(link.load.data),
            loader.valid.eq(link.load.valid),
            link.load.loaded.eq(loader.loaded),
            link.load.done.eq(loader.done),
            link.load.status.eq(loader.status),
        ]
        return m


def exchange(script):
    """Send bytes, pauses (int: cycles) and bad bytes (None); return the replies and the written bytes."""
    dut = LoadedLink()
    events = link_events(script, BYTE_CYCLES_MIN)
    decoder, replies, written = ReplyDecoder(FORM), [], {}

    async def bench(ctx):
        ctx.set(dut.o.ready, 1)
        write = dut.loader.write
        for event in events + [None] * 1000:
            ctx.set(dut.i.valid, event is not None)
            if event is not None:
                ctx.set(dut.i.payload, {"data": event[0], "error": event[1]})
            if ctx.get(dut.o.valid):
                replies.extend(decoder.feed(bytes([ctx.get(dut.o.payload)])))
            if en := ctx.get(write.en):
                written[ctx.get(write.addr), en.bit_length() - 1, ctx.get(write.high)] = ctx.get(write.data)
            await ctx.tick()

    simulator = Simulator(check_addresses(dut))
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return replies, written


def check_written(written):
    """Every weight must be in its byte."""
    for bank, image in enumerate(DESIGN.weight_banks):
        for address in range(image.depth):
            for half, field in enumerate(image.fields):
                assert written[address, bank, half] == image.value(address, field.name) & 0xFF


@pytest.mark.parametrize("kept", [0, 1, 16, 40, len(IMAGE) - 1])
def test_a_cut_image_is_a_fault_and_the_next_one_counts(kept):
    """After the silence the link listens again: the reset is obeyed, and a whole image is taken."""
    replies, written = exchange([LOAD[: HEADER + kept], SILENCE, encode_reset(1), 200, LOAD, 40, *FRAMES])
    cut = [ResetDone(PROTOCOL_VERSION), Fault(FaultCode.TRUNCATED), ResetDone(PROTOCOL_VERSION, 1)]
    assert replies == [*cut, *GOOD]
    check_written(written)


def test_a_bad_byte_ends_an_image():
    """It is told at once; steps are refused until another image is there."""
    replies, written = exchange(
        [LOAD[: HEADER + 20], None, 100, encode_reset(1), 200, FRAMES[0], 300, LOAD, 40, *FRAMES]
    )
    assert replies == [
        ResetDone(PROTOCOL_VERSION),
        Fault(FaultCode.BAD_BYTE),
        ResetDone(PROTOCOL_VERSION, 1),
        Fault(FaultCode.NOT_LOADED),
        *GOOD,
    ]
    check_written(written)


def test_frames_within_an_image_are_weights():
    """A whole RESET amid an image is not obeyed; the image is judged as what it is."""
    frame = encode_reset(5)
    image = (frame * len(IMAGE))[: len(IMAGE)]
    assert image[0] == SYNC and image[1] == Command.RESET
    replies, _ = exchange([encode_load(image), 300])
    assert replies == [ResetDone(PROTOCOL_VERSION), Loaded(LoadStatus.BAD_MAGIC)]


def test_an_image_may_come_twice():
    """The second one resets the core and the numbers, as the first."""
    replies, written = exchange([LOAD, 40, *FRAMES, 800, LOAD, 40, *FRAMES])
    assert replies == [*GOOD, *GOOD]
    check_written(written)


@pytest.mark.parametrize(
    ("sent", "first"),
    [
        (LOAD[:HEADER], [Fault(FaultCode.BAD_CRC)]),
        (LOAD, [ResetDone(PROTOCOL_VERSION), Loaded(LoadStatus.BAD_CHECKSUM)]),
    ],
)
def test_a_bad_checksum_is_told(sent, first):
    """That of the request is a fault, that of the image its status; either way steps are refused."""
    spoilt = sent[:-1] + bytes([sent[-1] ^ 1])
    replies, _ = exchange([spoilt, SILENCE, encode_reset(1), 200, FRAMES[0]])
    assert replies == [*first, ResetDone(PROTOCOL_VERSION, 1), Fault(FaultCode.NOT_LOADED)]
