"""Requests to a board and replies from it: resets, questions, images of weights (docs/link.md)."""

import time
from dataclasses import dataclass, field
from typing import Any

from qornn_hw.compiler.weight_image import LoadStatus
from qornn_hw.errors import BoardError, LinkError
from qornn_hw.link.physical import Transport
from qornn_hw.link.protocol import (
    NUMBERS,
    PROTOCOL_VERSION,
    Fault,
    FaultCode,
    Garbled,
    LinkFormat,
    Loaded,
    Reply,
    ReplyDecoder,
    ResetDone,
    encode_load,
    encode_reset,
    flush_bytes,
)

__all__ = ["BrokenError", "Connection", "HostStatistics"]

# A silence that ends whatever frame a board is in: 2^19 cycles at 24 MHz and more.
SILENCE_SECONDS = 0.025
# Silence after which a reply that is not complete never will be: bytes of a frame come without a pause, but
# for the 16 ms of a USB bridge. A host that is more patient is one of a simulated board, which makes pauses.
PAUSE_SECONDS = 0.05
PAUSE_SHARE = 0.05
# Bytes of an image of weights that are sent between two looks at the replies.
LOAD_CHUNK = 4096


@dataclass
class HostStatistics:
    """Counts of a host since it was made.

    Attributes:
        sequences: sequences that were answered; the chunks of a stream are not counted here.
        steps: steps that were answered, those of streams included.
        bytes_sent: all bytes, repeated sequences included.
        bytes_received: all bytes.
        resets: resets that were needed after a fault or a silence.
        replayed_steps: steps of streams that were sent again to restore the state on the board.
        faults: faults that the board reported, by kind.
        garbled: bytes that made no reply.
        silences: times that the board owed a reply and sent nothing.
        out_of_turn: valid replies that were not the ones that were due.
        seconds: time in :meth:`qornn_hw.boards.host.Host.run` and :meth:`qornn_hw.boards.host.Host.step`.
    """

    sequences: int = 0
    steps: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    resets: int = 0
    replayed_steps: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    garbled: int = 0
    silences: int = 0
    out_of_turn: int = 0
    seconds: float = 0.0


