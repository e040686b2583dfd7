# amaranth: UnusedElaboratable=no
"""The link between byte streams and through UART pins, with a stand-in core."""

import random
from dataclasses import replace

import pytest
from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from link_script import link_events
from stub_core import StubCore, stub_answers

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import (
    COUNTER_MAX,
    PROTOCOL_VERSION,
    SYNC,
    Acknowledge,
    Answer,
    BoardFlag,
    Fault,
    FaultCode,
    Identity,
    LinkFormat,
    ReplyDecoder,
    ResetDone,
    Status,
    encode_identify,
    encode_reset,
    encode_status_request,
    encode_step,
    flush_bytes,
)
from qornn_hw.rtl_gen.links.byte_streams import BYTE_CYCLES_MIN, ReceivedByte
from qornn_hw.rtl_gen.links.frame_link import FrameLink
from qornn_hw.rtl_gen.links.linked_core import LinkedCore
from qornn_hw.sim.addresses import check_addresses

FORM = LinkFormat(5, IntFormat(8, signed=True), 3, 20)
WIDE = LinkFormat(3, IntFormat(14, signed=True), 1, 9)
# So long a step that the buffer holds five.
LONG = LinkFormat(100, IntFormat(8, signed=True), 3, 20)
INDEX = LinkFormat(1, IntFormat(4, signed=False), 2, 17)
BYTE_CYCLES = 16
VERSION = PROTOCOL_VERSION
TIMEOUT_BITS = 7


class ByteLink(wiring.Component):
    """Link and stand-in core with the byte streams outside; ``hold`` keeps steps from the core."""

    def __init__(self, form, **options):
        self.form = form
        self.options = options
        super().__init__(
            {
                "i": In(stream.Signature(ReceivedByte, always_ready=True)),
                "o": Out(stream.Signature(8)),
                "faulty": Out(1),
                "hold": In(1),
            }
        )

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        m.submodules.link = link = FrameLink(form=self.form, timeout_bits=TIMEOUT_BITS)
        core = StubCore(form=self.form, **self.options)
        m.submodules.core = ResetInserter(link.core_rst)(core)
        wiring.connect(m, wiring.flipped(self.i), link.i_bytes)
        wiring.connect(m, wiring.flipped(self.o), link.o_bytes)
        wiring.connect(m, core.o, link.i_answer)
        m.d.comb += [
            core.i.payload.eq(link.o_step.payload),
            core.i.valid.eq(link.o_step.valid & ~self.hold),
            link.o_step.ready.eq(core.i.ready & ~self.hold),
            self.faulty.eq(link.faulty),
        ]
        return m


def exchange(
    form, script, *, byte_cycles=BYTE_CYCLES, out_cycles=None, settle=3000, held=range(0), **options
):
    """Send a script of bytes, pauses (int: cycles) and bad bytes (None); return the replies.

    One byte enters in ``byte_cycles`` cycles; one leaves in ``out_cycles``. The core gets nothing in the
    cycles ``held``.
    """
    dut = ByteLink(form, **options)
    out_cycles = out_cycles or byte_cycles
    decoder = ReplyDecoder(form)
    events = link_events(script, byte_cycles)
    replies = []

    async def bench(ctx):
        hold = 0
        for cycle, event in enumerate(events + [None] * settle):
            ctx.set(dut.i.valid, bool(event))
            ctx.set(dut.hold, cycle in held)
            if event:
                ctx.set(dut.i.payload, {"data": event[0], "error": event[1]})
            hold = max(0, hold - 1)
            ready = hold == 0
            ctx.set(dut.o.ready, ready)
            if ready and ctx.get(dut.o.valid):
                replies.extend(decoder.feed(bytes([ctx.get(dut.o.payload)])))
                hold = out_cycles
            await ctx.tick()
        replies.append(ctx.get(dut.faulty))

    sim = Simulator(check_addresses(dut))
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert decoder.pending == 0
    return replies[:-1], replies[-1]


