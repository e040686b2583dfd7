# amaranth: UnusedElaboratable=no
"""The parser alone: the fields of every kind of request, cuts, and the CRC."""

import random

import pytest
from component_bench import run_bench

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import (
    SYNC,
    LinkFormat,
    encode_identify,
    encode_reset,
    encode_status_request,
    encode_step,
)
from qornn_hw.rtl_gen.links.byte_streams import BYTE_CYCLES_MIN
from qornn_hw.rtl_gen.links.request_parser import RequestParser

FORM = LinkFormat(3, IntFormat(8, signed=True), 1, 8)
CUT = None


def parse(script, *, expected=0, ignore=False):
    """Return what a parser says of bytes and cuts: (event, ...) in order."""
    dut, events = RequestParser(form=FORM), []

    async def bench(ctx):
        ctx.set(dut.expected, expected)
        ctx.set(dut.ignore, ignore)
        await ctx.tick()
        for item in script:
            byte = 0 if item is CUT else item
            for cycle in range(BYTE_CYCLES_MIN + 4):
                ctx.set(dut.good, cycle == 0 and item is not CUT)
                ctx.set(dut.cut, cycle == 0 and item is CUT)
                ctx.set(dut.byte, byte)
                if ctx.get(dut.keep):
                    events.append(("keep", item))
                if ctx.get(dut.unknown):
                    events.append(("unknown", item))
                if ctx.get(dut.settled):
                    facts = (dut.wrong, dut.order, dut.is_first, dut.other_number, dut.tag)
                    events.append(("settled", *map(ctx.get, facts)))
                if ctx.get(dut.shift):
                    byte = byte << 1 & 0xFF
                await ctx.tick()
        events.append(("hunting", ctx.get(dut.hunting)))

    run_bench(dut, bench)
    return events


IDLE = ("hunting", 1)


@pytest.mark.parametrize("number", [0, 5, 255])
@pytest.mark.parametrize("first", [False, True])
def test_a_step_is_kept_and_settled(first, number):
    """Command and words are kept, in order; FIRST and the number are reported."""
    frame = encode_step(FORM, [1, -2, 3], number, first=first)
    events = parse([0x00, 0x77, *frame], expected=5)
    kept = [("keep", byte) for byte in (frame[1], *frame[3:6])]
    tag = 0
    assert events == [*kept, ("settled", 0, 1, int(first), int(number != 5), tag), IDLE]


@pytest.mark.parametrize(
    ("frame", "order"), [(encode_reset(9), 2), (encode_identify(9), 4), (encode_status_request(9), 5)]
)
def test_a_command_without_words(frame, order):
    """Nothing is kept; only a RESET gives the tag."""
    ((_, wrong, got, _, _, tag), end) = parse(frame)
    assert (wrong, got, tag, end) == (0, order, 9 if order == 2 else 0, IDLE)


def test_every_flipped_bit_is_a_wrong_crc_or_no_request():
    """No frame with one wrong bit is settled as right."""
    frame = encode_step(FORM, [4, 5, 6], 0, first=True)
    for bit in range(8 * len(frame)):
        spoilt = bytearray(frame)
        spoilt[bit // 8] ^= 1 << bit % 8
        settled = [event for event in parse(spoilt) if event[0] == "settled"]
        assert all(event[1] for event in settled), bit


@pytest.mark.parametrize("kept", range(1, FORM.step_frame_bytes))
def test_a_cut_ends_a_request_anywhere(kept):
    """After a cut the next SYNC starts a request."""
    frame = encode_step(FORM, [7, 8, 9], 0, first=True)
    *_, settled, end = parse([*frame[:kept], CUT, *frame])
    assert (settled[:2], end) == (("settled", 0), IDLE)


@pytest.mark.parametrize("command", [0x00, 0x18, 0x21, 0x30, 0x60, 0x70, 0x90, 0xFF])
def test_an_unknown_command_ends_its_request(command):
    """It is reported at once, and the next byte is searched for SYNC."""
    assert parse([SYNC, command]) == [("unknown", command), IDLE]


def test_an_image_is_ignored():
    """While the bytes are those of an image, SYNC starts nothing."""
    assert parse(encode_reset(1), ignore=True) == [IDLE]


def test_a_deaf_crc_is_noticed(monkeypatch):
    """Planted fault: with another polynomial good frames are wrong."""
    monkeypatch.setattr("qornn_hw.rtl_gen.links.crc.CRC_POLYNOMIAL", 0x8005)
    assert parse(encode_step(FORM, [random.Random(1).randrange(100)] * 3, 0))[-2][1] == 1
