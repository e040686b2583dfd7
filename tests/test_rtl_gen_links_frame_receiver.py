# amaranth: UnusedElaboratable=no
"""The receiver with a list as its buffer: what is committed, refused and obeyed, and when."""

import random

import pytest
from component_bench import run_bench

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import (
    FaultCode,
    LinkFormat,
    encode_identify,
    encode_reset,
    encode_status_request,
    encode_step,
)
from qornn_hw.rtl_gen.links.byte_streams import BYTE_CYCLES_MIN
from qornn_hw.rtl_gen.links.frame_receiver import FrameReceiver

FORM = LinkFormat(3, IntFormat(12, signed=True), 1, 8)
TICK_CYCLES = 64


def receive(script, *, refuse=()):
    """Play bytes, pauses (int: cycles) and bad bytes (None); return the events.

    The last entry of an event is the number of cycles since the latest byte.

    The buffer refuses the bytes with the numbers ``refuse``.
    """
    dut, events, latest = FrameReceiver(form=FORM), [], [0]
    line = []
    for item in script:
        if isinstance(item, int):
            line += [None] * item
        else:
            for byte in [(0x55, 1)] if item is None else [(b, 0) for b in item]:
                line += [byte, *[None] * (BYTE_CYCLES_MIN - 1)]

    async def bench(ctx):
        pending, keeps, written = [], 0, None
        port = dut.buffer
        for cycle, byte in enumerate(line + [None] * 40):
            ctx.set(dut.tick, cycle % TICK_CYCLES == 0)
            ctx.set(dut.i.valid, byte is not None)
            if byte is not None:
                ctx.set(dut.i.payload, {"data": byte[0], "error": byte[1]})
                latest[0] = cycle
            if ctx.get(port.en):
                written = ctx.get(port.data)
            refused = False
            if ctx.get(port.keep):
                refused = keeps in refuse
                keeps += 1
                if not refused:
                    pending.append(written)
            if ctx.get(port.commit):
                events.append(("commit", bytes(pending), cycle - latest[0]))
                pending = []
            if ctx.get(port.roll_back):
                pending = []
            if ctx.get(dut.fault):
                events.append(("fault", FaultCode(ctx.get(dut.fault_code)), cycle - latest[0]))
            if ctx.get(dut.reset):
                events.append(("reset", ctx.get(dut.tag), cycle - latest[0]))
            if ctx.get(dut.ask):
                events.append(("ask", ctx.get(dut.ask_status), cycle - latest[0]))
            await ctx.tick()
            ctx.set(port.refused, refused)

    run_bench(dut, bench)
    return events


def test_steps_are_committed_as_they_are():
    """The bytes between number and CRC are committed with the command, 12 cycles after the last byte."""
    rng = random.Random(1)
    steps = [[rng.randint(-2048, 2047) for _ in range(3)] for _ in range(4)]
    frames = [encode_step(FORM, words, i, first=i == 0) for i, words in enumerate(steps)]
    stored = [bytes([frame[1]]) + frame[3:-2] for frame in frames]
    back_to_back = receive([b"".join(frames)])
    assert [event[:2] for event in back_to_back] == [("commit", one) for one in stored]
    apart = receive([part for frame in frames for part in (frame, 9)])
    assert apart == [("commit", one, 12) for one in stored]


def test_requests_without_words():
    """RESET brings its number; questions are told apart."""
    events = receive([encode_reset(77), 9, encode_identify(1), 9, encode_status_request(2)])
    assert events == [("reset", 77, 12), ("ask", 0, 11), ("ask", 1, 11)]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda f: [f[:-1] + bytes([f[-1] ^ 1])], FaultCode.BAD_CRC),
        (lambda f: [f[:5], None], FaultCode.BAD_BYTE),
        (lambda f: [f[:5], 3 * TICK_CYCLES], FaultCode.TRUNCATED),
        (lambda f: [b"\xa5\x60"], FaultCode.BAD_COMMAND),
        (lambda f: [encode_step(FORM, [1, 2, 3], 2)], FaultCode.OUT_OF_SEQUENCE),
    ],
)
def test_a_bad_request_is_dropped_and_ends_the_sequence(spoil, code):
    """Its fault comes once; a good step behind it is refused until a reset."""
    good = [encode_step(FORM, [1, 2, 3], i, first=i == 0) for i in range(3)]
    again = [encode_reset(3), encode_step(FORM, [4, 5, 6], 0, first=True)]
    events = [e[0:2] for e in receive([good[0], *spoil(good[1]), 50, good[1], *again])]
    committed = bytes([again[1][1]]) + again[1][3:-2]
    assert [e[0] for e in events] == ["commit", "fault", "fault", "reset", "commit"]
    assert (events[1][1], events[2][1]) == (code, FaultCode.OUT_OF_SEQUENCE)
    assert events[4][1] == committed


@pytest.mark.parametrize("byte", range(7))
def test_a_full_buffer_is_an_overflow(byte):
    """Whichever byte has no room, the step is dropped as a whole."""
    events = receive([encode_step(FORM, [1, 2, 3], 0, first=True)], refuse=[byte])
    assert [event[:2] for event in events] == [("fault", FaultCode.OVERFLOW)]


def test_a_buffer_that_refuses_in_silence_is_noticed():
    """Planted fault: a lost byte that is not reported is committed as a step too short."""
    frame = encode_step(FORM, [1, 2, 3], 0, first=True)
    ((_, stored, _),) = receive([frame])
    assert stored == bytes([frame[1]]) + frame[3:-2]
    ((what, *_),) = receive([frame], refuse=[3])
    assert what != "commit"
