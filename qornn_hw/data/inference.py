"""Inference with the integer model: from user inputs to the hardware's answers, with the network's scales.

:class:`InputConverter` converts real inputs to integers and counts clipped entries. :class:`Answers` converts
the words of an answer to logits and classes. :func:`answer_words` computes the words that a board must send.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.cells.any_network import (
    AnyNetwork,
    answer_integers,
    interpreter_of,
    operations_of,
    output_scale,
)
from qornn_hw.data.real_inputs import (
    QuantizedInputs,
    clipped_text,
    input_of,
    quantize_inputs,
)
from qornn_hw.data.sequences import equal_length_batches, read_sequences, sequences_of
from qornn_hw.errors import DataError, FormatError
from qornn_hw.ir.interpreter import check_inputs

__all__ = [
    "Answers",
    "ClippedInputsWarning",
    "InputConverter",
    "answer_words",
    "classes_of",
    "file_sequences",
    "infer",
]

IntArray = NDArray[np.int64]

# Limit for the numbers (states and logits, or inputs) of one batch.
BATCH_NUMBERS = 1 << 24


class ClippedInputsWarning(UserWarning):
    """Real inputs lay outside the network's input format and were clipped."""


class InputConverter:
    """Converts user inputs to the network's integers, and counts the clipped entries.

    Attributes:
        clipped: number of clipped entries of each channel so far, (m,); a single 0 for indices.
        entries: number of entries of each channel so far.
    """

    def __init__(self, network: AnyNetwork) -> None:
        self._input = input_of(network)
        self.clipped = np.zeros(1 if self._input.one_hot else self._input.size, dtype=np.int64)
        self.entries = 0

    def from_real(self, values: ArrayLike) -> IntArray:
        """Return real vectors (..., m) of any dtype, or indices, as integers.

        Raises:
            FormatError: as for :func:`qornn_hw.data.real_inputs.quantize_inputs`.
        """
        found = quantize_inputs(self._input, values)
        self.clipped = self.clipped + found.clipped
        self.entries += found.entries
        return found.integers

    def from_array(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return an integer array unchanged, and convert a real array as :meth:`from_real` does.

        An integer array holds the network's own integers.
        """
        return values if values.dtype.kind in "iu" else self.from_real(values)

    @property
    def text(self) -> str | None:
        """One sentence about the clipped entries; None if none was clipped."""
        return clipped_text(self._input, QuantizedInputs(_NONE, self.clipped, self.entries))


_NONE = np.zeros(0, dtype=np.int64)


def file_sequences(
    network: AnyNetwork, path: Path, limit: int | None = None
) -> tuple[list[IntArray], InputConverter]:
    """Return the sequences of a file as the network's integers, and the converter with its counts.

    Args:
        network: the network that takes the sequences.
        path: file for :func:`qornn_hw.data.sequences.read_sequences`. Integers are the network's own; real
            numbers are converted with its scales.
        limit: the number of sequences to take from the start; None for all.

    Raises:
        DataError: the file does not exist, or does not hold inputs of this network.
    """
    converter, form = InputConverter(network), input_of(network)
    try:
        found = [
            check_inputs(form, converter.from_array(one)[np.newaxis])[0]
            for one in read_sequences(path)[:limit]
        ]
    except FormatError as error:
        raise DataError(f"{path}: {error}") from error
    return found, converter


def classes_of(logits: NDArray[Any]) -> IntArray:
    """Return the class for each vector of logits: (..., p) -> (...).

    The class is the index of the largest logit, the lowest index among equals. A single logit is a
    threshold: class 1 if it is above 0, else class 0, which equals the argmax of ``(0, y)``.

    >>> classes_of(np.array([[3, 7, 7]])), classes_of(np.array([[-1], [0], [1]]))
    (array([1]), array([0, 0, 1]))
    """
    if logits.shape[-1] == 1:
        return np.asarray(logits[..., 0] > 0, dtype=np.int64)
    return np.asarray(np.argmax(logits, axis=-1), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of the hardware and their meaning.

    Attributes:
        words: the answer as the hardware sends it, (..., words): the logits, then the argmax, by output kind.
        logits: the logits as real numbers, (..., p); None if the hardware sends the argmax only.
        classes: the classes, (...), as from :func:`classes_of`.
    """

    words: IntArray
    logits: NDArray[np.floating[Any]] | None
    classes: IntArray

    @classmethod
    def of(cls, network: AnyNetwork, words: IntArray) -> Self:
        """Convert the words that a network's hardware sent.

        Raises:
            FormatError: the hardware sends only the argmax of a single logit, which is always 0.
        """
        operations = operations_of(network)
        p, answer = operations.output_size, operations.readout.answer
        if answer.kind.has_logits:
            integers = words[..., :p]
            classes = classes_of(integers) if answer.threshold is None else answer.evaluate(integers)[..., 0]
            return cls(words, integers * output_scale(network), classes)
        if p == 1 and answer.threshold is None:
            raise FormatError(
                "output_kind of a network with one output must be logits or both, not argmax, which is "
                "always 0; export it with output_kind='logits'"
            )
        return cls(words, None, words[..., 0])


def answer_words(network: AnyNetwork, sequences: Sequence[NDArray[Any]]) -> list[IntArray]:
    """Return the words that the hardware must answer to integer sequences, from the integer model.

    Args:
        network: the network.
        sequences: arrays (steps, m) of vectors or (steps,) of indices, of any lengths.

    Returns:
        One array a sequence: (steps, words), or (1, words) if the network answers the last step only.

    Raises:
        FormatError: a sequence does not fit the network's inputs.
    """
    found: list[IntArray] = [_NONE] * len(sequences)
    for members, logits in _logits(network, sequences):
        for index, words in zip(members, answer_integers(network, logits), strict=True):
            found[int(index)] = words
    return found


def infer(network: AnyNetwork, inputs: Any, lengths: Any = None, *, real: bool = True) -> Any:
    """Return the logits that the hardware computes for user inputs.

    Args:
        network: the network, of either kind.
        inputs: real vectors or indices of any dtype, in a form of :mod:`qornn_hw.data.sequences`.
        lengths: number of steps of each sequence, if the inputs are padded.
        real: True for logits as real numbers, with the network's output scale; False for integers.

    Returns:
        An array (count, steps, p), or (count, 1, p) if the network answers the last step only. If the inputs
        are a list or have lengths: a list of arrays (steps, p) or (1, p).

    Warns:
        ClippedInputsWarning: inputs lay outside the input format.

    Raises:
        FormatError: the inputs have another form, or an entry is not finite.
    """
    converter = InputConverter(network)
    sequences = [converter.from_real(one) for one in sequences_of("inputs", inputs, lengths)]
    if (text := converter.text) is not None:
        warnings.warn(text, ClippedInputsWarning, stacklevel=3)
    scale = output_scale(network)
    found: list[NDArray[Any]] = [_NONE] * len(sequences)
    for members, logits in _logits(network, sequences):
        values = logits * scale if real else logits
        for index, one in zip(members, values, strict=True):
            found[int(index)] = one
    return found if lengths is not None or isinstance(inputs, (list, tuple)) else np.stack(found)


def _logits(network: AnyNetwork, sequences: Sequence[NDArray[Any]]) -> Any:
    """Yield the indices of sequences and their logits, (count, steps or 1, p), batch by batch."""
    model = interpreter_of(network)
    width = max(model.network.output_size, input_of(network).size)
    for members, batch in equal_length_batches(sequences, BATCH_NUMBERS, width):
        yield members, model.answers(batch)
