"""One endless sequence on a board: the state stays there from call to call (docs/link.md).

A board cannot load a state, and a RESET after a fault loses the one that it has. So the steps since the
state's start are kept, up to a bound, and are sent again to restore it; their answers must be those that came
before. Beyond the bound a stream that was lost is an error, never a stream that goes on with another state.
"""

import zlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qornn_hw.boards.connection import BrokenError, Connection
from qornn_hw.boards.exchange import Exchange, Segment
from qornn_hw.errors import LinkError, MismatchError, StreamLostError

__all__ = ["HISTORY_STEPS", "Stream"]

IntArray: TypeAlias = NDArray[np.int64]

# Steps that are kept by default: of 28 bytes they are sent again in 1.8 s at 3 Mbaud.
HISTORY_STEPS = 16_384


class Stream:
    """The steps of one sequence that has no end of its own.

    Args:
        connection: the way to the board.
        limit: steps that may be on their way.
        history: steps since the state's start that are kept.

    Attributes:
        steps: steps since the state's start; 0: the next step computes with the initial state.
    """

    def __init__(self, connection: Connection, limit: int, history: int) -> None:
        self._connection = connection
        self._limit = limit
        self._bound = history
        self.steps = 0
        # Chunks since the state's start, None once they were more than the bound.
        self._history: list[IntArray] | None = []
        # CRC-32 of all answers that came for them.
        self._answers_crc = 0
        # The connection's count of resets when the state was last known to be on the board.
        self._epoch = -1

    def restart(self) -> None:
        """Begin anew: the next step computes with the initial state."""
        self.steps = 0
        self._history = []
        self._answers_crc = 0

    def play(self, inputs: IntArray, *, last: bool) -> IntArray:
        """Send steps that go on from the state and return their answers, (answers, words).

        Args:
            inputs: (steps,) symbols or (steps, m) vectors that fit the network; at least one step.
            last: the last of them has LAST.

        Raises:
            StreamLostError: the board lost the state, and its steps are not kept any more.
            MismatchError: the steps that were sent again have other answers than before.
            LinkError: the board does not answer any more.
        """
        connection = self._connection
        reason = "the board was reset or computed other sequences"
        attempts = 0
        while True:
            try:
                if not connection.clean or self._epoch != connection.resets:
                    self._restore(reason)
                words = self._exchange(Segment(inputs, first=self.steps == 0, last=last))
                break
            except BrokenError as error:
                reason = str(error)
                connection.statistics.resets += 1
                attempts += 1
                if attempts >= connection.retries:
                    raise LinkError(
                        f"the board on {connection.name} must answer step {self.steps} of the stream, and "
                        f"did not in {attempts} attempts; the last one: {error}"
                    ) from error
                connection.load_again(error)
        self._keep(inputs, words)
        connection.statistics.steps += len(inputs)
        return words

    def _exchange(self, segment: Segment) -> IntArray:
        answers: list[IntArray] = []
        Exchange(self._connection, [segment], answers.append, self._limit).play()
        return answers[0]

    def _restore(self, reason: str) -> None:
        """Reset the board and bring it to the state that it had."""
        connection = self._connection
        if self._history is None:
            raise StreamLostError(
                f"the board on {connection.name} must keep the state of the stream, and lost it after "
                f"{self.steps} steps ({reason}), where at most {self._bound} can be sent again; begin anew "
                "with reset_state(), or connect with a larger history"
            )
        connection.reset()
        if self._history:
            inputs = np.concatenate(self._history).astype(np.int64)
            words = self._exchange(Segment(inputs, first=True, last=False))
            connection.statistics.replayed_steps += self.steps
            if connection.form.every_step and _crc(words, 0) != self._answers_crc:
                raise MismatchError(
                    f"the board on {connection.name} must answer the {self.steps} steps of the stream that "
                    "were sent again as before, and its answers differ; the board does not compute reliably: "
                    "check its clock and power"
                )
        self._epoch = connection.resets

    def _keep(self, inputs: IntArray, words: IntArray) -> None:
        """Add steps that were answered to those that are kept."""
        self._epoch = self._connection.resets
        self.steps += len(inputs)
        self._answers_crc = _crc(words, self._answers_crc)
        if self._history is None:
            return
        if self.steps > self._bound:
            self._history = None
            return
        # Inputs have at most 16 bits and a sign.
        self._history.append(inputs.astype(np.int32))


def _crc(words: IntArray, crc: int) -> int:
    return zlib.crc32(np.ascontiguousarray(words, dtype="<i8").tobytes(), crc)