class BrokenError(Exception):
    """The exchange is broken: the board must be reset, and steps sent again.

    Args:
        message: what happened, in words.
        code: of the board's FAULT, None where it sent none.
    """

    def __init__(self, message: str, code: FaultCode | int | None = None) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """A transport with the frames of a link on it.

    Args:
        transport: the way to the board.
        form: sizes of the link.
        tag: number of the first reset; whatever an earlier host left on the way should have another one.
        timeout: seconds of silence after which something is taken to be lost.
        retries: attempts of a request before the board is given up.
        image: of the weights, None where there is none.

    Attributes:
        statistics: counts so far.
        steps: steps that were sent since the last reset: the next one has this number.
        answers: answers that came since the last reset: the next one has this number.
        resets: resets so far, whatever their cause: while it stays the same, the board keeps its state.
        clean: nothing is on its way; only then may a new exchange begin without a reset.
    """

    def __init__(
        self,
        transport: Transport,
        form: LinkFormat,
        *,
        tag: int,
        timeout: float,
        retries: int,
        image: bytes | None = None,
    ) -> None:
        self._transport = transport
        self._decoder = ReplyDecoder(form)
        self._tag = tag
        self.form = form
        self.timeout = timeout
        self.retries = retries
        self.image = image
        self.statistics = HostStatistics()
        self.steps = self.answers = 0
        self.resets = 0
        self.clean = False

    @property
    def name(self) -> str:
        """The port, as a user calls it."""
        return self._transport.name

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)
        self.statistics.bytes_sent += len(data)

    def read(self, seconds: float) -> list[Reply]:
        """Return the replies that came; wait for a first byte, but no longer than ``seconds``."""
        # A reply that lost a byte would wait for those of the next one: a short silence ends it.
        pause = max(PAUSE_SECONDS, PAUSE_SHARE * self.timeout)
        data = self._transport.read(min(seconds, pause) if self._decoder.pending else seconds)
        self.statistics.bytes_received += len(data)
        replies = self._decoder.feed(data) if data or not seconds else self._decoder.give_up()
        for reply in replies:
            if isinstance(reply, Garbled):
                self.statistics.garbled += len(reply.data)
            elif isinstance(reply, Fault):
                name = reply.code.name if isinstance(reply.code, FaultCode) else str(reply.code)
                self.statistics.faults[name] = self.statistics.faults.get(name, 0) + 1
        return replies

    def _silence(self, seconds: float) -> None:
        """Send nothing for a while, and drop all bytes that come."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._transport.read(left)
        self._decoder.clear()

    def reset(self, *, first: bool = False) -> None:
        """Reset the board; what was on its way from it is gone.

        Zeros end the frame that the board may be in. Within an image of weights they do not: then a silence
        is tried, longer each time.

        Raises:
            LinkError: the board does not answer, or speaks another version of the protocol.
        """
        self.clean = False
        self.resets += 1
        silence = SILENCE_SECONDS
        waits = [0.25, 0.25, 0.5, *[1.0] * 5] if first else [1.0] * self.retries
        for attempt, wait in enumerate(waits):
            # A port with nothing behind it is to be reported soon.
            if attempt == 5 and not self.statistics.bytes_received:
                break
            if attempt:
                self._silence(silence)
                silence = min(2 * silence, self.timeout)
            self._tag = (self._tag + 1) % NUMBERS
            self.write(flush_bytes(self.form) + encode_reset(self._tag))
            deadline = time.monotonic() + wait * self.timeout
            while (left := deadline - time.monotonic()) > 0:
                for reply in self.read(left):
                    if isinstance(reply, ResetDone) and reply.number == self._tag:
                        self._check_version(reply)
                        self.steps = self.answers = 0
                        self.clean = True
                        return
        raise LinkError(self._no_answer())

    def _check_version(self, reply: ResetDone) -> None:
        if reply.version != PROTOCOL_VERSION:
            raise LinkError(
                f"the board on {self.name} must speak version {PROTOCOL_VERSION} of the link's protocol, it "
                f"speaks {reply.version}; build and load its bitstream anew"
            )

    def ask(self, request: bytes, kind: type[Any]) -> Any:
        """Send a request until the board replies to it with a reply of that kind.

        Raises:
            LinkError: it does not.
        """
        for _ in range(self.retries):
            self.write(request)
            deadline = time.monotonic() + self.timeout
            while (left := deadline - time.monotonic()) > 0:
                for reply in self.read(left):
                    if isinstance(reply, kind):
                        return reply
            self.statistics.silences += 1
            self.reset()
        raise LinkError(self._no_answer())

    def _no_answer(self) -> str:
        heard = self.statistics.bytes_received
        if not heard:
            return (
                f"a board must answer on {self.name}, and nothing came; check that it is this port, that the "
                "board's bitstream is loaded (qornn-hw program), and the rate (`baud`)"
            )
        return (
            f"the board on {self.name} must answer in version {PROTOCOL_VERSION} of the link's protocol, and "
            f"{heard} bytes came that do not; check the rate (--baud) and the bitstream (qornn-hw program)"
        )

    def load(self, image: bytes) -> None:
        """Load an image of weights.

        Raises:
            BoardError: it is of another design, or no image.
            LinkError: it does not get through.
        """
        for _ in range(self.retries):
            status = self._load_once(image)
            if status == LoadStatus.LOADED:
                self.reset()
                return
            if status in (LoadStatus.BAD_VERSION, LoadStatus.BAD_LENGTH, LoadStatus.BAD_DESIGN):
                assert isinstance(status, LoadStatus)
                raise BoardError(
                    f"the weights must be of the design that the board on {self.name} holds, and are not "
                    f"({status.name}); take the weights.bin of its own build"
                )
            self.statistics.resets += 1
            # Only a pause ends an image.
            self._silence(SILENCE_SECONDS)
            self.reset()
        raise LinkError(
            f"the board on {self.name} must load its weights, and did not in {self.retries} attempts; check "
            "its cable"
        )

    def load_again(self, error: BrokenError) -> None:
        """Load the weights if an exchange broke because the board has none."""
        if error.code == FaultCode.NOT_LOADED and self.image is not None:
            self.reset()
            self.load(self.image)

    def _load_once(self, image: bytes) -> LoadStatus | int | None:
        """Send an image; return the board's judgement of it, None where it sends none."""
        self.clean = False
        # LOAD resets the board first.
        self.resets += 1
        self._tag = (self._tag + 1) % NUMBERS
        request = encode_load(image, self._tag)
        for at in range(0, len(request), LOAD_CHUNK):
            self.write(request[at : at + LOAD_CHUNK])
        # Far more than it takes to send the image to a slow board at a slow rate.
        deadline = time.monotonic() + self.timeout + len(request) * 10 / 20_000
        started = False
        while time.monotonic() < deadline:
            for reply in self.read(min(self.timeout, 0.1)):
                if isinstance(reply, ResetDone) and reply.number == self._tag:
                    started = True
                elif isinstance(reply, Loaded) and started:
                    return reply.status
                elif isinstance(reply, Fault):
                    return None
        return None
