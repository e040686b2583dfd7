"""`qornn-hw run --stream`: lines of numbers in, a line for each answer out, as it comes.

| line | meaning |
|---|---|
| numbers, between them spaces or a comma | one step: a number a channel, or the index of a one-hot input |
| empty, or `reset` | the next step begins a new sequence |

The end of the input ends the last sequence. A network that answers the last step only answers at the end of
each sequence: its last step is sent when the line behind it is known.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork, answer_integers, interpreter_of
from qornn_hw.data.inference import Answers, InputConverter
from qornn_hw.errors import DataError, FormatError, MismatchError

__all__ = ["LineStream", "StepHost", "StreamResult", "read_lines"]

IntArray = NDArray[np.int64]

LONGEST_LINE = 1 << 20
RESET_WORD = "reset"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_INTEGER = re.compile(r"[+-]?\d{1,18}")


class StepHost(Protocol):
    """Computes step after step, as :class:`qornn_hw.boards.host.Host` does."""

    def step(self, x: Any, *, first: bool = False, last: bool = False) -> IntArray | None:
        """Send a step and return its answer, if it has one."""

    def reset_state(self) -> None:
        """Begin a new sequence."""


@dataclass
class StreamResult:
    """Counts of a stream.

    Attributes:
        steps: steps that were computed.
        sequences: sequences that had a step.
        answers: answers that came.
        integers_compared: words of answers that equal the integer model's.
        seconds: time in the host's calls.
        longest_seconds: time in the longest of them.
    """

    steps: int = 0
    sequences: int = 0
    answers: int = 0
    integers_compared: int = 0
    seconds: float = 0.0
    longest_seconds: float = 0.0


def read_lines(source: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the lines of a stream with their numbers, from 1, each as soon as it is there.

    Raises:
        DataError: a line is too long, or no text.
    """
    number = 0
    while line := source.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise DataError(f"line {number} must have at most {LONGEST_LINE} bytes, and has more")
        try:
            yield number, line.decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise DataError(
                f"line {number} must hold numbers in ASCII, and holds the byte {line[error.start]:#04x}"
            ) from error


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


