"""Frames: encoding, decoding, and what becomes of bytes that are none."""

import random

import pytest

from qornn_hw.errors import DataError, FormatError
from qornn_hw.fixed import IntFormat
from qornn_hw.link_protocol import (
    Acknowledge,
    Answer,
    Fault,
    FaultCode,
    Garbled,
    LinkFormat,
    ReplyDecoder,
    ResetDone,
    crc8,
    encode_acknowledge,
    encode_answer,
    encode_fault,
    encode_reset,
    encode_reset_done,
    encode_step,
)

FORM = LinkFormat(3, IntFormat(12, signed=True), 2, 20)
REPLIES = [
    (encode_answer(FORM, [-1, 524287]), Answer((-1, 524287), last=False)),
    (encode_answer(FORM, [-524288, 0], last=True), Answer((-524288, 0), last=True)),
    (encode_acknowledge(), Acknowledge()),
    (encode_reset_done(), ResetDone(1)),
    (encode_fault(FaultCode.OVERFLOW), Fault(FaultCode.OVERFLOW)),
]


def test_crc_has_its_published_check_value():
    """The CRC of 123456789 is that of the catalogued polynomial 0x07 with start 0xFF."""
    assert crc8(b"123456789") == 0xFB


def test_crc_finds_every_flipped_bit_and_short_burst():
    """Every error of up to 8 neighbouring bits in a frame changes the CRC."""
    body = random.Random(1).randbytes(30)
    value = int.from_bytes(body, "big")
    good = crc8(body)
    for start in range(8 * len(body) - 7):
        for burst in (0x01, 0x81, 0xFF, 0x95):
            assert crc8((value ^ (burst << start)).to_bytes(len(body), "big")) != good


def test_step_frame_is_as_documented():
    """SYNC, command with flags, words little endian, CRC."""
    frame = encode_step(FORM, [1, -2, 2047], first=True, last=True, acknowledge=True)
    assert frame[:-1].hex() == "a5170100feffff07"
    assert frame[-1] == crc8(frame[1:-1])
    assert len(frame) == FORM.step_frame_bytes


def test_reset_frame_is_as_documented():
    """A reset is three bytes."""
    assert encode_reset().hex() == "a52013"


@pytest.mark.parametrize(("frame", "reply"), REPLIES)
def test_decoder_inverts_the_encoder(frame, reply):
    """Every kind of reply comes back, in one piece or byte by byte."""
    assert ReplyDecoder(FORM).feed(frame) == [reply]
    decoder = ReplyDecoder(FORM)
    assert [r for b in frame for r in decoder.feed(bytes([b]))] == [reply]
    assert decoder.pending == 0


def test_decoder_resynchronizes_after_garbage():
    """Garbage comes out as such and does not swallow the reply behind it."""
    noise = bytes([0x00, 0x13, 0xA5, 0x00, 0xFF])
    decoder = ReplyDecoder(FORM)
    assert decoder.feed(noise + REPLIES[0][0]) == [Garbled(noise), REPLIES[0][1]]


def test_decoder_loses_one_reply_to_a_lost_byte():
    """The replies behind a short one are all found."""
    frames = [f for f, _ in REPLIES]
    data = frames[0][:4] + frames[0][5:] + b"".join(frames[1:])
    replies = [r for r in ReplyDecoder(FORM).feed(data) if not isinstance(r, Garbled)]
    assert replies == [r for _, r in REPLIES[1:]]


def test_decoder_forgets_an_incomplete_reply():
    """After clear() the rest of a reply is not waited for."""
    decoder = ReplyDecoder(FORM)
    decoder.feed(REPLIES[0][0][:5])
    assert decoder.pending == 5
    decoder.clear()
    assert decoder.feed(REPLIES[1][0]) == [REPLIES[1][1]]


def test_unknown_fault_code_is_kept():
    """A code of a later version comes through as its number."""
    body = bytes([0xC0, 0x77])
    assert ReplyDecoder(FORM).feed(b"\xa5" + body + bytes([crc8(body)])) == [Fault(0x77)]


@pytest.mark.parametrize(
    ("form", "buffer_bytes", "window"),
    [
        (LinkFormat(1, IntFormat(4, signed=False), 10, 20), 512, 255),
        (LinkFormat(28, IntFormat(8, signed=True), 10, 20), 512, 17),
        (LinkFormat(300, IntFormat(16, signed=True), 1, 8), 2048, 3),
    ],
)
def test_window_fits_the_buffer(form, buffer_bytes, window):
    """The buffer is a power of two of at least one block RAM and two steps."""
    assert (form.buffer_bytes, form.window) == (buffer_bytes, window)
    assert form.window >= 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([1, 2], "a step must have 3 words, not 2"),
        ([1, 2, 2048], "word 2 of a step must lie in -2048 to 2047, not 2048"),
    ],
)
def test_rejects_a_step_that_does_not_fit(words, message):
    """A wrong count or value is named."""
    with pytest.raises(DataError, match=f"^{message}$"):
        encode_step(FORM, words)


def test_rejects_an_empty_format():
    """A link without words is none."""
    with pytest.raises(FormatError, match=r"^words_per_step of a link must be at least 1, not 0$"):
        LinkFormat(0, IntFormat(8, signed=True), 1, 8)
