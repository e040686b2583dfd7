"""A user's own sequences with their targets, and the score of a network on them.

| targets | meaning | score |
|---|---|---|
| integers (count,) | the class after the last step | accuracy |
| integers (count, steps) | the class after each step | accuracy |
| numbers (count, p), or (count,) with one output | the values after the last step | mse |
| numbers (count, steps, p) | the values after each step | mse |

With one output, class 1 means a logit above 0. A file is a ``.npy`` of inputs, or a ``.npz`` with ``inputs``
and optionally ``targets``; with ``lengths`` if both are padded. ``inputs_test`` and ``targets_test`` of a
file for ``qornn-hw train arrays`` are accepted, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.arguments import array_of
from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.data.inference import classes_of
from qornn_hw.data.sequences import FILE_FORM, require_finite, sequences_in, sequences_of
from qornn_hw.errors import DataError, FormatError
from qornn_hw.quantization.float_model import dequantized_inputs
from qornn_hw.storage.array_archive import read_user_arrays

__all__ = ["LabelledSequences", "Score", "real_sequences"]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

# The arrays of a file that are read.
_NAMES = frozenset(f"{name}{end}" for name in ("inputs", "targets", "lengths") for end in ("", "_test"))


@dataclass(frozen=True, eq=False)
class LabelledSequences:
    """Sequences and their targets.

    Attributes:
        sequences: arrays (steps, m), or (steps,) for indices.
        targets: for each sequence an array in a form of the module's table without its first dimension; None
            without targets.
    """

    sequences: list[NDArray[Any]]
    targets: list[NDArray[Any]] | None = None

    @classmethod
    def of(cls, inputs: Any, targets: Any = None, lengths: Any = None) -> "LabelledSequences":
        """Return sequences with their targets.

        Args:
            inputs: sequences for :func:`qornn_hw.data.sequences.sequences_of`.
            targets: as in the module's table; a list of arrays for sequences of different lengths.
            lengths: number of steps of each sequence, if inputs and targets by step are padded.

        Raises:
            FormatError: the form is not in the table, or the number of targets is not that of sequences.
        """
        sequences = sequences_of("inputs", inputs, lengths)
        if targets is None:
            return cls(sequences)
        whole = isinstance(targets, (list, tuple))
        rows = [array_of(f"targets[{i}]", one) for i, one in enumerate(targets)] if whole else None
        rows = list(array_of("targets", targets)) if rows is None else rows
        if len(rows) != len(sequences):
            raise FormatError(f"targets must be those of {len(sequences)} sequences, not of {len(rows)}")
        rows = [np.asarray(row) for row in rows]
        if lengths is not None and not whole:
            steps = array_of("inputs", inputs).shape[1]
            by_step = rows[0].ndim > 0 and len(rows[0]) == steps and rows[0].dtype.kind in "iu"
            if by_step or rows[0].ndim == 2:
                rows = [row[: len(one)] for row, one in zip(rows, sequences, strict=True)]
        for i, row in enumerate(rows):
            if not np.isfinite(row).all():
                raise FormatError(f"targets[{i}] must be finite, not NaN or infinite")
        return cls(sequences, rows)

    @classmethod
    def read(cls, path: str | Path) -> "LabelledSequences":
        """Read a file in the form of the module's docstring.

        Raises:
            DataError: the file does not exist or has another form.
        """
        path = Path(path)
        arrays = read_user_arrays(path, FILE_FORM, _NAMES.__contains__)
        if isinstance(arrays, np.ndarray) or not arrays.keys() & {"inputs_test", "targets"}:
            return cls(sequences_in(path, arrays))
        end = "" if "inputs" in arrays else "_test"
        if f"inputs{end}" not in arrays:
            raise DataError(f"{path}: must hold an array inputs beside targets, not {', '.join(arrays)}")
        try:
            found = cls.of(arrays[f"inputs{end}"], arrays.get(f"targets{end}"), arrays.get(f"lengths{end}"))
            require_finite("inputs", found.sequences)
        except FormatError as error:
            raise DataError(f"{path}: {error}") from None
        return found


class Score:
    """Accuracy or mean squared error of a network's logits, accumulated over batches."""

    def __init__(self, network: AnyNetwork, targets: Sequence[NDArray[Any]]) -> None:
        first = targets[0]
        operations = operations_of(network)
        p, every = operations.output_size, operations.every_step
        self.classes = first.dtype.kind in "iu"
        self.by_step = first.ndim == (1 if self.classes else 2)
        self.targets = targets
        self.total = 0.0
        self.count = 0
        if first.ndim > (1 if self.classes else 2):
            raise FormatError(
                "targets must be classes (count,) or (count, steps), or values (count, outputs) or "
                f"(count, steps, outputs), not {first.dtype} of shape {(len(targets), *first.shape)}"
            )
        if self.by_step and not every:
            raise FormatError(
                "targets must be one for each sequence, because the network answers after the last step, "
                f"not one for each step (shape {(len(targets), *first.shape)})"
            )
        for i, row in enumerate(targets):
            if row.dtype.kind != first.dtype.kind and not {row.dtype.kind, first.dtype.kind} <= set("iu"):
                raise FormatError(
                    f"targets[{i}] must have the type of targets[0], {first.dtype}, not {row.dtype}"
                )
            most = max(p, 2) - 1
            if self.classes and (row.min() < 0 or row.max() > most):
                raise FormatError(
                    f"targets[{i}] must hold classes from 0 to {most}, not {row.min()} to {row.max()}"
                )
            if not self.classes and row.size and row.shape[-1:] != (p,) and not (row.ndim == 0 and p == 1):
                raise FormatError(
                    f"targets[{i}] must hold {p} values, one for each output, not {row.shape[-1:]}"
                )

    @property
    def name(self) -> str:
        """The name of the score: accuracy, or mse."""
        return "accuracy" if self.classes else "mse"

    @property
    def value(self) -> float:
        """The score over all batches that were added."""
        return self.total / self.count

    def add(self, members: IntArray, logits: FloatArray) -> None:
        """Add the logits, (count, steps or 1, p), of the sequences with the indices ``members``."""
        wanted = np.stack([self.targets[int(i)] for i in members])
        if not self.by_step:
            logits, wanted = logits[:, -1:], wanted[:, None]
        if self.classes:
            right: NDArray[Any] = classes_of(logits)
        else:
            right, wanted = logits, wanted.reshape(logits.shape)
        if right.shape != wanted.shape:
            raise FormatError(
                f"targets must be one for each of {logits.shape[1]} steps, not of shape {wanted.shape[1:]}"
            )
        found = right == wanted if self.classes else np.square(right - wanted)
        self.total += float(found.sum())
        self.count += found.size


def real_sequences(network: AnyNetwork, sequences: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the sequences of a file as real numbers, or as indices.

    For a network with vector inputs, an integer array holds integers of the network's input format, and a
    floating-point array holds real numbers.

    Raises:
        DataError: integers are outside the network's input format, or the inputs are of the other kind.
    """
    source = operations_of(network).input
    vector = not source.one_hot
    if (sequences[0].ndim == 2) != vector:
        wanted = f"vectors (count, steps, {source.size})" if vector else "indices (count, steps)"
        raise DataError(
            f"inputs must be {wanted} for this network, not sequences of shape {sequences[0].shape}"
        )
    if not vector or sequences[0].dtype.kind == "f":
        return list(sequences)
    form = source.format
    for i, one in enumerate(sequences):
        if one.shape[1] != source.size:
            raise DataError(f"inputs must have {source.size} channels, not {one.shape[1]}")
        if one.min() < form.min or one.max() > form.max:
            raise DataError(
                f"inputs[{i}] must hold integers of the network's input format, {form.min} to {form.max}, "
                f"not {one.min()} to {one.max()}; store real numbers as a floating-point array"
            )
    return [dequantized_inputs(network, one.astype(np.int64)) for one in sequences]
