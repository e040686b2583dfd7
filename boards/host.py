"""The host's end of the link: a network on a board, called with arrays (docs/link.md).

    with Host(checkpoint.network, open_port("/dev/ttyUSB1", 3_000_000)) as host:
        answers = host.run(sequences)

A fault, a silence or a reply out of turn costs a reset, and the sequences that were not answered yet are sent
anew: what comes out was answered in order, frame by frame, with a checksum and a number that fit.
"""

import contextlib
import errno
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
import serial
from numpy.typing import ArrayLike, NDArray
from serial.tools import list_ports

from boards.board import Board
from qornn_hw.design import Design, compile_network
from qornn_hw.errors import BoardError, LinkError, MismatchError
from qornn_hw.integer_model import IntegerModel
from qornn_hw.link_protocol import (
    NUMBERS,
    PROTOCOL_VERSION,
    Acknowledge,
    Answer,
    BoardFlag,
    Fault,
    FaultCode,
    Garbled,
    Identity,
    LinkFormat,
    Loaded,
    Reply,
    ReplyDecoder,
    ResetDone,
    Status,
    StepFlag,
    encode_identify,
    encode_load,
    encode_reset,
    encode_status_request,
    encode_steps,
    flush_bytes,
)
from qornn_hw.network import IntegerNetwork, OutputMode
from qornn_hw.weight_image import LoadStatus

__all__ = [
    "Host",
    "HostStatistics",
    "SerialTransport",
    "Transport",
    "find_port",
    "model_answers",
    "open_port",
]

IntArray: TypeAlias = NDArray[np.int64]
Progress: TypeAlias = Callable[[int, int], None]

# Silence after which the board is taken to have lost something: far more than a step takes, or the line to
# bring a frame.
TIMEOUT_SECONDS = 1.0
# Resets in a row, without an answer between, after which a board is given up.
RETRIES = 10
# A silence that ends whatever frame a board is in: 2^19 cycles at 24 MHz and more.
SILENCE_SECONDS = 0.025
# Steps on their way to a board that is known to be faster than the line: fewer than there are numbers, so
# that a number tells which one is meant.
STEPS_IN_FLIGHT = 200
# Steps on their way to a board of unknown speed: a slow one must tell of progress before a host takes it for
# dead, and a fast one finds enough to do while the line and a USB bridge take their time.
STEPS_AHEAD = 64
# Silence after which a reply that is not complete never will be: bytes of a frame come without a pause, but
# for the 16 ms of a USB bridge.
PAUSE_SECONDS = 0.05
# Bytes of an image of weights that are sent between two looks at the replies.
LOAD_CHUNK = 4096


class Transport(Protocol):
    """Bytes to and from a board."""

    @property
    def name(self) -> str:
        """What a user calls it."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def read(self, seconds: float) -> bytes:
        """Return the bytes that came; wait for the first one, but no longer than that."""

    def close(self) -> None:
        """Give it back."""


class SerialTransport:
    """A serial port that is open for nobody else.

    Args:
        port: name of the port.
        baud: rate of the line.

    Raises:
        LinkError: the port cannot be opened, or was lost.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.name = port
        try:
            # pyserial locks the port, which is what tells a second host.
            self._serial = serial.Serial(
                port, baud, timeout=0, write_timeout=10, exclusive=True, rtscts=False, dsrdtr=False
            )
        except (OSError, ValueError) as error:
            raise LinkError(_why_not_open(port, baud, error)) from error
        # An FTDI bridge hands on what it has every 16 ms, and every 1 ms if asked to; not all can be asked: a
        # driver refuses (OSError, ValueError), or pyserial has only a stub there, or not even that.
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            self._serial.set_low_latency_mode(True)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._serial.write(data)
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def read(self, seconds: float) -> bytes:
        """Return the bytes that came; wait for the first one, but no longer than that."""
        try:
            waiting = self._serial.in_waiting
            if not waiting:
                self._serial.timeout = seconds
                first: bytes = self._serial.read(1)
                return first + self._serial.read(self._serial.in_waiting) if first else b""
            data: bytes = self._serial.read(waiting)
            return data
        except (OSError, TypeError, serial.SerialException) as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(OSError):
            self._serial.close()

    def _lost(self, error: Exception) -> LinkError:
        return LinkError(
            f"the port {self.name} must stay connected, and was lost ({error}); check cable and power, then "
            "run again"
        )