def sequence(form, length, seed):
    """Return the random steps of a sequence."""
    rng = random.Random(seed)
    word = form.word_format
    return [[rng.randint(word.min, word.max) for _ in range(form.words_per_step)] for _ in range(length)]


def frames(form, steps, start=0, **flags):
    """Return the requests of a whole sequence, numbered from ``start`` on."""
    return [
        encode_step(form, words, start + i, first=i == 0, last=i == len(steps) - 1, **flags)
        for i, words in enumerate(steps)
    ]


def answers(form, steps, start=0):
    """Return the answers that the stand-in core owes to a sequence."""
    expected = stub_answers(form, steps)
    return [Answer(w, last=i == len(expected) - 1, number=(start + i) % 256) for i, w in enumerate(expected)]


@pytest.mark.parametrize("form", [FORM, WIDE, INDEX])
def test_sequences_come_back_right(form):
    """Two sequences back to back at the full rate of the line give their answers, in order."""
    one, two = sequence(form, 4, 1), sequence(form, 3, 2)
    # The answer may be the longer frame: the host keeps to the window.
    got, faulty = exchange(form, [*frames(form, one), *frames(form, two, 4)])
    assert got == answers(form, one) + answers(form, two, 4)
    assert not faulty


@pytest.mark.slow
def test_numbers_wrap():
    """After number 255 comes 0, for steps and for answers."""
    steps = sequence(INDEX, 300, 21)
    got, faulty = exchange(INDEX, frames(INDEX, steps), settle=32000)
    assert got == answers(INDEX, steps)
    assert not faulty


@pytest.mark.parametrize(
    "word", [IntFormat(1, signed=True), IntFormat(9, signed=False), IntFormat(16, signed=True)]
)
def test_words_of_any_width_keep_their_value(word):
    """Corner values of a word reach the core with their sign."""
    form = LinkFormat(4, word, 1, 24)
    steps = [[word.min, word.max, word.min, word.min], [word.max] * 4]
    got, _ = exchange(form, frames(form, steps))
    assert got == answers(form, steps)


def test_only_the_last_step_is_answered():
    """A core that answers the last step only makes one frame."""
    steps = sequence(FORM, 6, 3)
    got, _ = exchange(FORM, frames(FORM, steps), every_step=False)
    assert got == [replace(answers(FORM, steps)[-1], number=0)]


def test_slow_core_holds_the_steps_back():
    """Steps wait in the buffer while the core works, and none is lost up to the window."""
    steps = sequence(LONG, LONG.window, 4)
    got, _ = exchange(LONG, frames(LONG, steps), byte_cycles=12, wait=2500, settle=14000)
    assert got == answers(LONG, steps)


@pytest.mark.slow
def test_overflow_is_reported_and_breaks_the_sequence():
    """Beyond the window: what is in the buffer is answered, a fault comes, a reset mends it."""
    steps = sequence(LONG, LONG.window + 6, 5)
    again = sequence(LONG, 2, 6)
    script = [*frames(LONG, steps), 50000, encode_reset(1), 100, *frames(LONG, again)]
    got, faulty = exchange(LONG, script, byte_cycles=12, wait=7000, settle=20000)
    faults = [r for r in got if isinstance(r, Fault)]
    good = [r for r in got if isinstance(r, Answer)]
    expected = answers(LONG, steps)
    assert faults[0].code == FaultCode.OVERFLOW
    assert {f.code for f in faults} <= {FaultCode.OVERFLOW, FaultCode.OUT_OF_SEQUENCE}
    kept = len(good) - 2
    assert LONG.window <= kept < len(steps)
    assert good == expected[:kept] + answers(LONG, again)
    assert not faulty


