"""Prediction of the next character of a text at every step.

If the folder has ``ptb.{train,valid,test}.txt``, the text is Penn Treebank at the level of characters:
Mikolov's files of 10,000 words. Each line becomes its words with one blank between them and a newline;
without the blanks at the ends of lines these are the 5017k, 393k and 442k characters of the literature
(Mikolov et al. 2012). Otherwise the text is ``input.txt``, for example tinyshakespeare: its last 10 % are the
test set, the last 5 % of the rest the validation set, and the remainder the training set.

The alphabet is the sorted set of characters of the training text; their indices are the one-hot inputs and
the classes. A character outside the alphabet is read as the first one. bits_per_character is the mean of
``-log2 P(next character)`` over all steps.

Training reads the text as ``count`` parallel streams of equal length, in windows: batch i + 1 continues batch
i, with its states, to the end of the epoch. The next epoch cuts the text at other places. Validation and test
are read as 100 parallel streams of equal length, each from the network's initial state; remaining characters
are not read.
"""

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.errors import DataError, FormatError
from qornn_hw.tasks.measures import cross_entropy, generator, rounded, whole
from qornn_hw.tasks.task import Examples, Task

__all__ = ["CharactersTask", "read_texts"]

_STREAMS = 100
_LARGEST_ALPHABET = 1024
_START = 10
_PTB = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
_PLAIN = "input.txt"
_FOLDERS = ("", "ptb", "tinyshakespeare")

_WHERE = f"pass as data the folder with {', '.join(_PTB)} or with {_PLAIN}"


def _text(path: Path) -> str:
    try:
        # ``read_text`` would translate newlines.
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: must be text in UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; {_WHERE}") from None


def _lines(text: str) -> str:
    """Return a text of words without the blanks at the ends of its lines."""
    return "".join(f"{' '.join(line.split())}\n" for line in text.splitlines())


def read_texts(data_dir: str | Path | None) -> tuple[str, str, str]:
    """Return the texts for training, validation and test.

    Args:
        data_dir: folder with the three files of Penn Treebank or with ``input.txt``, or its parent folder
            if it is called ``ptb`` or ``tinyshakespeare``.

    Raises:
        DataError: the files do not exist, or a text is too short.
    """
    if data_dir is None:
        raise DataError(f"the characters task needs its data: {_WHERE}")
    if not Path(data_dir).is_dir():
        raise DataError(f"{data_dir}: no such folder; {_WHERE}")
    for folder in (Path(data_dir) / name for name in _FOLDERS):
        there = [(folder / name).is_file() for name in _PTB]
        if all(there):
            training, validation, test = (_lines(_text(folder / name)) for name in _PTB)
            return _long_enough(folder, training, validation, test)
        if any(there):
            raise DataError(f"{folder / _PTB[there.index(False)]}: no such file, beside the others; {_WHERE}")
        if (folder / _PLAIN).is_file():
            whole_text = _text(folder / _PLAIN)
            tested = len(whole_text) * 9 // 10
            trained = tested * 95 // 100
            return _long_enough(
                folder / _PLAIN, whole_text[:trained], whole_text[trained:tested], whole_text[tested:]
            )
    raise DataError(f"{data_dir}: must hold {', '.join(_PTB)}, or {_PLAIN}; {_WHERE}")


def _long_enough(where: Path, *texts: str) -> tuple[str, str, str]:
    for name, text in zip(("training", "validation", "test"), texts, strict=True):
        if len(text) < 2 * _STREAMS:
            raise DataError(
                f"{where}: must hold at least {2 * _STREAMS} characters for {name}, not {len(text)}"
            )
    return texts[0], texts[1], texts[2]


