"""The frames between host and board (docs/link.md): one definition for gateware, host and benches.

    request   SYNC  command                 [step's words]    CRC      host to board
              SYNC  LOAD                    image of weights           host to board
    reply     SYNC  kind     [answer's words]  tail           CRC      board to host

The CRC covers everything between SYNC and itself. Nothing here touches a port: the host client, the benches
and the simulated board all feed bytes in and take frames out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Self, TypeAlias

from qornn_hw.design import Design
from qornn_hw.errors import DataError, FormatError
from qornn_hw.fixed import IntFormat
from qornn_hw.weight_image import LoadStatus, WeightFormat

__all__ = [
    "CRC_INIT",
    "CRC_POLYNOMIAL",
    "PROTOCOL_VERSION",
    "SYNC",
    "Acknowledge",
    "Answer",
    "AnswerTail",
    "Command",
    "Fault",
    "FaultCode",
    "Garbled",
    "LinkFormat",
    "Loaded",
    "Reply",
    "ReplyDecoder",
    "ReplyKind",
    "ResetDone",
    "StepFlag",
    "crc8",
    "encode_acknowledge",
    "encode_answer",
    "encode_fault",
    "encode_load",
    "encode_loaded",
    "encode_reset",
    "encode_reset_done",
    "encode_step",
]

PROTOCOL_VERSION = 1
SYNC = 0xA5
# The ATM polynomial: every burst of up to 8 bits is found. All ones as the start value, so that zeros
# put in front of a frame are found too.
CRC_POLYNOMIAL = 0x07
CRC_INIT = 0xFF
# One iCE40 block RAM is 512 bytes; a smaller buffer would cost the same block.
BUFFER_BYTES_MIN = 512


class Command(IntEnum):
    """What a request asks for. 0x40 to 0x7F are kept for identify, self-test and error counters."""

    STEP = 0x10
    RESET = 0x20
    LOAD = 0x30


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


class AnswerTail(IntFlag):
    """Tail of an ANSWER.

    LAST: it answers the last step of a sequence. ABORTED: a reset cut it short, its words mean nothing.
    """

    NONE = 0
    LAST = 1
    ABORTED = 2


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
    """The sizes that both ends of a link must agree on.

    Attributes:
        words_per_step: words that one time step brings.
        word_format: format of such a word.
        words_per_answer: words of an answer.
        answer_bits: bits of such a word, which is signed.
        weights: the image of weights that the board waits for, None where it has them.

    >>> LinkFormat(28, IntFormat(8, signed=False), 10, 20).step_bytes
    28
    """

    words_per_step: int
    word_format: IntFormat
    words_per_answer: int
    answer_bits: int
    weights: WeightFormat | None = None

    def __post_init__(self) -> None:
        for name in ("words_per_step", "words_per_answer", "answer_bits"):
            if getattr(self, name) < 1:
                raise FormatError(f"{name} of a link must be at least 1, not {getattr(self, name)!r}")

    @classmethod
    def of(cls, design: Design) -> Self:
        """Return the format of the link of a compiled network."""
        return cls(
            words_per_step=design.input_words_per_step,
            word_format=design.network.input_format,
            words_per_answer=design.answer_words,
            answer_bits=design.answer_bits,
            weights=WeightFormat.of(design),
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
        return self.step_bytes + 3

    @property
    def answer_frame_bytes(self) -> int:
        """Bytes of a whole ANSWER."""
        return self.answer_bytes + 4

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


@dataclass(frozen=True)
class Answer:
    """The core's answer to a step."""

    words: tuple[int, ...]
    last: bool
    aborted: bool = False


@dataclass(frozen=True)
class Acknowledge:
    """The core has taken the step that asked for it, and so every step before."""


@dataclass(frozen=True)
class ResetDone:
    """The board is reset; it speaks this version of the protocol."""

    version: int


@dataclass(frozen=True)
class Fault:
    """The board dropped a request; the sequence it belonged to is broken."""

    code: FaultCode | int


@dataclass(frozen=True)
class Loaded:
    """The board has taken an image of weights, and found this."""

    status: LoadStatus | int


@dataclass(frozen=True)
class Garbled:
    """Bytes from the board that make no valid reply."""

    data: bytes


Reply: TypeAlias = Answer | Acknowledge | ResetDone | Fault | Loaded | Garbled


def crc8(data: Iterable[int], crc: int = CRC_INIT) -> int:
    """Return the CRC-8 of ``data``, most significant bit first.

    >>> hex(crc8(b"123456789"))
    '0xfb'
    """
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ (CRC_POLYNOMIAL if crc & 0x80 else 0)) & 0xFF
    return crc


