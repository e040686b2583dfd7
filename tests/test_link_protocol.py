"""Frames: encoding, decoding, and what becomes of bytes that are none."""

import numpy as np
import pytest

from qornn_hw.compiler.weight_image import LoadStatus
from qornn_hw.errors import DataError, FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import (
    Acknowledge,
    Answer,
    BoardFlag,
    Fault,
    FaultCode,
    Garbled,
    Identity,
    LinkFormat,
    Loaded,
    ReplyDecoder,
    ReplyKind,
    ResetDone,
    Status,
    StepFlag,
    crc16,
    encode_acknowledge,
    encode_answer,
    encode_fault,
    encode_identity,
    encode_loaded,
    encode_reset,
    encode_reset_done,
    encode_status,
    encode_step,
    encode_steps,
    flush_bytes,
)

FORM = LinkFormat(3, IntFormat(12, signed=True), 2, 20)
IDENTITY = Identity(2, 300, 12, True, 2, 20, False, True, 2048, b"12345678", BoardFlag.FAULTY, 9)
STATUS = Status(0x34, {FaultCode.BAD_CRC: 15, FaultCode.NOT_LOADED: 1}, BoardFlag.LOADED, 250)
REPLIES = [
    (encode_answer(FORM, [-1, 524287]), Answer((-1, 524287), last=False)),
    (encode_answer(FORM, [-524288, 0], 255, last=True), Answer((-524288, 0), last=True, number=255)),
    (encode_acknowledge(3), Acknowledge(3)),
    (encode_reset_done(7), ResetDone(2, 7)),
    (encode_fault(FaultCode.OVERFLOW), Fault(FaultCode.OVERFLOW)),
    (encode_loaded(LoadStatus.BAD_DESIGN), Loaded(LoadStatus.BAD_DESIGN)),
    (encode_identity(IDENTITY), IDENTITY),
    (encode_status(STATUS), STATUS),
]


def test_crc_has_its_published_check_value():
    """The CRC of 123456789 is that of the catalogued CRC-16/IBM-3740."""
    assert crc16(b"123456789") == 0x29B1


def test_crc_finds_every_error_within_two_neighbouring_bytes():
    """Whatever becomes of two bytes next to each other changes the CRC."""
    # The CRC is linear: an error is not found only if it has the CRC of zeros, wherever it is.
    assert all(crc16(error.to_bytes(2, "big")) != crc16(bytes(2)) for error in range(1, 1 << 16))


def test_crc_finds_every_error_of_up_to_three_bits():
    """Every error of one to three bits in a frame of 40 bytes changes the CRC."""
    zero = crc16(bytes(40))
    syndromes = [crc16((1 << bit).to_bytes(40, "big")) ^ zero for bit in range(320)]
    singles = set(syndromes)
    pairs = {a ^ b for i, a in enumerate(syndromes) for b in syndromes[:i]}
    assert 0 not in singles and len(singles) == 320
    assert 0 not in pairs and not pairs & singles


def test_step_frame_is_as_documented():
    """SYNC, command with flags, number, words little endian, CRC."""
    frame = encode_step(FORM, [1, -2, 2047], 0x1FE, first=True, last=True, acknowledge=True)
    assert frame[:-2].hex() == "a517fe0100feffff07"
    assert int.from_bytes(frame[-2:], "big") == crc16(frame[1:-2])
    assert len(frame) == FORM.step_frame_bytes


@pytest.mark.parametrize(
    "form",
    [FORM, LinkFormat(1, IntFormat(4, signed=False), 1, 8), LinkFormat(9, IntFormat(3, signed=True), 1, 8)],
)
def test_many_steps_are_encoded_as_one_by_one(form):
    """The frames of many steps are those of each."""
    rng = np.random.default_rng(1)
    words = rng.integers(form.word_format.min, form.word_format.max + 1, (20, form.words_per_step))
    flags = rng.integers(0, 8, 20).astype(np.uint8)
    frames = encode_steps(form, words, flags, 250)
    for i, (row, flag) in enumerate(zip(words.tolist(), flags, strict=True)):
        expected = encode_step(
            form, row, 250 + i,
            first=bool(flag & StepFlag.FIRST),
            last=bool(flag & StepFlag.LAST),
            acknowledge=bool(flag & StepFlag.ACKNOWLEDGE),
        )  # fmt: skip
        assert bytes(frames[i]) == expected


def test_reset_frame_is_as_documented():
    """A reset is five bytes."""
    assert encode_reset(1).hex() == "a520010bc8"


def test_what_ends_a_frame_begins_none():
    """The bytes that end any frame have no SYNC, and are as many as a frame can lack."""
    assert 0xA5 not in flush_bytes(FORM)
    assert len(flush_bytes(FORM)) >= FORM.step_frame_bytes - 1


@pytest.mark.parametrize(("frame", "reply"), REPLIES)
def test_decoder_inverts_the_encoder(frame, reply):
    """Every kind of reply comes back, in one piece or byte by byte."""
    assert ReplyDecoder(FORM).feed(frame) == [reply]
    decoder = ReplyDecoder(FORM)
    assert [r for b in frame for r in decoder.feed(bytes([b]))] == [reply]
    assert decoder.pending == 0


def test_decoder_resynchronizes_after_garbage():
    """Garbage comes out as such and does not swallow the reply behind it."""
    noise = bytes([0x00, 0x13, 0xA5, 0x00, 0xFF, 0xA5, 0xC0, 0x01])
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
    body = bytes([ReplyKind.FAULT, 5, 0x77])
    assert ReplyDecoder(FORM).feed(b"\xa5" + body + crc16(body).to_bytes(2, "big")) == [Fault(0x77, 5)]


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
    """A link without words is none, and one of more than it can tell neither."""
    with pytest.raises(FormatError, match=r"^words_per_step of a link must be at most 65535, not 65536$"):
        LinkFormat(1 << 16, IntFormat(8, signed=True), 1, 8)
    with pytest.raises(FormatError, match=r"^words_per_step of a link must be at least 1, not 0$"):
        LinkFormat(0, IntFormat(8, signed=True), 1, 8)
