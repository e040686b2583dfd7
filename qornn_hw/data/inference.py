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

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.data.real_inputs import (
    AnyNetwork,
    QuantizedInputs,
    clipped_text,
    input_of,
    quantize_inputs,
)
from qornn_hw.data.sequences import equal_length_batches, read_sequences, sequences_of
from qornn_hw.errors import DataError, FormatError
from qornn_hw.ir.interpreter import Interpreter

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
    network: IntegerNetwork, path: Path, limit: int | None = None
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
    converter, model = InputConverter(network), IntegerModel(network)
    try:
        found = [
            model.check_inputs(converter.from_array(one)[np.newaxis])[0]
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
    def of(cls, network: IntegerNetwork, words: IntArray) -> Self:
        """Convert the words that a network's hardware sent.

        Raises:
            FormatError: the hardware sends only the argmax of a single logit, which is always 0.
        """
        p, kind = network.output_size, network.output_kind
        if kind.has_logits:
            integers = words[..., :p]
            return cls(words, integers * network.scales.output, classes_of(integers))
        if p == 1:
            raise FormatError(
                "output_kind of a network with one output must be logits or both, not argmax, which is "
                "always 0; export it with output_kind='logits'"
            )
        return cls(words, None, words[..., 0])


def answer_words(network: IntegerNetwork, sequences: Sequence[NDArray[Any]]) -> list[IntArray]:
    """Return the words that the hardware must answer to integer sequences, from the integer model.

    Args:
        network: the network.
        sequences: arrays (steps, m) of vectors or (steps,) of indices, of any lengths.

    Returns:
        One array a sequence: (steps, words), or (1, words) if the network answers the last step only.

    Raises:
        FormatError: a sequence does not fit the network's inputs.
    """
    kind = network.output_kind
    found: list[IntArray] = [_NONE] * len(sequences)
    for members, logits in _logits(network, sequences):
        parts = [logits] if kind.has_logits else []
        if kind.has_argmax:
            parts.append(np.argmax(logits, axis=-1)[..., np.newaxis].astype(np.int64))
        for index, words in zip(members, np.concatenate(parts, axis=-1), strict=True):
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
    scale = _output_scale(network)
    found: list[NDArray[Any]] = [_NONE] * len(sequences)
    for members, logits in _logits(network, sequences):
        values = logits * scale if real else logits
        for index, one in zip(members, values, strict=True):
            found[int(index)] = one
    return found if lengths is not None or isinstance(inputs, (list, tuple)) else np.stack(found)


def _output_scale(network: AnyNetwork) -> float:
    """Return the real value of one unit of a logit."""
    if isinstance(network, IntegerNetwork):
        return network.scales.output
    return network.scales[network.readout.logits.name]


def _logits(network: AnyNetwork, sequences: Sequence[NDArray[Any]]) -> Any:
    """Yield the indices of sequences and their logits, (count, steps or 1, p), batch by batch."""
    model = IntegerModel(network) if isinstance(network, IntegerNetwork) else Interpreter(network)
    width = max(network.output_size, input_of(network).size)
    for members, batch in equal_length_batches(sequences, BATCH_NUMBERS, width):
        yield members, model.answers(batch)
