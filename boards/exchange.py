"""Steps on their way through a board, and the answers that must come back for them (docs/link.md)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qornn_hw.boards.connection import BrokenError, Connection
from qornn_hw.link.protocol import (
    NUMBERS,
    Acknowledge,
    Answer,
    Fault,
    FaultCode,
    Garbled,
    Reply,
    StepFlag,
    encode_steps,
)

__all__ = ["Exchange", "Segment"]

IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Segment:
    """Consecutive steps that are accepted as a whole.

    Attributes:
        inputs: (steps,) symbols or (steps, m) vectors; at least one step.
        first: the first step has FIRST: it loads the initial state.
        last: the last step has LAST: a network that answers the last step only answers it.
    """

    inputs: IntArray
    first: bool = True
    last: bool = True

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def words(self) -> IntArray:
        """The words of each step, (steps, words)."""
        return self.inputs.reshape(len(self.inputs), -1)

    @property
    def flags(self) -> NDArray[np.uint8]:
        """The flags of each step, (steps,)."""
        flags = np.zeros(len(self.inputs), dtype=np.uint8)
        flags[0] |= StepFlag.FIRST * self.first
        flags[-1] |= StepFlag.LAST * self.last
        return flags


class Exchange:
    """Segments on their way through a board whose connection is clean.

    At its end nothing is on its way any more: each step was answered, or acknowledged where the network
    answers none of the segment.

    Args:
        connection: the way to the board.
        segments: what is sent, back to back.
        accept: called with the answers of a segment, (answers, words), as soon as all are there.
        limit: steps that may be on their way.
    """

    def __init__(
        self,
        connection: Connection,
        segments: Sequence[Segment],
        accept: Callable[[IntArray], None],
        limit: int,
    ) -> None:
        self._connection = connection
        self._accept = accept
        self._form = connection.form
        self._every = connection.form.every_step
        self._segments = segments
        self._limit = limit
        # Step and answer of this exchange that have number 0.
        self._first_step, self._first_answer = connection.steps, connection.answers
        # Steps that were sent, and those of which it is known that the board's buffer is rid of them.
        self._sent = 0
        self._freed = 0
        # The step that asked for the acknowledge that is on its way.
        self._asked: int | None = None
        # Segment that is sent, its frames, and the next one of them.
        self._next_segment = 0
        self._frames: NDArray[np.uint8] | None = None
        self._frame_at = 0
        # Segment that is answered, its answers so far, and the steps of those before it.
        self._answered_segment = 0
        self._answers: list[tuple[int, ...]] = []
        self._answers_seen = 0
        self._steps_before = 0

    def play(self) -> None:
        """Send everything and receive everything.

        Raises:
            BrokenError: a fault, a silence or a reply out of turn.
            LinkError: the transport was lost.
        """
        connection, statistics = self._connection, self._connection.statistics
        connection.clean = False
        quiet_since = time.monotonic()
        while self._answered_segment < len(self._segments):
            data = self._take()
            if data:
                connection.write(data)
            replies = connection.read(0.0 if data else connection.timeout / 4)
            for reply in replies:
                if self._answered_segment == len(self._segments):
                    # Nothing is due any more, and what was due is right.
                    statistics.out_of_turn += 1
                else:
                    self._judge(reply)
            now = time.monotonic()
            if replies:
                quiet_since = now
            elif now - quiet_since > connection.timeout:
                statistics.silences += 1
                raise BrokenError(f"nothing came for {connection.timeout:g} s")
        connection.steps += self._sent
        connection.answers += self._answers_seen
        connection.clean = True

    def _due(self, segment: Segment) -> int:
        """Return how many answers a segment gets."""
        return len(segment) if self._every else int(segment.last)

    def _take(self) -> bytes:
        """Return the frames that may be sent now."""
        parts = []
        room = self._limit - (self._sent - self._freed)
        while room > 0:
            if self._frames is None:
                if self._next_segment == len(self._segments):
                    break
                segment = self._segments[self._next_segment]
                number = self._first_step + self._sent
                self._frames = encode_steps(self._form, segment.words, segment.flags, number)
                self._frame_at = 0
            count = min(room, len(self._frames) - self._frame_at)
            if self._ends_unanswered(count) and self._asked is not None:
                # Its last step must ask for an acknowledge, and one is on its way.
                count -= 1
                if not count:
                    break
                room = count
            parts.append(self._with_acknowledge(self._frames[self._frame_at : self._frame_at + count]))
            self._sent += count
            self._frame_at += count
            room -= count
            if self._frame_at == len(self._frames):
                self._frames = None
                self._next_segment += 1
        return b"".join(parts)

    def _ends_unanswered(self, count: int) -> bool:
        """Return whether the next ``count`` frames end a segment that gets no answer."""
        assert self._frames is not None
        ends = self._frame_at + count == len(self._frames)
        return ends and not self._due(self._segments[self._next_segment])

    def _with_acknowledge(self, frames: NDArray[np.uint8]) -> bytes:
        """Return frames as bytes; one asks for an acknowledge where answers alone do not tell of progress."""
        if not self._every and self._asked is None and len(frames):
            if self._ends_unanswered(len(frames)):
                at = len(frames) - 1
            else:
                # The last one of a batch: half the window is sent behind it while its acknowledge comes.
                at = max(0, min(len(frames), self._limit // 2 - (self._sent - self._freed)) - 1)
            segment, step = self._segments[self._next_segment], self._frame_at + at
            words = segment.words[step : step + 1]
            flags = segment.flags[step : step + 1] | np.uint8(StepFlag.ACKNOWLEDGE)
            frames = frames.copy()
            frames[at] = encode_steps(self._form, words, flags, self._first_step + self._sent + at)[0]
            self._asked = self._sent + at
        return frames.tobytes()

    def _judge(self, reply: Reply) -> None:
        match reply:
            case Answer() if not reply.aborted:
                self._take_answer(reply)
            case Acknowledge() if self._asked is not None:
                self._freed = max(self._freed, self._asked + 1)
                self._asked = None
                self._pass_unanswered()
            case Garbled():
                # Whatever it was is missed by its number, but not before the next reply.
                raise BrokenError("bytes came that make no reply")
            case Fault():
                name = reply.code.name if isinstance(reply.code, FaultCode) else f"fault {reply.code}"
                text = f"the board dropped a frame: {name.replace('_', ' ').lower()}"
                raise BrokenError(text, reply.code)
            case _:
                self._connection.statistics.out_of_turn += 1
                raise BrokenError(f"a reply came out of turn: {type(reply).__name__}")

    def _take_answer(self, answer: Answer) -> None:
        segment = self._segments[self._answered_segment]
        due = self._due(segment)
        at = len(self._answers)
        # The step that is answered: it must have been sent.
        step = self._steps_before + (at if self._every else len(segment) - 1)
        number = (self._first_answer + self._answers_seen) % NUMBERS
        last = segment.last and at == due - 1
        if not due or answer.number != number or answer.last != last or step >= self._sent:
            self._connection.statistics.out_of_turn += 1
            raise BrokenError(f"answer {answer.number} came out of turn")
        self._answers.append(answer.words)
        self._answers_seen += 1
        self._freed = max(self._freed, step + 1)
        if at == due - 1:
            self._complete()
            self._pass_unanswered()

    def _complete(self) -> None:
        """Accept the segment whose answers are all there."""
        words = np.array(self._answers, dtype=np.int64).reshape(-1, self._form.words_per_answer)
        self._steps_before += len(self._segments[self._answered_segment])
        self._answered_segment += 1
        self._answers = []
        self._accept(words)

    def _pass_unanswered(self) -> None:
        """Accept segments without an answer whose steps the core has all taken."""
        while self._answered_segment < len(self._segments):
            segment = self._segments[self._answered_segment]
            if self._due(segment) or self._freed < self._steps_before + len(segment):
                return
            self._complete()
