"""The frames between host and board (docs/link.md): one definition for gateware, host and benches.

    request   SYNC  command  number  [step's words]    CRC      host to board
    reply     SYNC  kind     number  [content]  tail   CRC      board to host

The CRC covers everything between SYNC and itself. Nothing here touches a port: the host client, the benches
and the simulated board all feed bytes in and take frames out.
"""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.weight_image import DIGEST_BYTES, LoadStatus, WeightFormat
from qornn_hw.errors import DataError, FormatError
from qornn_hw.ir.formats import IntFormat

__all__ = [
    "COUNTER_MAX",
    "CRC_BYTES",
    "CRC_INIT",
    "CRC_POLYNOMIAL",
    "INFO_BYTES",
    "NUMBERS",
    "PROTOCOL_VERSION",
    "SYNC",
    "Acknowledge",
    "Answer",
    "AnswerTail",
    "BoardFlag",
    "Command",
    "Fault",
    "FaultCode",
    "Garbled",
    "Identity",
    "LinkFormat",
    "Loaded",
    "Reply",
    "ReplyDecoder",
    "ReplyKind",
    "ResetDone",
    "Status",
    "StepFlag",
    "crc16",
    "encode_acknowledge",
    "encode_answer",
    "encode_fault",
    "encode_identify",
    "encode_identity",
    "encode_load",
    "encode_loaded",
    "encode_reset",
    "encode_reset_done",
    "encode_status",
    "encode_status_request",
    "encode_step",
    "encode_steps",
    "flush_bytes",
]

PROTOCOL_VERSION = 2
SYNC = 0xA5
# CRC-16/IBM-3740, often called CCITT-FALSE, which Python has in C. It finds every error of up to 3 bits, of
# any odd number of bits, and within any two neighbouring bytes, in frames of up to 4095 bytes; of anything
# else, as a lost byte, all but 1 in 65536. All ones as the start value, so that zeros in front are found.
CRC_POLYNOMIAL = 0x1021
CRC_INIT = 0xFFFF
CRC_BYTES = 2
# Steps and answers are numbered modulo this: fewer may be on their way.
NUMBERS = 256
# The smallest block RAM of any family is 512 bytes; a smaller buffer would cost the same block.
BUFFER_BYTES_MIN = 512
# Content of IDENTITY and of STATUS.
INFO_BYTES = 16
# Counters of faults stay there.
COUNTER_MAX = 3


class Command(IntEnum):
    """What a request asks for. 0x60 and 0x70 are kept for later versions."""

    STEP = 0x10
    RESET = 0x20
    LOAD = 0x30
    IDENTIFY = 0x40
    STATUS = 0x50


class StepFlag(IntFlag):
    """Low bits of a STEP command.

    FIRST: the step starts a sequence. LAST: it ends one. ACKNOWLEDGE: tell when the core has taken it; only
    one such request may be on its way at a time.
    """

    NONE = 0
    FIRST = 1
    LAST = 2
    ACKNOWLEDGE = 4


class ReplyKind(IntEnum):
    """What a reply brings."""

    ANSWER = 0x90
    ACKNOWLEDGE = 0xA0
    RESET_DONE = 0xB0
    FAULT = 0xC0
    LOADED = 0xD0
    IDENTITY = 0xE0
    STATUS = 0xF0


class AnswerTail(IntFlag):
    """Tail of an ANSWER.

    LAST: it answers the last step of a sequence. ABORTED: a reset cut it short, its words mean nothing.
    """

    NONE = 0
    LAST = 1
    ABORTED = 2


class BoardFlag(IntFlag):
    """Bits 0 and 1 of the tail of IDENTITY and STATUS; above them is how the latest image of weights was.

    LOADED: all weights are there. FAULTY: there was a fault, and steps are refused until a RESET.
    """

    NONE = 0
    LOADED = 1
    FAULTY = 2


class FaultCode(IntEnum):
    """Tail of a FAULT: why a request was dropped."""

    BAD_CRC = 1
    TRUNCATED = 2
    OVERFLOW = 3
    BAD_COMMAND = 4
    OUT_OF_SEQUENCE = 5
    BAD_BYTE = 6
    NOT_LOADED = 7


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8