def _frame(body: bytes) -> bytes:
    return bytes([SYNC]) + body + bytes([crc8(body)])


def encode_step(
    form: LinkFormat,
    words: Sequence[int],
    *,
    first: bool = False,
    last: bool = False,
    acknowledge: bool = False,
) -> bytes:
    """Return the request that sends one time step.

    >>> encode_step(LinkFormat(2, IntFormat(8, signed=True), 1, 8), [1, -1], first=True).hex()
    'a51101ff04'
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
    return _frame(bytes([Command.STEP | flags]) + payload)


def encode_reset() -> bytes:
    """Return the request that resets link and core.

    >>> encode_reset().hex()
    'a52013'
    """
    return _frame(bytes([Command.RESET]))


def encode_load(image: bytes) -> bytes:
    """Return the request that brings an image of weights (:func:`qornn_hw.weight_image.encode_image`).

    The image ends with a checksum of its own. The board resets first, and says so, then takes the image.
    """
    return bytes([SYNC, Command.LOAD]) + image


def encode_answer(form: LinkFormat, words: Sequence[int], *, last: bool = False) -> bytes:
    """Return the reply that brings an answer."""
    payload = b"".join(int(w).to_bytes(form.answer_word_bytes, "little", signed=True) for w in words)
    return _frame(bytes([ReplyKind.ANSWER]) + payload + bytes([AnswerTail.LAST * last]))


def encode_acknowledge() -> bytes:
    """Return the reply that says that the core has taken a step."""
    return _frame(bytes([ReplyKind.ACKNOWLEDGE, 0]))


def encode_reset_done() -> bytes:
    """Return the reply to a reset."""
    return _frame(bytes([ReplyKind.RESET_DONE, PROTOCOL_VERSION]))


def encode_fault(code: FaultCode) -> bytes:
    """Return the reply that says why a request was dropped."""
    return _frame(bytes([ReplyKind.FAULT, code]))


def encode_loaded(status: LoadStatus) -> bytes:
    """Return the reply that says how an image of weights was."""
    return _frame(bytes([ReplyKind.LOADED, status]))


class ReplyDecoder:
    """Turns bytes from the board into replies, whatever the pieces they come in.

    Bytes that start no reply, and a reply with a wrong CRC, come out as :class:`Garbled`; the search for the
    next reply goes on behind the SYNC byte of the wrong one, so that a lost byte costs one reply.
    """

    def __init__(self, form: LinkFormat) -> None:
        self._form = form
        self._pending = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a reply that is not complete yet."""
        return len(self._pending)

    def clear(self) -> None:
        """Forget an incomplete reply, as after a silence of the board."""
        self._pending.clear()

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes and return the replies that they complete."""
        self._pending += data
        replies: list[Reply] = []
        garbage = bytearray()

        def flush() -> None:
            if garbage:
                replies.append(Garbled(bytes(garbage)))
                garbage.clear()

        while self._pending:
            size = self._size()
            if size is None:
                break
            if size and crc8(self._pending[1 : size - 1]) == self._pending[size - 1]:
                flush()
                replies.append(self._reply(bytes(self._pending[1 : size - 1])))
                del self._pending[:size]
            else:
                garbage.append(self._pending.pop(0))
        flush()
        return replies

    def _size(self) -> int | None:
        """Return the bytes of the reply at the front, 0 where none can start, None if more are needed."""
        if self._pending[0] != SYNC:
            return 0
        if len(self._pending) < 2:
            return None
        kind = self._pending[1]
        if kind not in tuple(ReplyKind):
            return 0
        size = self._form.answer_frame_bytes if kind == ReplyKind.ANSWER else 4
        return size if len(self._pending) >= size else None

    def _reply(self, body: bytes) -> Reply:
        kind, payload, tail = body[0], body[1:-1], body[-1]
        if kind == ReplyKind.ANSWER:
            step = self._form.answer_word_bytes
            words = tuple(
                int.from_bytes(payload[at : at + step], "little", signed=True)
                for at in range(0, len(payload), step)
            )
            return Answer(words, bool(tail & AnswerTail.LAST), bool(tail & AnswerTail.ABORTED))
        if kind == ReplyKind.ACKNOWLEDGE:
            return Acknowledge()
        if kind == ReplyKind.RESET_DONE:
            return ResetDone(tail)
        if kind == ReplyKind.LOADED:
            return Loaded(LoadStatus(tail) if tail in tuple(LoadStatus) else tail)
        return Fault(FaultCode(tail) if tail in tuple(FaultCode) else tail)