class LineStream:
    """Turns lines into steps of a host and its answers into lines.

    Args:
        host: what computes.
        network: its network.
        integers: the lines hold the network's own integers, and the answers the words of the hardware; else
            real numbers, with the network's scales.
        check: compare every answer with the integer model.
        write: called with each answer as a line without its end.
        warn: called with a sentence at the first input that is clipped.
        as_json: answers are JSON objects.

    Raises:
        FormatError: the network has a single output of which the hardware sends the argmax only.

    Attributes:
        result: counts so far.
        inputs: what converts real inputs; it counts the entries that were clipped.
    """

    def __init__(
        self,
        host: StepHost,
        network: AnyNetwork,
        *,
        integers: bool = False,
        check: bool = False,
        write: Callable[[str], None],
        warn: Callable[[str], None],
        as_json: bool = False,
    ) -> None:
        self._host = host
        self._network = network
        self._integers = integers
        self._check = check
        self._write = write
        self._warn = warn
        self._as_json = as_json
        self._model = interpreter_of(network)
        self._state = self._model.initial_state(1)
        # Every value of the step that was checked last.
        self._values: dict[str, IntArray] = {}
        operations = self._model.network
        self._input, self._kind = operations.input, operations.readout.answer.kind
        self._every = operations.every_step
        # Line and step that wait for the line behind them.
        self._held: tuple[int, IntArray] | None = None
        self._within = False
        self.result = StreamResult()
        self.inputs = InputConverter(network)
        if not integers:
            Answers.of(network, np.zeros(operations.output_size + 1, dtype=np.int64))

    def play(self, source: BinaryIO) -> StreamResult:
        """Play a stream to its end.

        Raises:
            DataError: a line is none of this network, or there is no step at all.
            MismatchError: an answer is not the integer model's.
            LinkError: the board does not answer any more.
        """
        for number, text in read_lines(source):
            if text in ("", RESET_WORD):
                self._end_sequence()
            else:
                self._take(number, self._parse(number, text))
        self._end_sequence()
        if not self.result.steps:
            raise DataError(
                "the stream must have at least one step, and had none; write a line of numbers for each step"
            )
        return self.result

    def _parse(self, number: int, text: str) -> IntArray:
        """Return a line as a step, (m,) or ()."""
        one_hot = self._input.one_hot
        parts = re.split(r"\s*,\s*|\s+", text)
        count = 1 if one_hot else self._input.size
        what = "an integer" if self._integers or one_hot else "a number"
        for at, part in enumerate(parts):
            pattern = _INTEGER if what == "an integer" else _NUMBER
            if not pattern.fullmatch(part):
                raise DataError(
                    f"line {number} must hold numbers, and its entry {at}, {_shown(part)}, is not {what}"
                )
        if len(parts) != count:
            kind = "the index of a symbol" if one_hot else "one a channel"
            raise DataError(f"line {number} must have {count} numbers, {kind}, not {len(parts)}")
        try:
            if what == "an integer":
                values = np.array([int(part) for part in parts], dtype=np.int64)
            else:
                values = np.array([float(part) for part in parts])
            x = values[0] if one_hot else values
            if not self._integers:
                before = self.inputs.clipped
                x = self.inputs.from_real(x)
                if not before.any() and self.inputs.clipped.any():
                    self._say_clipped(number, values)
            self._model.check_inputs(np.asarray(x)[np.newaxis, np.newaxis])
        except FormatError as error:
            raise DataError(f"line {number}: {error}") from error
        return np.asarray(x)

    def _say_clipped(self, number: int, values: NDArray[Any]) -> None:
        source = self._input
        channel = int(np.flatnonzero(self.inputs.clipped)[0])
        step, offset = source.scales[channel], source.offsets[channel]
        low, high = (end * step + offset for end in (source.format.min, source.format.max))
        self._warn(
            f"line {number}: {values[channel]:g} in channel {channel} lies outside {low:.6g} to {high:.6g} "
            "and is clipped; further ones are counted and reported at the end"
        )

    def _take(self, number: int, x: IntArray) -> None:
        if not self._within:
            self._within = True
            self.result.sequences += 1
        if self._every:
            self._step(number, x, last=False)
            return
        if self._held is not None:
            self._step(*self._held, last=False)
        self._held = (number, x)

    def _end_sequence(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._step(*held, last=True)
        if self._within:
            self._within = False
            self._host.reset_state()
            self._state = self._model.initial_state(1)

    def _step(self, number: int, x: IntArray, *, last: bool) -> None:
        start = time.monotonic()
        words = self._host.step(x, last=last)
        seconds = time.monotonic() - start
        result = self.result
        result.steps += 1
        result.seconds += seconds
        result.longest_seconds = max(result.longest_seconds, seconds)
        if self._check:
            self._state, self._values = self._model.step(self._state, x[np.newaxis])
        if words is None:
            return
        result.answers += 1
        if self._check:
            self._compare(number, words)
        self._write(self._line(number, words))

    def _compare(self, number: int, words: IntArray) -> None:
        due = answer_integers(self._network, self._model.logits(self._values)[0]).tolist()
        for word, (got, wanted) in enumerate(zip(words.tolist(), due, strict=True)):
            if got != wanted:
                raise MismatchError(
                    f"line {number}, word {word} of the answer: the board says {got}, the integer model "
                    f"{wanted}"
                )
        self.result.integers_compared += len(due)

    def _line(self, number: int, words: IntArray) -> str:
        if self._integers:
            values = words.tolist()
            return (
                json.dumps({"line": number, "words": values}) if self._as_json else " ".join(map(str, values))
            )
        answers = Answers.of(self._network, words)
        logits = None if answers.logits is None else answers.logits.tolist()
        if self._as_json:
            return json.dumps({"line": number, "logits": logits, "class": int(answers.classes)})
        parts = [f"{value:.6g}" for value in logits or []]
        if self._kind.has_argmax:
            parts.append(str(int(answers.classes)))
        return " ".join(parts)