def _why_no_weights(image: int) -> str:
    """Return what is to be said of the image that a board has in its flash, if it is a bad one."""
    bad = {status.value: status.name for status in LoadStatus if status is not LoadStatus.LOADED}
    if image not in bad:
        return ""
    return f", the image in its flash is bad ({bad[image]}, write it anew: qornn-hw program)"


def _why_not_open(port: str, baud: int, error: Exception) -> str:
    code = getattr(error, "errno", None)
    text = str(error)
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        known = ", ".join(p.device for p in list_ports.comports()) or "none"
        return f"port must be one that is there, {port} is not; ports that are there: {known}"
    if code in (errno.EACCES, errno.EPERM):
        return (
            f"port must be one that you may use, {port} is not: permission denied; join its group (often: "
            "sudo usermod -aG dialout $USER, then log in again)"
        )
    if code in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return f"port must be free, {port} is in use by another program; end that one, or take another port"
    if isinstance(error, ValueError) or "baud" in text.lower():
        return f"baud must be a rate that {port} can do, not {baud}"
    return f"port must be one that can be opened, {port} cannot: {text}"


def open_port(port: str, baud: int) -> SerialTransport:
    """Open a serial port; see :class:`SerialTransport`."""
    return SerialTransport(port, baud)


def find_port(board: Board, ports: Iterable[Any] | None = None) -> str:
    """Return the port of the one board of this kind that is connected, by the USB ids of its bridge.

    Args:
        board: what is looked for.
        ports: as :func:`serial.tools.list_ports.comports` gives them; those of this machine where None.

    Raises:
        BoardError: the board has no bridge of its own, or there is none, or several.
    """
    if not board.usb:
        raise BoardError(
            f"--port must name the port of {board.name}: its link is an adapter of your own ({board.link})"
        )
    found = []
    for port in list_ports.comports() if ports is None else ports:
        if (port.vid, port.pid) not in board.usb:
            continue
        # A bridge of several channels is as many ports; Linux tells the channel behind a colon.
        channel = str(port.location or "").rpartition(":")[2].rpartition(".")[2]
        if board.usb_interface is None or not channel.isdigit() or int(channel) == board.usb_interface:
            found.append(port.device)
    if len(found) == 1:
        return str(found[0])
    ids = " or ".join(f"{vendor:04x}:{product:04x}" for vendor, product in board.usb)
    if not found:
        raise BoardError(
            f"{board.name} must be connected (USB {ids}), none was found; check its cable, or name its "
            "port with --port"
        )
    raise BoardError(
        f"one {board.name} must be connected where no port is named, there are {len(found)}: "
        f"{', '.join(sorted(found))}; choose with --port"
    )


def network_format(network: IntegerNetwork) -> LinkFormat:
    """Return the format of the link of a network, of whichever design; its digest is zeros."""
    return LinkFormat.of(compile_network(network, elements=1))


def model_answers(network: IntegerNetwork, sequences: Sequence[IntArray]) -> list[IntArray]:
    """Return what a board must answer: (steps or 1, words) each, from the integer model."""
    model, kind = IntegerModel(network), network.output_kind
    answers = []
    for sequence in sequences:
        logits = model.answers(np.asarray(sequence)[np.newaxis])[0]
        parts = [logits] if kind.has_logits else []
        if kind.has_argmax:
            parts.append(np.argmax(logits, axis=-1)[:, np.newaxis])
        answers.append(np.concatenate(parts, axis=1).astype(np.int64))
    return answers


@dataclass
class HostStatistics:
    """What a host has seen.

    Attributes:
        sequences: that were answered.
        steps: of these.
        bytes_sent: everything, repeated sequences included.
        bytes_received: everything.
        resets: that were needed after a fault or a silence.
        faults: that the board told of, by kind.
        garbled: bytes that made no reply.
        silences: times that the board owed something and said nothing.
        out_of_turn: replies that were right and not what was due.
        seconds: in :meth:`Host.run`.
    """

    sequences: int = 0
    steps: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    resets: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    garbled: int = 0
    silences: int = 0
    out_of_turn: int = 0
    seconds: float = 0.0


class _BrokenError(Exception):
    """The exchange is broken: reset and send anew."""