@dataclass(frozen=True)
class LinkFormat:
    """The sizes that both ends of a link must agree on, and what else a board says of its design.

    Attributes:
        words_per_step: words that one time step brings.
        word_format: format of such a word.
        words_per_answer: words of an answer.
        answer_bits: bits of such a word, which is signed.
        weights: the image of weights that the board waits for, None where it has them.
        every_step: every step is answered, not only the last one of a sequence.
        digest: the first bytes of the design's digest, the same as in an image of its weights.

    >>> LinkFormat(28, IntFormat(8, signed=False), 10, 20).step_bytes
    28
    """

    words_per_step: int
    word_format: IntFormat
    words_per_answer: int
    answer_bits: int
    weights: WeightFormat | None = None
    every_step: bool = True
    digest: bytes = bytes(DIGEST_BYTES)

    def __post_init__(self) -> None:
        for name in ("words_per_step", "words_per_answer", "answer_bits"):
            if getattr(self, name) < 1:
                raise FormatError(f"{name} of a link must be at least 1, not {getattr(self, name)!r}")
        for name in ("words_per_step", "words_per_answer"):
            if getattr(self, name) >= 1 << 16:
                raise FormatError(f"{name} of a link must be at most 65535, not {getattr(self, name)!r}")

    @classmethod
    def of(cls, design: Design) -> Self:
        """Return the format of the link of a compiled network."""
        return cls(
            words_per_step=design.input_words_per_step,
            word_format=design.input_format,
            words_per_answer=design.answer_words,
            answer_bits=design.answer_bits,
            weights=WeightFormat.of(design),
            every_step=design.every_step,
            digest=bytes.fromhex(design.digest)[:DIGEST_BYTES],
        )

    @property
    def word_bytes(self) -> int:
        """Bytes of one word of a step."""
        return _bytes_for(self.word_format.bits)

    @property
    def step_bytes(self) -> int:
        """Bytes of the words of a step."""
        return self.words_per_step * self.word_bytes

    @property
    def answer_word_bytes(self) -> int:
        """Bytes of one word of an answer."""
        return _bytes_for(self.answer_bits)

    @property
    def answer_bytes(self) -> int:
        """Bytes of the words of an answer."""
        return self.words_per_answer * self.answer_word_bytes

    @property
    def step_frame_bytes(self) -> int:
        """Bytes of a whole STEP request."""
        return self.step_bytes + 3 + CRC_BYTES

    @property
    def answer_frame_bytes(self) -> int:
        """Bytes of a whole ANSWER."""
        return self.answer_bytes + 4 + CRC_BYTES

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the board's step buffer: a power of two that holds at least two steps."""
        return max(BUFFER_BYTES_MIN, 1 << (2 * (self.step_bytes + 1)).bit_length())

    @property
    def window(self) -> int:
        """Steps that may be on their way, sent but not yet answered or acknowledged, without overflow.

        A step takes its words and its command byte; one byte of the ring stays free.
        """
        return (self.buffer_bytes - 1) // (self.step_bytes + 1)

    @property
    def identity(self) -> "Identity":
        """What a board with this link says of itself."""
        return Identity(
            version=PROTOCOL_VERSION,
            words_per_step=self.words_per_step,
            word_bits=self.word_format.bits,
            word_signed=self.word_format.signed,
            words_per_answer=self.words_per_answer,
            answer_bits=self.answer_bits,
            every_step=self.every_step,
            takes_weights=self.weights is not None,
            buffer_bytes=self.buffer_bytes,
            digest=self.digest,
        )