@pytest.mark.sampled(6)
@pytest.mark.parametrize("bit", range(8, 8 * FORM.step_frame_bytes, 5))
def test_flipped_bit_never_reaches_the_core(bit):
    """A frame with a flipped bit is a fault, steps are refused up to a reset, and all is well after it."""
    steps = sequence(FORM, 3, 7)
    sent = frames(FORM, steps)
    bad = bytearray(sent[1])
    bad[bit // 8] ^= 1 << (bit % 8)
    pause = 3 << TIMEOUT_BITS
    script = [sent[0], bytes(bad), pause, sent[2], pause, sent[0], pause, encode_reset(9), pause, *sent]
    got, faulty = exchange(FORM, script)
    expected = answers(FORM, steps)
    at = got.index(ResetDone(VERSION, 9))
    assert got[0] == expected[0]
    assert all(isinstance(r, Fault) for r in got[1:at])
    assert got[at - 1].code == FaultCode.OUT_OF_SEQUENCE
    assert got[at + 1 :] == expected
    assert not faulty


def test_zeros_and_a_reset_recover_without_a_pause():
    """Whatever frame was cut short, zeros end it and a reset is obeyed."""
    steps = sequence(FORM, 2, 22)
    sent = frames(FORM, steps)
    for kept in range(1, FORM.step_frame_bytes):
        script = [sent[0], sent[1][:kept], flush_bytes(FORM), encode_reset(kept), 300, *sent]
        got, faulty = exchange(FORM, script)
        at = got.index(ResetDone(VERSION, kept))
        assert got[at + 1 :] == answers(FORM, steps)
        assert not faulty


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_step_is_a_fault(lost):
    """A step that vanished, SYNC and all, leaves a gap in the numbers; nothing behind it is answered."""
    one, two = sequence(FORM, 3, 23), sequence(FORM, 2, 24)
    sent = [*frames(FORM, one), *frames(FORM, two, 3)]
    expected = answers(FORM, one) + answers(FORM, two, 3)
    got, faulty = exchange(FORM, [*sent[:lost], *sent[lost + 1 :]])
    good = [r for r in got if isinstance(r, Answer)]
    faults = [r for r in got if isinstance(r, Fault)]
    assert good == expected[:lost]
    assert faults and {r.code for r in faults} == {FaultCode.OUT_OF_SEQUENCE}
    assert faulty


@pytest.mark.parametrize("twice", range(5))
def test_a_step_that_comes_twice_is_a_fault(twice):
    """A repeated step is refused, and the steps before it are answered."""
    one, two = sequence(FORM, 3, 25), sequence(FORM, 2, 26)
    sent = [*frames(FORM, one), *frames(FORM, two, 3)]
    expected = answers(FORM, one) + answers(FORM, two, 3)
    got, faulty = exchange(FORM, [*sent[: twice + 1], *sent[twice:]])
    assert [r for r in got if isinstance(r, Answer)] == expected[: twice + 1]
    assert any(r.code == FaultCode.OUT_OF_SEQUENCE for r in got if isinstance(r, Fault))
    assert faulty


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kept", range(1, FORM.step_frame_bytes))
def test_truncated_frame_times_out(kept):
    """A frame cut anywhere is a fault after a pause, and after a reset the next frame is right."""
    steps = sequence(FORM, 1, 8)
    (frame,) = frames(FORM, steps)
    got, _ = exchange(FORM, [frame[:kept], 3 << TIMEOUT_BITS, encode_reset(), 100, frame])
    assert got == [Fault(FaultCode.TRUNCATED), ResetDone(VERSION), *answers(FORM, steps)]


def test_slow_sender_does_not_time_out():
    """A pause shorter than the timeout between bytes of a frame does no harm."""
    steps = sequence(FORM, 2, 9)
    got, _ = exchange(FORM, frames(FORM, steps), byte_cycles=(1 << TIMEOUT_BITS) - 1)
    assert got == answers(FORM, steps)


def test_garbage_between_frames_is_skipped():
    """Bytes other than SYNC before a frame, bad ones too, are passed over in silence."""
    steps = sequence(FORM, 2, 10)
    one, two = frames(FORM, steps)
    noise = bytes(b for b in random.Random(11).randbytes(40) if b != 0xA5)
    got, faulty = exchange(FORM, [noise, None, one, noise, None, two])
    assert got == answers(FORM, steps)
    assert not faulty


def test_random_bytes_never_reach_the_core():
    """Any noise gives faults only, and after a pause and a reset a sequence is right."""
    steps = sequence(FORM, 2, 12)
    noise = random.Random(13).randbytes(600).replace(b"\x00", b"\xa5")
    script = [noise, 3 << TIMEOUT_BITS, encode_reset(5), 100, *frames(FORM, steps)]
    got, _ = exchange(FORM, script, byte_cycles=12)
    at = got.index(ResetDone(VERSION, 5))
    assert all(isinstance(r, Fault) for r in got[:at])
    assert got[at + 1 :] == answers(FORM, steps)


def test_bad_byte_in_a_frame_is_a_fault():
    """A byte with a low stop bit ends its frame."""
    steps = sequence(FORM, 1, 14)
    (frame,) = frames(FORM, steps)
    got, _ = exchange(FORM, [frame[:4], None, 200, encode_reset(), 100, frame])
    assert got == [Fault(FaultCode.BAD_BYTE), ResetDone(VERSION), *answers(FORM, steps)]


def test_unknown_command_is_a_fault():
    """A command of a later version, or LOAD where there is nothing to load, is refused at once."""
    for command in (0x00, 0x18, 0x21, 0x30, 0x41, 0x60, 0x70, 0x90):
        got, _ = exchange(FORM, [bytes([SYNC, command, 0]), 200])
        assert got == [Fault(FaultCode.BAD_COMMAND)]


def test_a_sequence_must_start_with_first():
    """After power-up a step without FIRST is refused."""
    (frame,) = [encode_step(FORM, [0] * 5, last=True)]
    got, faulty = exchange(FORM, [frame])
    assert got == [Fault(FaultCode.OUT_OF_SEQUENCE)]
    assert faulty


def test_the_board_says_what_it_is():
    """IDENTIFY brings the form, at any time, between answers too."""
    form = replace(FORM, digest=bytes(range(200, 208)), every_step=False)
    steps = sequence(form, 2, 27)
    one, two = frames(form, steps)
    got, _ = exchange(
        form, [encode_identify(), 600, one, encode_identify(), two, 600, b"\xa5\x7f", encode_identify()]
    )
    found = [replace(r, flags=BoardFlag.NONE, number=0) for r in got if isinstance(r, Identity)]
    assert found == [form.identity] * 3
    assert [r for r in got if isinstance(r, Answer)] == answers(form, steps)
    flags = [r.flags for r in got if isinstance(r, Identity)]
    assert flags == [BoardFlag.LOADED, BoardFlag.LOADED, BoardFlag.LOADED | BoardFlag.FAULTY]
    assert got[-1].number == 2


def test_the_board_counts_steps_and_faults():
    """STATUS tells the steps since the reset, and how often each kind of fault broke a sequence."""
    steps = sequence(FORM, 3, 28)
    sent = frames(FORM, steps)
    bad = sent[1][:-1] + bytes([sent[1][-1] ^ 1])
    script = [*sent, 500, encode_status_request(), 600]
    # The two steps behind the bad one are its consequence.
    for _ in range(17):
        script += [encode_reset(), 100, sent[0], bad, sent[1], sent[2], 700]
    script += [encode_reset(), 100, b"\xa5\x77", 200, encode_status_request(), 600]
    got, _ = exchange(FORM, script)
    one, two = (r for r in got if isinstance(r, Status))
    assert one == Status(3, {}, BoardFlag.LOADED, 3)
    assert two == Status(
        0, {FaultCode.BAD_CRC: COUNTER_MAX, FaultCode.BAD_COMMAND: 1}, BoardFlag.LOADED | BoardFlag.FAULTY, 0
    )


def test_steps_are_acknowledged_when_taken():
    """A step that asks for it is acknowledged once, before the next one that asks."""
    steps = sequence(FORM, 4, 16)
    sent = frames(FORM, steps)
    sent[1] = encode_step(FORM, steps[1], 1, acknowledge=True)
    sent[2] = encode_step(FORM, steps[2], 2, acknowledge=True)
    got, _ = exchange(FORM, [f for frame in sent for f in (frame, 100)], every_step=False)
    assert got == [Acknowledge(), Acknowledge(), replace(answers(FORM, steps)[-1], number=0)]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("pause", [0, 40, 90, 150, 200, 330, 400])
def test_reset_drops_everything_at_any_time(pause):
    """Whatever is in flight, a reset is acknowledged after whole frames, and a new sequence is right."""
    steps = sequence(FORM, 4, 17)
    new = sequence(FORM, 2, 18)
    got, faulty = exchange(
        FORM,
        [*frames(FORM, steps), pause, encode_reset(77), 300, *frames(FORM, new)],
        out_cycles=3 * BYTE_CYCLES,
        wait=10,
        settle=6000,
    )
    at = got.index(ResetDone(VERSION, 77))
    before = [r for r in got[:at] if not r.aborted]
    assert before == answers(FORM, steps)[: len(before)]
    assert got[at + 1 :] == answers(FORM, new)
    assert not faulty


@pytest.mark.parametrize("acknowledge", [False, True])
def test_reset_meets_a_reply_that_waits(acknowledge):
    """In whatever cycle a reset comes near an answer or an acknowledge, nothing old follows its reply."""
    form = LinkFormat(1, IntFormat(4, signed=False), 1, 8)
    script, values = [], range(14, 28)
    for pause in values:
        old = encode_step(form, [pause % 16], 0, first=True, last=True, acknowledge=acknowledge)
        new = encode_step(form, [(pause + 5) % 16], 0, first=True, last=True)
        script += [old, pause, encode_reset(pause), 250, new, 250, encode_reset(200), 120]
    got, _ = exchange(form, script, byte_cycles=BYTE_CYCLES_MIN, wait=70)
    for pause in values:
        at = got.index(ResetDone(VERSION, pause))
        want = [Answer(((pause + 5) % 16,), last=True, number=0), ResetDone(VERSION, 200)]
        assert got[at + 1 : at + 3] == want
        got = got[at + 3 :]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("bits", [4, 14, 20])
def test_reset_meets_a_word_for_the_core(bits):
    """Whatever the link does with words of 1 to 3 bytes when a reset comes, the core gets new ones alone."""
    form = LinkFormat(2, IntFormat(bits, signed=False), 1, 8)
    old = [encode_step(form, [3, 4], i, first=i == 0) for i in range(3)]
    script = [*old, encode_reset(1)]
    # The link's own reset is so many cycles behind the last byte.
    reset_at = BYTE_CYCLES_MIN * sum(map(len, script)) + 1
    script += [160, encode_step(form, [7, 8], 0, first=True, last=True)]
    for early in range(-3, 30):
        held = range(reset_at - early)
        got, _ = exchange(form, script, byte_cycles=BYTE_CYCLES_MIN, held=held, settle=400)
        assert got[got.index(ResetDone(VERSION, 1)) + 1 :] == [Answer((15,), last=True, number=0)]


def test_reset_in_the_middle_of_a_frame_ends_it():
    """Half a step and then a reset: after the timeout the reset is obeyed."""
    steps = sequence(FORM, 2, 19)
    one, _ = frames(FORM, steps)
    got, _ = exchange(FORM, [one[:4], 3 << TIMEOUT_BITS, encode_reset(), 100, *frames(FORM, steps)])
    assert got == [Fault(FaultCode.TRUNCATED), ResetDone(VERSION), *answers(FORM, steps)]


def test_reset_clears_a_fault():
    """The fault flag stays until a reset."""
    got, faulty = exchange(FORM, [b"\xa5\x33", 200, encode_reset()])
    assert got == [Fault(FaultCode.BAD_COMMAND), ResetDone(VERSION)]
    assert not faulty


def byte_levels(sent):
    """Return the levels of the line for bytes."""
    return [bit for byte in sent for bit in (0, *((byte >> i) & 1 for i in range(8)), 1)]


async def next_byte(ctx, tx, clocks_per_bit):
    """Return the next byte on the line, whose stop bit must be high."""
    await ctx.tick().until(~tx)
    await ctx.tick().repeat(clocks_per_bit // 2)
    byte = 0
    for i in range(8):
        await ctx.tick().repeat(clocks_per_bit)
        byte |= ctx.get(tx) << i
    await ctx.tick().repeat(clocks_per_bit)
    assert ctx.get(tx) == 1
    return byte


@pytest.mark.sampled(4)
@pytest.mark.parametrize("cycles", [2, 3])
@pytest.mark.parametrize("after", [130, 475, 500, 520, 600, 1000])
def test_start_of_the_board_resets_everything(after, cycles):
    """From amid a frame, a step or an answer: the line is idle, nothing old comes, and all works anew."""
    form, clocks_per_bit = INDEX, 8
    steps = sequence(form, 2, 21)
    dut = LinkedCore(core=StubCore(form=form), form=form, clocks_per_bit=clocks_per_bit, timeout_bits=10)
    before = byte_levels(b"".join(frames(form, steps)))
    behind = byte_levels(encode_reset(9) + b"".join(frames(form, steps)))
    replies = []

    async def host(ctx):
        for cycle in range(after):
            ctx.set(dut.rx, before[cycle // clocks_per_bit] if cycle // clocks_per_bit < len(before) else 1)
            await ctx.tick()
        ctx.set(dut.rx, 1)
        ctx.set(dut.starting, 1)
        await ctx.tick().repeat(cycles)
        ctx.set(dut.starting, 0)
        for _ in range(400):
            await ctx.tick()
            assert ctx.get(dut.tx) == 1
        for bit in behind:
            ctx.set(dut.rx, bit)
            await ctx.tick().repeat(clocks_per_bit)

    async def listen(ctx):
        decoder = ReplyDecoder(form)
        await ctx.tick().repeat(after + cycles)
        while len(replies) < 1 + len(steps):
            replies.extend(decoder.feed(bytes([await next_byte(ctx, dut.tx, clocks_per_bit)])))

    sim = Simulator(check_addresses(dut))
    sim.add_clock(1e-6)
    sim.add_testbench(host)
    sim.add_testbench(listen)
    sim.run_until(1e-6 * (after + 20_000))
    assert replies == [ResetDone(VERSION, 9), *answers(form, steps)]


@pytest.mark.parametrize("clocks_per_bit", [8, 12])
def test_through_the_uart_pins(clocks_per_bit):
    """Steps on rx at the full rate of the line give their answers on tx."""
    form = INDEX
    steps = sequence(form, 5, 20)
    dut = LinkedCore(
        core=StubCore(form=form, every_step=False), form=form, clocks_per_bit=clocks_per_bit, timeout_bits=10
    )
    sent = b"".join(frames(form, steps))
    got = bytearray()

    async def send(ctx):
        ctx.set(dut.rx, 1)
        await ctx.tick().repeat(10)
        for bit in byte_levels(sent):
            ctx.set(dut.rx, bit)
            await ctx.tick().repeat(clocks_per_bit)

    async def receive(ctx):
        while len(got) < form.answer_frame_bytes:
            got.append(await next_byte(ctx, dut.tx, clocks_per_bit))

    sim = Simulator(check_addresses(dut))
    sim.add_clock(1e-6)
    sim.add_testbench(send)
    sim.add_testbench(receive)
    sim.run()
    (answer,) = ReplyDecoder(form).feed(bytes(got))
    assert answer == replace(answers(form, steps)[-1], number=0)


def test_rejects_a_bad_timeout():
    """A timeout of no cycles is refused."""
    with pytest.raises(ValueError, match=r"^timeout_bits must be at least 1, not 0$"):
        FrameLink(form=FORM, timeout_bits=0)