class Host:
    """A network on a board.

    As a context manager it connects on entry (:meth:`connect`) and closes the transport on exit.

    Args:
        network: what the board is to compute.
        transport: the way to it, from :func:`open_port`.
        design: what the board must hold, None for any design with a link of the network's shape.
        image: of the weights, for a board that waits for them.
        step_seconds: what a step takes on the board, where it is known: more steps are then sent ahead
            of a board that is faster than the line.
        timeout: seconds of silence after which something is taken to be lost.
        retries: resets in a row without an answer between, after which the board is given up.

    Raises:
        LinkError: the board does not answer, or not in this protocol, or was lost.
        BoardError: it holds another design.

    Attributes:
        statistics: what happened so far.
        identity: what the board says of itself; after :meth:`connect`.
    """

    def __init__(
        self,
        network: IntegerNetwork,
        transport: Transport,
        *,
        design: Design | None = None,
        image: bytes | None = None,
        step_seconds: float | None = None,
        baud: int | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
    ) -> None:
        self._network = network
        self._transport = transport
        self._design = design
        self._image = image
        self._timeout = timeout
        self._retries = retries
        self._form = network_format(network) if design is None else LinkFormat.of(design)
        self._decoder = ReplyDecoder(self._form)
        self._model = IntegerModel(network)
        self._every = network.output_mode is OutputMode.EVERY_STEP
        # The first number of a reset: whatever an earlier host left on the way has another one.
        self._tag = random.randrange(NUMBERS)
        self._limit = self._in_flight(step_seconds, baud)
        self.statistics = HostStatistics()
        self.identity: Identity | None = None

    def __enter__(self) -> Self:
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def _in_flight(self, step_seconds: float | None, baud: int | None) -> int:
        """Return how many steps may be unanswered: what the board's buffer holds, or more if it keeps up."""
        form = self._form
        window = min(form.window, STEPS_AHEAD)
        if step_seconds is None or baud is None:
            return window
        answer_bytes = form.answer_frame_bytes if self._every else 0
        frame_seconds = 10 * form.step_frame_bytes / baud
        keeps_up = step_seconds < 0.95 * frame_seconds and answer_bytes < form.step_frame_bytes
        return STEPS_IN_FLIGHT if keeps_up else window

    # -- what a board is ----------------------------------------------------------------------------------

    def connect(self) -> Identity:
        """Reset the board, check what it is, and load its weights if it waits for them."""
        self._reset(first=True)
        identity = self.identify()
        self._check(identity)
        self.identity = identity
        if identity.takes_weights and not identity.flags & BoardFlag.LOADED:
            if self._image is None:
                raise BoardError(
                    f"the board on {self._transport.name} waits for its weights and must get them"
                    f"{_why_no_weights(identity.image)}; name the build that it holds, or its weights.bin"
                )
            self.load(self._image)
        return identity

    def _check(self, identity: Identity) -> None:
        name, wanted = self._transport.name, self._form.identity
        if identity.version != PROTOCOL_VERSION:
            raise LinkError(
                f"the board on {name} must speak version {PROTOCOL_VERSION} of the link's protocol, it "
                f"speaks {identity.version}; build and load its bitstream anew"
            )
        facts = (
            ("words a step", identity.words_per_step, wanted.words_per_step),
            ("bits of a word", identity.word_bits, wanted.word_bits),
            ("sign of a word", identity.word_signed, wanted.word_signed),
            ("words an answer", identity.words_per_answer, wanted.words_per_answer),
            ("bits of an answer's word", identity.answer_bits, wanted.answer_bits),
            ("an answer at every step", identity.every_step, wanted.every_step),
        )
        for what, found, due in facts:
            if found != due:
                raise BoardError(
                    f"the board on {name} must hold this network, and holds another one: {what}: {found}, "
                    f"not {due}; load the right bitstream (qornn-hw program), or name the model that it holds"
                )
        if self._design is not None and identity.digest != wanted.digest:
            raise BoardError(
                f"the board on {name} must hold the design {wanted.digest.hex()}, and holds "
                f"{identity.digest.hex()}; load the right bitstream (qornn-hw program), or name the model "
                "and the build that it holds"
            )

    def identify(self) -> Identity:
        """Return what the board says of itself."""
        return self._ask(encode_identify(), Identity)

    def status(self) -> Status:
        """Return the board's own count of steps and faults."""
        return self._ask(encode_status_request(), Status)

    def load(self, image: bytes) -> None:
        """Load an image of weights.

        Raises:
            BoardError: it is of another design, or no image.
            LinkError: it does not get through.
        """
        for _ in range(self._retries):
            status = self._load_once(image)
            if status == LoadStatus.LOADED:
                self._reset()
                return
            if status in (LoadStatus.BAD_VERSION, LoadStatus.BAD_LENGTH, LoadStatus.BAD_DESIGN):
                assert isinstance(status, LoadStatus)
                raise BoardError(
                    f"the weights must be of the design that the board on {self._transport.name} holds, and "
                    f"are not ({status.name}); take the weights.bin of its own build"
                )
            self.statistics.resets += 1
            # Only a pause ends an image.
            self._silence(SILENCE_SECONDS)
            self._reset()
        raise LinkError(
            f"the board on {self._transport.name} must load its weights, and did not in {self._retries} "
            "attempts; check its cable"
        )

    def _load_once(self, image: bytes) -> LoadStatus | int | None:
        """Send an image; return what the board makes of it, None where it says nothing."""
        self._tag = (self._tag + 1) % NUMBERS
        request = encode_load(image, self._tag)
        for at in range(0, len(request), LOAD_CHUNK):
            self._write(request[at : at + LOAD_CHUNK])
        deadline = time.monotonic() + self._timeout + self._line_seconds(len(request))
        started = False
        while time.monotonic() < deadline:
            for reply in self._read(min(self._timeout, 0.1)):
                if isinstance(reply, ResetDone) and reply.number == self._tag:
                    started = True
                elif isinstance(reply, Loaded) and started:
                    return reply.status
                elif isinstance(reply, Fault):
                    return None
        return None

    def _line_seconds(self, count: int) -> float:
        """Return far more than it takes to send so many bytes, to a slow board at a slow rate."""
        return count * 10 / 20_000

    def _ask(self, request: bytes, kind: type[Any]) -> Any:
        for _ in range(self._retries):
            self._write(request)
            deadline = time.monotonic() + self._timeout
            while (left := deadline - time.monotonic()) > 0:
                for reply in self._read(left):
                    if isinstance(reply, kind):
                        return reply
            self.statistics.silences += 1
            self._reset()
        raise LinkError(self._no_answer())

    def _no_answer(self) -> str:
        heard = self.statistics.bytes_received
        name = self._transport.name
        if not heard:
            return (
                f"a board must answer on {name}, and nothing came; check that it is this port, that the "
                "board's bitstream is loaded (qornn-hw program), and the rate (--baud)"
            )
        return (
            f"the board on {name} must answer in version {PROTOCOL_VERSION} of the link's protocol, and "
            f"{heard} bytes came that do not; check the rate (--baud) and the bitstream (qornn-hw program)"
        )

    # -- exchange -----------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        self._transport.write(data)
        self.statistics.bytes_sent += len(data)

    def _read(self, seconds: float) -> list[Reply]:
        # A reply that lost a byte would wait for those of the next one: a short silence ends it.
        data = self._transport.read(min(seconds, PAUSE_SECONDS) if self._decoder.pending else seconds)
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
        """Send nothing for a while, and forget what comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._transport.read(left)
        self._decoder.clear()

    def _reset(self, *, first: bool = False) -> None:
        """Reset the board; what was on its way from it is gone.

        Zeros end the frame that it may be in. Only in the midst of an image of weights they do not: then a
        silence is tried, longer each time.
        """
        silence = SILENCE_SECONDS
        waits = [0.25, 0.25, 0.5, *[1.0] * 5] if first else [1.0] * self._retries
        for attempt, wait in enumerate(waits):
            # A port with nothing behind it is to be told soon.
            if attempt == 5 and not self.statistics.bytes_received:
                break
            if attempt:
                self._silence(silence)
                silence = min(2 * silence, self._timeout)
            self._tag = (self._tag + 1) % NUMBERS
            self._write(flush_bytes(self._form) + encode_reset(self._tag))
            deadline = time.monotonic() + wait * self._timeout
            while (left := deadline - time.monotonic()) > 0:
                for reply in self._read(left):
                    if isinstance(reply, ResetDone) and reply.number == self._tag:
                        if reply.version != PROTOCOL_VERSION:
                            raise LinkError(
                                f"the board on {self._transport.name} must speak version {PROTOCOL_VERSION} "
                                f"of the link's protocol, it speaks {reply.version}; build and load its "
                                "bitstream anew"
                            )
                        return
        raise LinkError(self._no_answer())

    def run(
        self,
        sequences: Sequence[ArrayLike],
        *,
        progress: Progress | None = None,
        receive: Callable[[int, IntArray], None] | None = None,
    ) -> list[IntArray]:
        """Send sequences and return the answers to each.

        Args:
            sequences: (steps,) symbols or (steps, m) vectors each.
            progress: called with the number of sequences that are answered, and of all.
            receive: called with the index of a sequence and its answers as soon as they are all there.

        Returns:
            For each sequence its answers, (steps, words), or (1, words) where the network answers the last
            step only; the words are the logits, then the argmax, as far as the network has them.

        Raises:
            FormatError: a sequence is none of this network.
            LinkError: the board does not answer any more.
        """
        start = time.monotonic()
        checked = [self._model.check_inputs(np.asarray(s)[np.newaxis])[0] for s in sequences]
        answers: list[IntArray] = []

        def accept(words: IntArray) -> None:
            index = len(answers)
            answers.append(words)
            self.statistics.sequences += 1
            self.statistics.steps += len(checked[index])
            if receive is not None:
                receive(index, words)
            if progress is not None:
                progress(len(answers), len(checked))

        failures = 0
        fresh = False
        while len(answers) < len(checked):
            before = len(answers)
            try:
                # Numbers count from a reset.
                if not fresh:
                    self._reset()
                    fresh = True
                _Exchange(self, checked[before:], accept).play()
            except _BrokenError as error:
                self.statistics.resets += 1
                fresh = False
                failures = 0 if len(answers) > before else failures + 1
                if failures >= self._retries:
                    raise LinkError(
                        f"the board on {self._transport.name} must answer sequence {before}, and did not in "
                        f"{failures} attempts; the last one: {error}"
                    ) from error
                if "not loaded" in str(error) and self._image is not None:
                    self._reset()
                    self.load(self._image)
        self.statistics.seconds += time.monotonic() - start
        return answers

    def self_test(self, *, count: int = 8, steps: int = 16, seed: int = 0) -> int:
        """Play random sequences and compare every answer with the integer model.

        Returns:
            the number of integers that were compared.

        Raises:
            MismatchError: the first one that differs.
        """
        rng = np.random.default_rng(seed)
        net, form = self._network, self._network.input_format
        if net.vector_input:
            inputs = rng.integers(form.min, form.max + 1, (count, steps, net.input_size))
        else:
            inputs = rng.integers(0, net.input_size, (count, steps))
        expected = model_answers(net, list(inputs))
        compared = 0
        for index, (got, due) in enumerate(zip(self.run(list(inputs)), expected, strict=True)):
            check_answers(index, got, due)
            compared += got.size
        return compared


def check_answers(index: int, got: IntArray, expected: IntArray) -> None:
    """Raise a MismatchError if a sequence's answers are not those of the integer model."""
    if np.array_equal(got, expected):
        return
    if got.shape != expected.shape:
        raise MismatchError(f"sequence {index} must have answers of shape {expected.shape}, not {got.shape}")
    step, word = (int(v) for v in np.argwhere(got != expected)[0])
    raise MismatchError(
        f"sequence {index}, answer {step}, word {word}: the board says {got[step, word]}, the integer model "
        f"{expected[step, word]}"
    )