@dataclass(frozen=True)
class Identity:
    """What a board says of itself.

    Attributes:
        version: of the protocol.
        words_per_step: as in :class:`LinkFormat`.
        word_bits: bits of such a word.
        word_signed: whether it is signed.
        words_per_answer: as in :class:`LinkFormat`.
        answer_bits: as in :class:`LinkFormat`.
        every_step: as in :class:`LinkFormat`.
        takes_weights: the weights are loaded over the link.
        buffer_bytes: of the step buffer.
        digest: as in :class:`LinkFormat`.
        flags: of the moment.
        number: of the next answer.
        image: what is wrong with the latest image of weights
            (:class:`qornn_hw.compiler.weight_image.LoadStatus`), 0 where nothing is or none came.
    """

    version: int
    words_per_step: int
    word_bits: int
    word_signed: bool
    words_per_answer: int
    answer_bits: int
    every_step: bool
    takes_weights: bool
    buffer_bytes: int
    digest: bytes
    flags: BoardFlag = BoardFlag.NONE
    number: int = 0
    image: int = 0

    @property
    def constant(self) -> bytes:
        """The content of the reply: what does not change."""
        return (
            bytes([self.version])
            + self.words_per_step.to_bytes(2, "little")
            + bytes([self.word_bits | self.word_signed << 7])
            + self.words_per_answer.to_bytes(2, "little")
            + bytes([self.answer_bits])
            + bytes([self.every_step | self.takes_weights << 1 | (self.buffer_bytes.bit_length() - 1) << 3])
            + self.digest
        )

    @classmethod
    def read(cls, content: bytes, flags: int, number: int) -> Self:
        """Return what the content of a reply says; the inverse of :attr:`constant`."""
        return cls(
            version=content[0],
            words_per_step=int.from_bytes(content[1:3], "little"),
            word_bits=content[3] & 0x7F,
            word_signed=bool(content[3] >> 7),
            words_per_answer=int.from_bytes(content[4:6], "little"),
            answer_bits=content[6],
            every_step=bool(content[7] & 1),
            takes_weights=bool(content[7] >> 1 & 1),
            buffer_bytes=1 << (content[7] >> 3),
            digest=content[8:],
            flags=BoardFlag(flags & 3),
            number=number,
            image=flags >> 2 & 7,
        )


@dataclass(frozen=True)
class Status:
    """How a board is.

    Attributes:
        steps: that it took since the last RESET, modulo 256.
        faults: how often each kind of fault broke a sequence since power-up, at most :data:`COUNTER_MAX`.
        flags: of the moment.
        number: of the next answer.
    """

    steps: int
    faults: dict[FaultCode, int]
    flags: BoardFlag = BoardFlag.NONE
    number: int = 0

    @property
    def content(self) -> bytes:
        """The content of the reply: the steps eight times, a zero, a byte for each kind of fault."""
        return bytes([self.steps] * 8 + [0] + [self.faults.get(code, 0) for code in FaultCode])

    @classmethod
    def read(cls, content: bytes, flags: int, number: int) -> Self:
        """Return what the content of a reply says; the inverse of :attr:`content`."""
        counters = content[-len(FaultCode) :]
        faults = {code: count for code, count in zip(FaultCode, counters, strict=True) if count}
        return cls(content[0], faults, BoardFlag(flags & 3), number)


@dataclass(frozen=True)
class Answer:
    """The core's answer to a step; ``number`` counts the answers since the last RESET, modulo 256."""

    words: tuple[int, ...]
    last: bool
    aborted: bool = False
    number: int = 0


@dataclass(frozen=True)
class Acknowledge:
    """The core has taken the step that asked for it, and so every step before."""

    number: int = 0


@dataclass(frozen=True)
class ResetDone:
    """The board is reset, by the request of that number; it speaks this version of the protocol."""

    version: int
    number: int = 0


@dataclass(frozen=True)
class Fault:
    """The board dropped a request; the sequence it belonged to is broken."""

    code: FaultCode | int
    number: int = 0


@dataclass(frozen=True)
class Loaded:
    """The board has taken an image of weights, and found this."""

    status: LoadStatus | int
    number: int = 0


@dataclass(frozen=True)
class Garbled:
    """Bytes from the board that make no valid reply."""

    data: bytes


Reply: TypeAlias = Answer | Acknowledge | ResetDone | Fault | Loaded | Identity | Status | Garbled


def crc16(data: bytes) -> int:
    """Return the CRC-16 of ``data``, most significant bit first.

    >>> hex(crc16(b"123456789"))
    '0x29b1'
    """
    return binascii.crc_hqx(data, CRC_INIT)


def _frame(body: bytes) -> bytes:
    return bytes([SYNC]) + body + crc16(body).to_bytes(CRC_BYTES, "big")


def _crc_table() -> NDArray[np.uint16]:
    return np.array([binascii.crc_hqx(bytes([byte]), 0) for byte in range(256)], dtype=np.uint16)


