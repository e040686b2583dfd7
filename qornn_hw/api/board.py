"""A network on a board, real or simulated: called with real numbers, each answer checked on request."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.api.network import Network
from qornn_hw.counts import require_compared
from qornn_hw.data.inference import Answers, ClippedInputsWarning, InputConverter
from qornn_hw.data.sequences import sequences_of
from qornn_hw.errors import FormatError

if TYPE_CHECKING:
    from qornn_hw.boards.board import Board as BoardModel
    from qornn_hw.boards.connection import HostStatistics
    from qornn_hw.boards.host import Host
    from qornn_hw.compiler.design import Design as Core

__all__ = ["FASTEST_BAUD", "LONGEST_TIMEOUT", "Board", "check_connection", "open_board"]

IntArray = NDArray[np.int64]

# An hour; the rate of the fastest USB bridges is below this.
LONGEST_TIMEOUT = 3600
FASTEST_BAUD = 100_000_000


class Board:
    """A network on a board; a context manager that connects on entry and closes the port on exit.

    :meth:`run` computes whole sequences, each from the initial state. :meth:`step` computes one endless
    stream, whose state stays from call to call until :meth:`reset_state`. Faults of the line cost time only:
    the host resets the board and sends again what was not answered.

    From :meth:`qornn_hw.Build.program` or :meth:`qornn_hw.Build.open`, or simulated, from
    :meth:`qornn_hw.VirtualBoard.open`.

    >>> import numpy as np, qornn_hw
    >>> x = np.random.default_rng(0).normal(size=(20, 10, 2))
    >>> w, u, v = np.diag([0.9, -0.8]), np.ones((2, 2)), np.eye(2)
    >>> net = qornn_hw.quantize((w, u, v), x, activation="relu", weight_bits=8)
    >>> with qornn_hw.compile(net).virtual_board() as virtual, virtual.open() as board:
    ...     whole = board.run(x[:3], check=True)
    ...     stream = [board.step(x_t) for x_t in x[0]]
    >>> bool(np.all(whole == net(x[:3]))), bool(np.all(np.array(stream) == whole[0]))
    (True, True)

    Attributes:
        network: what the board computes.
        inputs: what makes integers of real inputs; it counts the entries that were clipped.

    Raises:
        LinkError: the board does not answer, or not in this protocol, or was lost.
        BoardError: it holds another design.
    """

    def __init__(self, network: Network, host: "Host") -> None:
        self.network = network
        self._network = network.network
        self._host = host
        self._stack = ExitStack()
        self.inputs = InputConverter(self._network)

    def __enter__(self) -> Self:
        self._stack.enter_context(self._host)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def host(self) -> "Host":
        """The host's end of the link, which speaks integers."""
        return self._host

    @property
    def port(self) -> str:
        """The port, as the transport calls it."""
        return self._host.port

    @property
    def baud(self) -> int | None:
        """Rate of the line, bits a second."""
        return self._host.baud

    @property
    def statistics(self) -> "HostStatistics":
        """Counts of sequences, steps, resets and faults so far."""
        return self._host.statistics

    def run(
        self, inputs: Any, lengths: Any = None, *, check: bool = False, continue_state: bool = False
    ) -> Any:
        """Compute whole sequences of real inputs, each from the initial state.

        Args:
            inputs: as for a call of a :class:`qornn_hw.Network`.
            lengths: steps of each sequence, where the array is padded.
            check: compare every answer with the integer model as it comes; not with ``continue_state``.
            continue_state: the sequences are consecutive chunks of the stream: each goes on from the state
                that the one before left.

        Returns:
            What the call of the network gives: real logits; the classes in their place, (count, steps), where
            the hardware sends the argmax alone.

        Raises:
            FormatError: the inputs are none of this network.
            LinkError: the board does not answer any more.
            MismatchError: the first answer that is not the integer model's, where they are compared.

        Warns:
            ClippedInputsWarning: inputs lay outside the format of the network's input.
        """
        converter = InputConverter(self._network)
        sequences = [converter.from_real(one) for one in sequences_of("inputs", inputs, lengths)]
        if converter.text is not None:
            warnings.warn(converter.text, ClippedInputsWarning, stacklevel=2)
        words = self.run_integers(sequences, check=check, continue_state=continue_state)
        answers = [_meaning(Answers.of(self._network, one)) for one in words]
        one_array = lengths is None and not isinstance(inputs, (list, tuple))
        return np.stack(answers) if one_array else answers

    def run_integers(
        self,
        sequences: Sequence[ArrayLike],
        *,
        check: bool = False,
        continue_state: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[IntArray]:
        """Compute whole sequences of the network's own integers.

        Args:
            sequences: (steps,) symbols or (steps, m) vectors each.
            check: compare every answer with the integer model as it comes; not with ``continue_state``.
            continue_state: as for :meth:`run`.
            progress: called with the number of sequences that are answered, and of all.

        Returns:
            For each sequence its answers, (steps or 1, words): the logits, then the argmax, as far as the
            network has them.

        Raises:
            FormatError: a sequence is none of this network.
            DataError: nothing was compared that was to be.
            LinkError: the board does not answer any more.
            MismatchError: the first answer that is not the integer model's, where they are compared.
        """
        from qornn_hw.boards.answers import check_answers, model_answers

        if check and continue_state:
            raise FormatError("check must come without continue_state: the model begins anew")

        def receive(index: int, words: IntArray) -> None:
            if check:
                check_answers(index, words, model_answers(self._network, [np.asarray(sequences[index])])[0])

        answers = self._host.run(sequences, progress=progress, receive=receive, continue_state=continue_state)
        if check:
            require_compared(sum(one.size for one in answers))
        return answers

    def step(self, x: Any, *, first: bool = False, last: bool = False) -> Any:
        """Compute the next step of the stream.

        Args:
            x: a real vector (m,), or an index.
            first: begin anew, with the initial state.
            last: a network that answers the last step only answers this step; the stream goes on.

        Returns:
            Real logits (p,), or the class where the hardware sends the argmax alone; None where the network
            does not answer this step.

        Raises:
            FormatError: the step is none of this network.
            LinkError: the board does not answer any more.
            StreamLostError: the state was lost and cannot be restored.
        """
        words = self._host.step(self.inputs.from_real(x), first=first, last=last)
        return None if words is None else _meaning(Answers.of(self._network, words))

    def reset_state(self) -> None:
        """Begin the stream anew: its next step computes with the initial state."""
        self._host.reset_state()

    def __repr__(self) -> str:
        return f"Board({self.port!r}, {self.network!r})"


def _meaning(answers: Answers) -> Any:
    return answers.classes if answers.logits is None else answers.logits


def open_board(
    network: Network,
    core: "Core",
    model: "BoardModel",
    *,
    port: str | None = None,
    baud: int | None = None,
    timeout: float = 1.0,
    history: int | None = None,
    image: bytes | None = None,
    report: dict[str, Any] | None = None,
) -> Board:
    """Return a board whose port is open; as a context manager it connects.

    Args:
        network: what it computes.
        core: the design that it must hold.
        model: of the board.
        port: its serial port; found by the ids of its USB bridge where None.
        baud: rate of the line; that of the report, or the board's fastest, where None.
        timeout: seconds of silence after which something is taken to be lost, up to 3600.
        history: steps of a stream that are kept to restore its state; some thousands where None.
        image: of the weights, where the board waits for them; that of the design where None.
        report: of the build, for the rate and the time of a step.

    Raises:
        FormatError: an argument is out of its range.
        BoardError: no such board is found.
        LinkError: the port cannot be used.
    """
    check_connection(timeout, baud, history)
    from qornn_hw.boards.host import Host, find_port
    from qornn_hw.boards.stream import HISTORY_STEPS
    from qornn_hw.compiler.weight_image import encode_image
    from qornn_hw.link.protocol import LinkFormat

    facts = report or {}
    if image is None and LinkFormat.of(core).weights is not None:
        image = encode_image(core)
    step_us = facts.get("step_us")
    rate = baud or facts.get("baud") or model.full_link_rate
    host = Host(
        network.network,
        model.physical_link.open(port or find_port(model), rate),
        design=core,
        image=image,
        step_seconds=None if step_us is None else step_us * 1e-6,
        baud=rate,
        bits_per_byte=model.physical_link.line.bits_per_byte,
        timeout=timeout,
        history=HISTORY_STEPS if history is None else history,
    )
    return Board(network, host)


def check_connection(timeout: float = 1.0, baud: int | None = None, history: int | None = None) -> None:
    """Refuse a timeout, a rate or a history that cannot be, before anything is opened.

    Raises:
        FormatError: one is out of its range.
    """
    if history is not None and history < 0:
        raise FormatError(f"history must be 0 or more, not {history}")
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise FormatError(
            f"timeout must be more than 0 and at most {LONGEST_TIMEOUT} seconds, not {timeout:g}"
        )
    if baud is not None and not 1 <= baud <= FASTEST_BAUD:
        raise FormatError(f"baud must be 1 to {FASTEST_BAUD}, not {baud}")