class _Exchange:
    """Sequences on their way through a board that was just reset."""

    def __init__(self, host: Host, sequences: Sequence[IntArray], accept: Callable[[IntArray], None]) -> None:
        self._host = host
        self._accept = accept
        self._form = host._form
        self._sequences = sequences
        self._lengths = [len(s) for s in sequences]
        self._limit = host._limit
        # Steps that were sent, and those of which it is known that the board's buffer is rid of them.
        self._sent = 0
        self._freed = 0
        # The step that asked for the acknowledge that is on its way.
        self._asked: int | None = None
        # Sequence that is sent, its frames, and the next one of them.
        self._next_sequence = 0
        self._frames: NDArray[np.uint8] | None = None
        self._frame_at = 0
        # Sequence that is answered, its answers so far, and the steps of those before it.
        self._answered_sequence = 0
        self._answers: list[tuple[int, ...]] = []
        self._answers_seen = 0
        self._steps_before = 0

    def play(self) -> None:
        """Send everything and receive everything."""
        host = self._host
        quiet_since = time.monotonic()
        while self._answered_sequence < len(self._sequences):
            data = self._take()
            if data:
                host._write(data)
            replies = host._read(0.0 if data else host._timeout / 4)
            for reply in replies:
                if self._answered_sequence == len(self._sequences):
                    # Nothing is due any more, and what was due is right.
                    host.statistics.out_of_turn += 1
                else:
                    self._judge(reply)
            now = time.monotonic()
            if replies:
                quiet_since = now
            elif now - quiet_since > host._timeout:
                host.statistics.silences += 1
                raise _BrokenError(f"nothing came for {host._timeout:g} s")

    def _take(self) -> bytes:
        """Return the frames that may be sent now."""
        parts = []
        room = self._limit - (self._sent - self._freed)
        while room > 0:
            if self._frames is None:
                if self._next_sequence == len(self._sequences):
                    break
                self._frames = self._encode(self._sequences[self._next_sequence])
                self._frame_at = 0
            count = min(room, len(self._frames) - self._frame_at)
            parts.append(self._with_acknowledge(self._frames[self._frame_at : self._frame_at + count]))
            self._sent += count
            self._frame_at += count
            room -= count
            if self._frame_at == len(self._frames):
                self._frames = None
                self._next_sequence += 1
        return b"".join(parts)

    def _encode(self, sequence: IntArray) -> NDArray[np.uint8]:
        flags = np.zeros(len(sequence), dtype=np.uint8)
        flags[0] |= StepFlag.FIRST
        flags[-1] |= StepFlag.LAST
        self._flags = flags
        return encode_steps(self._form, sequence.reshape(len(sequence), -1), flags, self._sent)

    def _with_acknowledge(self, frames: NDArray[np.uint8]) -> bytes:
        """Return frames as bytes; one asks for an acknowledge where answers alone do not tell of progress."""
        if not self._host._every and self._asked is None and len(frames):
            # The last one of a batch: half the window is sent behind it while its acknowledge comes.
            at = max(0, min(len(frames), self._limit // 2 - (self._sent - self._freed)) - 1)
            step = self._frame_at + at
            assert self._frames is not None
            words = self._sequences[self._next_sequence].reshape(len(self._frames), -1)[step : step + 1]
            flags = self._flags[step : step + 1] | np.uint8(StepFlag.ACKNOWLEDGE)
            frames = frames.copy()
            frames[at] = encode_steps(self._form, words, flags, self._sent + at)[0]
            self._asked = self._sent + at
        return frames.tobytes()

    def _judge(self, reply: Reply) -> None:
        match reply:
            case Answer() if not reply.aborted:
                self._take_answer(reply)
            case Acknowledge() if self._asked is not None:
                self._freed = max(self._freed, self._asked + 1)
                self._asked = None
            case Garbled():
                # Whatever it was is missed by its number, but not before the next reply.
                raise _BrokenError("bytes came that make no reply")
            case Fault():
                name = reply.code.name if isinstance(reply.code, FaultCode) else f"fault {reply.code}"
                raise _BrokenError(f"the board dropped a frame: {name.replace('_', ' ').lower()}")
            case _:
                self._host.statistics.out_of_turn += 1
                raise _BrokenError(f"a reply came out of turn: {type(reply).__name__}")

    def _take_answer(self, answer: Answer) -> None:
        length = self._lengths[self._answered_sequence]
        due = length if self._host._every else 1
        last = len(self._answers) == due - 1
        # The step that is answered: it must have been sent.
        step = self._steps_before + (len(self._answers) if self._host._every else length - 1)
        if answer.number != self._answers_seen % NUMBERS or answer.last != last or step >= self._sent:
            self._host.statistics.out_of_turn += 1
            raise _BrokenError(f"answer {answer.number} came out of turn")
        self._answers.append(answer.words)
        self._answers_seen += 1
        self._freed = max(self._freed, step + 1)
        if last:
            words = np.array(self._answers, dtype=np.int64)
            self._answers = []
            self._answered_sequence += 1
            self._steps_before += length
            self._accept(words)