class CharactersTask(Task):
    """Prediction of the next character; metrics: bits_per_character, accuracy (of the most likely character).

    Args:
        data: folder of the text, for :func:`read_texts`.
        window: number of steps of a training batch, 1 to 100,000.
        alphabet: the characters in order; by default those of the training text.
    """

    name = "characters"
    metric = "bits_per_character"
    larger_is_better = False
    options = ("alphabet", "window")
    required = ("alphabet",)
    data_argument = "data"
    input_kind = InputKind.ONE_HOT
    output_mode = OutputMode.EVERY_STEP

    def __init__(self, data: str | Path | None, window: int = 150, alphabet: str | None = None) -> None:
        self.data = data
        self.window = whole("window", window, 1, 100_000)
        if alphabet is None:
            alphabet = "".join(sorted(set(self._texts[0])))
            if len(alphabet) > _LARGEST_ALPHABET:
                raise DataError(
                    f"{data}: the training text must have at most {_LARGEST_ALPHABET} different characters, "
                    f"not {len(alphabet)}"
                )
        elif not isinstance(alphabet, str) or not 1 <= len(set(alphabet)) == len(alphabet):
            raise FormatError("alphabet must be a string of different characters, at least one")
        self.alphabet = alphabet
        self.inputs = self.outputs = len(alphabet)

    def description(self) -> dict[str, Any]:
        """Return name, alphabet and window."""
        return {"name": self.name, "alphabet": self.alphabet, "window": self.window}

    @cached_property
    def _texts(self) -> tuple[str, str, str]:
        return read_texts(self.data)

    @cached_property
    def _indices(self) -> tuple[NDArray[np.int64], ...]:
        """The three texts as indices into the alphabet."""
        places = np.zeros(0x110000, dtype=np.int64)
        places[[ord(character) for character in self.alphabet]] = np.arange(len(self.alphabet))
        return tuple(places[np.frombuffer(text.encode("utf-32-le"), dtype="<u4")] for text in self._texts)

    def load(self) -> None:
        """Read the texts.

        Raises:
            DataError: they do not exist, or the test text has characters outside the alphabet.
        """
        missing = sorted(set(self._texts[2]) - set(self.alphabet))
        # A few unknown characters are errors of the network; many show that this is another text.
        if missing and sum(map(self._texts[2].count, missing)) > len(self._texts[2]) // 100:
            raise DataError(
                f"{self.data}: the test text must be in the alphabet of the checkpoint, but holds "
                f"{''.join(missing)[:20]!r}; pass the text that the network was trained on as data"
            )

    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return a window of each of ``count`` parallel streams; inputs and targets are (count, window).

        In each epoch the streams begin at other places of the text, which is read as a ring.
        """
        text = self._indices[0]
        per_epoch = self.batches_per_epoch(count)
        epoch, place = divmod(index, per_epoch)
        start = int(generator(_START, seed, epoch).integers(len(text)))
        stream = len(text) // count
        begins = start + np.arange(count) * stream + place * self.window
        taken = text[(begins[:, None] + np.arange(self.window + 1)) % len(text)]
        return Examples(taken[:, :-1], taken[:, 1:], continues=place > 0)

    def batches_per_epoch(self, count: int) -> int:
        """Return the number of windows in one of ``count`` streams.

        Raises:
            FormatError: the text is too short for one window.
        """
        size = len(self._texts[0])
        whole("batch", count, 1, self.most_sequences())
        batches = (size // count - 1) // self.window
        if batches < 1:
            raise FormatError(
                f"window must be at most {size // count - 1} for {count} streams, not {self.window}"
            )
        return batches

    def most_sequences(self) -> int:
        """Return the largest number of streams of one window each, at least 1."""
        return max(1, len(self._texts[0]) // (self.window + 1))

    @staticmethod
    def _streams(text: NDArray[np.int64], limit: int | None = None) -> Examples:
        steps = (len(text) - 1) // _STREAMS
        used = _STREAMS * steps
        inputs = text[:used].reshape(_STREAMS, steps)
        targets = text[1 : used + 1].reshape(_STREAMS, steps)
        return Examples(inputs[:limit], targets[:limit])

    def validation(self) -> Examples:
        """Return the validation text as 100 streams."""
        return self._streams(self._indices[1])

    def test(self, limit: int | None = None) -> Examples:
        """Return the test text as 100 streams, or the first ``limit`` of them."""
        return self._streams(self._indices[2], limit)

    def blind(self) -> float:
        """Return the bits a character of the test text under the character frequencies of the training text.

        One is added to every count, so that no character has probability 0.
        """
        counts = np.bincount(self._indices[0], minlength=len(self.alphabet)) + 1
        bits = -np.log2(counts / counts.sum())
        return float(bits[self.test().targets].mean())

    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the sums over streams of bits per character and accuracy; logits (count, steps, p)."""
        steps = targets.shape[1]
        return {
            "bits_per_character": float(cross_entropy(logits, targets).sum()) / math.log(2) / steps,
            "accuracy": float((logits.argmax(axis=-1) == targets).sum()) / steps,
        }

    def metrics(self, totals: dict[str, float], count: int) -> dict[str, float]:
        """Return the means with six digits; the bits are limited to 1e9."""
        bits = totals["bits_per_character"] / count
        return {
            "bits_per_character": rounded(min(bits, 1e9) if math.isfinite(bits) else 1e9),
            "accuracy": rounded(totals["accuracy"] / count),
        }