_CRC_TABLE = _crc_table()


def encode_step(
    form: LinkFormat,
    words: Sequence[int],
    number: int = 0,
    *,
    first: bool = False,
    last: bool = False,
    acknowledge: bool = False,
) -> bytes:
    """Return the request that sends one time step.

    >>> encode_step(LinkFormat(2, IntFormat(8, signed=True), 1, 8), [1, -1], 7, first=True).hex()
    'a5110701ff4182'
    """
    if len(words) != form.words_per_step:
        raise DataError(f"a step must have {form.words_per_step} words, not {len(words)}")
    flags = StepFlag.FIRST * first | StepFlag.LAST * last | StepFlag.ACKNOWLEDGE * acknowledge
    word = form.word_format
    payload = bytearray()
    for index, value in enumerate(words):
        if not word.min <= value <= word.max:
            raise DataError(f"word {index} of a step must lie in {word.min} to {word.max}, not {value!r}")
        payload += int(value).to_bytes(form.word_bytes, "little", signed=word.signed)
    return _frame(bytes([Command.STEP | flags, number % NUMBERS]) + payload)


def encode_steps(
    form: LinkFormat, words: NDArray[np.int64], flags: NDArray[np.uint8], number: int
) -> NDArray[np.uint8]:
    """Return many requests at once, as :func:`encode_step` makes them, a row each.

    Args:
        form: sizes.
        words: (steps, words per step), in the range of a word.
        flags: (steps,) :class:`StepFlag` of each.
        number: of the first step; the others follow.
    """
    count = len(words)
    frames = np.empty((count, form.step_frame_bytes), dtype=np.uint8)
    frames[:, 0] = SYNC
    frames[:, 1] = flags | Command.STEP
    frames[:, 2] = (np.arange(count) + number) % NUMBERS
    for byte in range(form.word_bytes):
        frames[:, 3 + byte : -CRC_BYTES : form.word_bytes] = words >> (8 * byte) & 0xFF
    crc = np.full(count, CRC_INIT, dtype=np.uint16)
    for column in range(1, form.step_frame_bytes - CRC_BYTES):
        crc = (crc << 8) ^ _CRC_TABLE[(crc >> 8) ^ frames[:, column]]
    frames[:, -2] = crc >> 8
    frames[:, -1] = crc & 0xFF
    return frames


def encode_reset(number: int = 0) -> bytes:
    """Return the request that resets link and core; its number comes back.

    >>> encode_reset(1).hex()
    'a520010bc8'
    """
    return _frame(bytes([Command.RESET, number % NUMBERS]))


def encode_identify(number: int = 0) -> bytes:
    """Return the request that asks what a board is."""
    return _frame(bytes([Command.IDENTIFY, number % NUMBERS]))


def encode_status_request(number: int = 0) -> bytes:
    """Return the request that asks how a board is."""
    return _frame(bytes([Command.STATUS, number % NUMBERS]))


def encode_load(image: bytes, number: int = 0) -> bytes:
    """Return the request to load weights (:func:`qornn_hw.compiler.weight_image.encode_image`).

    The image follows its request, and ends with a checksum of its own. The board resets first, and says so,
    then takes the image.
    """
    return _frame(bytes([Command.LOAD, number % NUMBERS])) + image


def flush_bytes(form: LinkFormat) -> bytes:
    """Return bytes that end whatever frame a board believes to be in, and begin none.

    As many as a frame can lack. An image of weights is longer: only a pause ends it.
    """
    return bytes(form.step_frame_bytes)


def encode_answer(form: LinkFormat, words: Sequence[int], number: int = 0, *, last: bool = False) -> bytes:
    """Return the reply that brings an answer."""
    payload = b"".join(int(w).to_bytes(form.answer_word_bytes, "little", signed=True) for w in words)
    return _frame(bytes([ReplyKind.ANSWER, number]) + payload + bytes([AnswerTail.LAST * last]))


def encode_acknowledge(number: int = 0) -> bytes:
    """Return the reply that says that the core has taken a step."""
    return _frame(bytes([ReplyKind.ACKNOWLEDGE, number, 0]))


