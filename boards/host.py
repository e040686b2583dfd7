"""The host's end of the link: a network on a board, called with arrays (docs/link.md).

    with Host(checkpoint.network, open_port("/dev/ttyUSB1", 3_000_000)) as host:
        answers = host.run(sequences)
        answer = host.step(x)

A fault, a silence or a reply out of turn costs a reset, and the steps that were not answered yet are sent
again: every answer that comes out was received in order, frame by frame, with a checksum and a number that
fit.
"""

import random
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.boards.answers import check_answers, model_answers
from qornn_hw.boards.connection import BrokenError, Connection, HostStatistics
from qornn_hw.boards.exchange import Exchange, Segment
from qornn_hw.boards.ports import find_port
from qornn_hw.boards.stream import HISTORY_STEPS, Stream
from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.ports import answer_bits, answer_words, input_words_per_step
from qornn_hw.compiler.weight_image import LoadStatus
from qornn_hw.data.random_inputs import random_inputs
from qornn_hw.errors import BoardError, FormatError, LinkError
from qornn_hw.ir.interpreter import check_inputs
from qornn_hw.link.physical import Transport
from qornn_hw.link.protocol import (
    NUMBERS,
    PROTOCOL_VERSION,
    BoardFlag,
    Identity,
    LinkFormat,
    Status,
    encode_identify,
    encode_status_request,
)
from qornn_hw.link.serial_port import SerialTransport, open_port
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK

__all__ = [
    "Host",
    "HostStatistics",
    "SerialTransport",
    "Transport",
    "check_answers",
    "find_port",
    "model_answers",
    "network_format",
    "open_port",
]

IntArray: TypeAlias = NDArray[np.int64]
Progress: TypeAlias = Callable[[int, int], None]

# Silence after which a board is taken to have lost something: far more than a step takes, or the line to
# bring a frame.
TIMEOUT_SECONDS = 1.0
# Resets in a row, without an answer between, after which a board is given up.
RETRIES = 10
# Steps on their way to a board that is known to be faster than the line: fewer than there are numbers, so
# that a number tells which one is meant.
STEPS_IN_FLIGHT = 200
# Steps on their way to a board of unknown speed: a slow one must tell of progress before a host takes it for
# dead, and a fast one finds enough to do while the line and a USB bridge take their time.
STEPS_AHEAD = 64


def _why_no_weights(image: int) -> str:
    """Return what is to be said of the image that a board has in its flash, if it is a bad one."""
    bad = {status.value: status.name for status in LoadStatus if status is not LoadStatus.LOADED}
    if image not in bad:
        return ""
    return f", the image in its flash is bad ({bad[image]}, write it anew: qornn-hw program)"


def network_format(network: AnyNetwork) -> LinkFormat:
    """Return the format of the link of a network, of whichever design; its digest is zeros."""
    operations = operations_of(network)
    return LinkFormat(
        words_per_step=input_words_per_step(network),
        word_format=operations.input.format,
        words_per_answer=answer_words(network),
        answer_bits=answer_bits(network),
        every_step=operations.every_step,
    )