def encode_reset_done(number: int = 0) -> bytes:
    """Return the reply to a reset."""
    return _frame(bytes([ReplyKind.RESET_DONE, number, PROTOCOL_VERSION]))


def encode_fault(code: FaultCode, number: int = 0) -> bytes:
    """Return the reply that says why a request was dropped."""
    return _frame(bytes([ReplyKind.FAULT, number, code]))


def encode_loaded(status: LoadStatus, number: int = 0) -> bytes:
    """Return the reply that says how an image of weights was."""
    return _frame(bytes([ReplyKind.LOADED, number, status]))


def encode_identity(identity: Identity) -> bytes:
    """Return the reply that says what a board is."""
    body = bytes([ReplyKind.IDENTITY, identity.number]) + identity.constant
    return _frame(body + bytes([identity.flags]))


def encode_status(status: Status) -> bytes:
    """Return the reply that says how a board is."""
    return _frame(bytes([ReplyKind.STATUS, status.number]) + status.content + bytes([status.flags]))


class ReplyDecoder:
    """Turns bytes from the board into replies, whatever the pieces they come in.

    Bytes that start no reply, and a reply with a wrong CRC, come out as :class:`Garbled`; the search for the
    next reply goes on behind the SYNC byte of the wrong one, so that a lost byte costs one reply.
    """

    def __init__(self, form: LinkFormat) -> None:
        self._form = form
        self._pending = bytearray()
        content = {
            ReplyKind.ANSWER: form.answer_bytes,
            ReplyKind.IDENTITY: INFO_BYTES,
            ReplyKind.STATUS: INFO_BYTES,
        }
        self._sizes = {int(kind): content.get(kind, 0) + 4 + CRC_BYTES for kind in ReplyKind}

    @property
    def pending(self) -> int:
        """Bytes of a reply that is not complete yet."""
        return len(self._pending)

    def clear(self) -> None:
        """Forget an incomplete reply, as after a silence of the board."""
        self._pending.clear()

    def give_up(self) -> list[Reply]:
        """Take the incomplete reply for garbage, as after a silence; return what may lie behind its start."""
        replies: list[Reply] = []
        while self._pending:
            replies.append(Garbled(bytes(self._pending[:1])))
            del self._pending[:1]
            replies += self.feed(b"")
        return replies

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes and return the replies that they complete."""
        self._pending += data
        pending = bytes(self._pending)
        replies: list[Reply] = []
        at = good = 0

        def flush() -> None:
            if good < at:
                replies.append(Garbled(pending[good:at]))

        while at < len(pending):
            size = self._size(pending, at)
            if size is None:
                break
            if size and not binascii.crc_hqx(pending[at + 1 : at + size], CRC_INIT):
                flush()
                replies.append(self._reply(pending[at + 1 : at + size - CRC_BYTES]))
                at += size
                good = at
            else:
                at += 1
        flush()
        del self._pending[:at]
        return replies

    def _size(self, pending: bytes, at: int) -> int | None:
        """Return the bytes of the reply at ``at``, 0 where none can start, None if more are needed."""
        if pending[at] != SYNC:
            return 0
        if len(pending) < at + 2:
            return None
        size = self._sizes.get(pending[at + 1], 0)
        return size if len(pending) >= at + size else None

    def _reply(self, body: bytes) -> Reply:
        kind, number, content, tail = body[0], body[1], body[2:-1], body[-1]
        if kind == ReplyKind.ANSWER:
            step = self._form.answer_word_bytes
            words = tuple(
                int.from_bytes(content[at : at + step], "little", signed=True)
                for at in range(0, len(content), step)
            )
            return Answer(words, bool(tail & AnswerTail.LAST), bool(tail & AnswerTail.ABORTED), number)
        if kind == ReplyKind.ACKNOWLEDGE:
            return Acknowledge(number)
        if kind == ReplyKind.RESET_DONE:
            return ResetDone(tail, number)
        if kind == ReplyKind.LOADED:
            return Loaded(LoadStatus(tail) if tail in tuple(LoadStatus) else tail, number)
        if kind == ReplyKind.IDENTITY:
            return Identity.read(content, tail, number)
        if kind == ReplyKind.STATUS:
            return Status.read(content, tail, number)
        return Fault(FaultCode(tail) if tail in tuple(FaultCode) else tail, number)