class Host:
    """A network on a board.

    As a context manager it connects on entry (:meth:`connect`) and closes the transport on exit.

    The board holds one state. :meth:`run` computes whole sequences, each from the initial state.
    :meth:`step`, and :meth:`run` with ``continue_state``, are the stream: one sequence without an end, whose
    state stays from call to call until :meth:`reset_state`. Whatever loses the state on the board, as a fault
    or whole sequences in between, costs the stream time and nothing else: its steps are sent again, up to
    ``history`` of them, and their answers compared with those before. A longer stream that was lost raises a
    StreamLostError until it begins anew; it never goes on from another state.

    Args:
        network: what the board is to compute.
        transport: the way to it, from :func:`open_port`.
        design: what the board must hold, None for any design with a link of the network's shape.
        image: of the weights, for a board that waits for them.
        step_seconds: what a step takes on the board, where it is known: more steps are then sent ahead
            of a board that is faster than the line.
        baud: rate of the line in bits a second, where it is known; for the same.
        bits_per_byte: bit times of a byte on the line; those of the default link where nobody says.
        timeout: seconds of silence after which something is taken to be lost.
        retries: resets in a row without an answer between, after which the board is given up.
        history: steps of a stream that are kept to restore its state; 0 keeps none.

    Raises:
        LinkError: the board does not answer, or not in this protocol, or was lost.
        BoardError: it holds another design.
        FormatError: ``history`` is negative.

    Attributes:
        baud: rate of the line, None where it is not known.
        identity: what the board says of itself; after :meth:`connect`.
    """

    def __init__(
        self,
        network: AnyNetwork,
        transport: Transport,
        *,
        design: Design | None = None,
        image: bytes | None = None,
        step_seconds: float | None = None,
        baud: int | None = None,
        bits_per_byte: int = DEFAULT_LINK.line.bits_per_byte,
        timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
        history: int = HISTORY_STEPS,
    ) -> None:
        if history < 0:
            raise FormatError(f"history must be 0 or more steps, not {history!r}")
        self._network = network
        self._design = design
        self._form = network_format(network) if design is None else LinkFormat.of(design)
        # The first number of a reset: whatever an earlier host left on the way has another one.
        tag = random.randrange(NUMBERS)
        self._connection = Connection(
            transport, self._form, tag=tag, timeout=timeout, retries=retries, image=image
        )
        self._every = self._form.every_step
        self._limit = self._in_flight(step_seconds, baud, bits_per_byte)
        self._stream = Stream(self._connection, self._limit, history)
        self.baud = baud
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

    @property
    def network(self) -> AnyNetwork:
        """The network that the board computes."""
        return self._network

    @property
    def port(self) -> str:
        """The port, as the transport calls it."""
        return self._connection.name

    @property
    def statistics(self) -> HostStatistics:
        """Counts of what happened so far."""
        return self._connection.statistics

    @property
    def stream_steps(self) -> int:
        """Steps of the stream since its state's start."""
        return self._stream.steps

    def close(self) -> None:
        """Close the transport."""
        self._connection.close()

    def _in_flight(self, step_seconds: float | None, baud: int | None, bits_per_byte: int) -> int:
        """Return how many steps may be unanswered: what the board's buffer holds, or more if it keeps up."""
        form = self._form
        window = min(form.window, STEPS_AHEAD)
        if step_seconds is None or baud is None:
            return window
        answer_bytes = form.answer_frame_bytes if self._every else 0
        frame_seconds = bits_per_byte * form.step_frame_bytes / baud
        keeps_up = step_seconds < 0.95 * frame_seconds and answer_bytes < form.step_frame_bytes
        return STEPS_IN_FLIGHT if keeps_up else window

    # -- what a board is ----------------------------------------------------------------------------------

    def connect(self) -> Identity:
        """Reset the board, check what it is, and load its weights if it waits for them."""
        self._connection.reset(first=True)
        identity = self.identify()
        self._check(identity)
        self.identity = identity
        if identity.takes_weights and not identity.flags & BoardFlag.LOADED:
            if self._connection.image is None:
                raise BoardError(
                    f"the board on {self._connection.name} waits for its weights and must get them"
                    f"{_why_no_weights(identity.image)}; name the build that it holds, or its weights.bin"
                )
            self.load(self._connection.image)
        return identity

    def _check(self, identity: Identity) -> None:
        name, wanted = self._connection.name, self._form.identity
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
        return self._connection.ask(encode_identify(), Identity)

    def status(self) -> Status:
        """Return the board's own count of steps and faults."""
        return self._connection.ask(encode_status_request(), Status)

    def load(self, image: bytes) -> None:
        """Load an image of weights.

        Raises:
            BoardError: it is of another design, or no image.
            LinkError: it does not get through.
        """
        self._connection.load(image)

    # -- sequences and the stream -------------------------------------------------------------------------

    def run(
        self,
        sequences: Sequence[ArrayLike],
        *,
        progress: Progress | None = None,
        receive: Callable[[int, IntArray], None] | None = None,
        continue_state: bool = False,
    ) -> list[IntArray]:
        """Send sequences and return the answers to each.

        Args:
            sequences: (steps,) symbols or (steps, m) vectors each, of any lengths.
            progress: called with the number of sequences that are answered, and of all.
            receive: called with the index of a sequence and its answers as soon as they are all there.
            continue_state: the sequences are consecutive chunks of the stream: each goes on from the state
                that the one before left, and the first from that of the latest call.

        Returns:
            For each sequence its answers, (steps, words), or (1, words), after the last step of each, where
            the network answers the last step only; the words are the logits, then the argmax, as far as the
            network has them.

        Raises:
            FormatError: a sequence is none of this network.
            LinkError: the board does not answer any more.
            StreamLostError: the stream's state was lost and cannot be restored.
        """
        start = time.monotonic()
        checked = [self._checked(np.asarray(s)[np.newaxis]) for s in sequences]
        answers: list[IntArray] = []

        def accept(words: IntArray) -> None:
            index = len(answers)
            answers.append(words)
            if receive is not None:
                receive(index, words)
            if progress is not None:
                progress(len(answers), len(checked))

        try:
            if continue_state:
                for chunk in checked:
                    accept(self._stream.play(chunk, last=not self._every))
            else:
                self._run_whole(checked, accept)
        finally:
            self.statistics.seconds += time.monotonic() - start
        return answers

    def _run_whole(self, sequences: Sequence[IntArray], accept: Callable[[IntArray], None]) -> None:
        """Play sequences that each begin with the initial state."""
        connection, done, failures = self._connection, 0, 0

        def count(words: IntArray) -> None:
            nonlocal done
            self.statistics.sequences += 1
            self.statistics.steps += len(sequences[done])
            done += 1
            accept(words)

        fresh = False
        while done < len(sequences):
            before = done
            try:
                if not fresh:
                    connection.reset()
                    fresh = True
                Exchange(connection, [Segment(s) for s in sequences[before:]], count, self._limit).play()
            except BrokenError as error:
                self.statistics.resets += 1
                fresh = False
                failures = 0 if done > before else failures + 1
                if failures >= connection.retries:
                    raise LinkError(
                        f"the board on {connection.name} must answer sequence {before}, and did not in "
                        f"{failures} attempts; the last one: {error}"
                    ) from error
                connection.load_again(error)

    def step(self, x: ArrayLike, *, first: bool = False, last: bool = False) -> IntArray | None:
        """Send the next step of the stream, wait for its answer, and return it.

        Args:
            x: the input vector, (m,), or the symbol.
            first: begin anew: this step computes with the initial state.
            last: a network that answers the last step of a sequence only answers this step; the stream goes
                on. The others answer every step, and nothing changes.

        Returns:
            The answer, (words,); None where the network does not answer this step.

        Raises:
            FormatError: the step is none of this network.
            LinkError: the board does not answer any more.
            StreamLostError: the stream's state was lost and cannot be restored.
        """
        start = time.monotonic()
        inputs = self._checked(np.asarray(x)[np.newaxis, np.newaxis])
        if first:
            self._stream.restart()
        try:
            words = self._stream.play(inputs, last=last)
        finally:
            self.statistics.seconds += time.monotonic() - start
        return words[0] if len(words) else None

    def _checked(self, inputs: IntArray) -> IntArray:
        """Return one sequence of inputs, (1, steps, ...), as int64 if it is one of the network."""
        return check_inputs(operations_of(self._network).input, inputs)[0]

    def reset_state(self) -> None:
        """Begin the stream anew: its next step computes with the initial state."""
        self._stream.restart()

    def self_test(self, *, count: int = 8, steps: int = 16, seed: int = 0) -> int:
        """Play random sequences and compare every answer with the integer model.

        Returns:
            the number of integers that were compared.

        Raises:
            MismatchError: the first one that differs.
        """
        inputs = random_inputs(operations_of(self._network).input, batch=count, steps=steps, seed=seed)
        expected = model_answers(self._network, list(inputs))
        compared = 0
        for index, (got, due) in enumerate(zip(self.run(list(inputs)), expected, strict=True)):
            check_answers(index, got, due)
            compared += got.size
        return compared
