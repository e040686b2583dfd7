"""Sequences of equal or different lengths: the accepted forms, and batches of equal length.

| form | meaning |
|---|---|
| array (count, steps, m) or (count, steps) | sequences of equal lengths: vectors, or indices |
| list or tuple of arrays (steps, m) or (steps,) | sequences of different lengths |
| array as above with lengths (count,) | padded: sequence i consists of its first ``lengths[i]`` steps |

A file is a ``.npy`` with one array, or a ``.npz`` with ``inputs`` and, if they are padded, ``lengths``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.arguments import array_of
from qornn_hw.errors import DataError, FormatError
from qornn_hw.storage.array_archive import read_user_arrays

__all__ = [
    "FILE_FORM",
    "equal_length_batches",
    "pad",
    "read_sequences",
    "require_finite",
    "sequences_in",
    "sequences_of",
]

AnyArray = NDArray[Any]

FILE_FORM = "a .npy file, or a .npz file with inputs and lengths, of plain arrays"


def sequences_of(name: str, values: Any, lengths: Any = None) -> list[AnyArray]:
    """Return sequences as a list of arrays, (steps, m) each, or (steps,) for indices.

    Args:
        name: name of the sequences in messages.
        values: one of the forms of this module; torch tensors are accepted.
        lengths: number of steps of each sequence of a padded array, from 1 to its steps.

    Raises:
        FormatError: another form, no sequence, a sequence without steps, or lengths that do not fit.
    """
    if lengths is None and isinstance(values, (list, tuple)) and values:
        return _checked(name, [array_of(f"{name}[{i}]", one) for i, one in enumerate(values)])
    array = array_of(name, values)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise FormatError(
            f"{name} must hold sequences, (count, steps, inputs) or (count, steps), not shape {array.shape}"
        )
    if lengths is None:
        return _checked(name, list(array))
    steps = array_of(f"lengths of {name}", lengths)
    if steps.shape != (len(array),) or steps.dtype.kind not in "iu":
        raise FormatError(
            f"lengths of {name} must be {len(array)} integers, not {steps.dtype} of shape {steps.shape}"
        )
    wrong = np.flatnonzero((steps < 1) | (steps > array.shape[1]))
    if len(wrong):
        i = int(wrong[0])
        raise FormatError(f"lengths of {name} must be 1 to {array.shape[1]}, not {int(steps[i])} at [{i}]")
    return _checked(name, [one[: int(count)] for one, count in zip(array, steps, strict=True)])


def _checked(name: str, found: list[AnyArray]) -> list[AnyArray]:
    first = found[0]
    for i, one in enumerate(found):
        if one.ndim not in (1, 2) or 0 in one.shape or one.ndim != first.ndim:
            raise FormatError(
                f"{name}[{i}] must be one sequence, (steps, inputs) or (steps,), like the first one, "
                f"not shape {one.shape}"
            )
        if one.ndim == 2 and one.shape[1] != first.shape[1]:
            raise FormatError(
                f"{name}[{i}] must have {first.shape[1]} inputs, like the first one, not {one.shape[1]}"
            )
    return found


def pad(sequences: Sequence[AnyArray]) -> tuple[AnyArray, NDArray[np.int64]]:
    """Return sequences as one array, padded with zeros at the end, and their lengths, (count,)."""
    lengths = np.array([len(one) for one in sequences], dtype=np.int64)
    first = sequences[0]
    dtype = np.result_type(*{one.dtype for one in sequences})
    padded = np.zeros((len(sequences), int(lengths.max()), *first.shape[1:]), dtype=dtype)
    for row, one in zip(padded, sequences, strict=True):
        row[: len(one)] = one
    return padded, lengths


def equal_length_batches(
    sequences: Sequence[AnyArray], numbers: int, width: int = 1
) -> Iterator[tuple[NDArray[np.int64], AnyArray]]:
    """Yield batches of sequences of equal length, with their indices in ``sequences``.

    A batch holds at least one sequence, and at most ``numbers`` numbers at ``width`` numbers a step. This
    bounds the memory of a run over many sequences.

    Args:
        sequences: sequences as from :func:`sequences_of`.
        numbers: limit for the numbers of a batch.
        width: numbers that one step produces, such as its states and logits.

    Yields:
        Indices (count,), and sequences (count, steps, m) or (count, steps).
    """
    lengths = np.array([len(one) for one in sequences])
    for steps in np.unique(lengths):
        members = np.flatnonzero(lengths == steps)
        size = max(1, numbers // (int(steps) * max(width, 1)))
        for start in range(0, len(members), size):
            chosen = members[start : start + size]
            yield chosen, np.stack([sequences[int(i)] for i in chosen])


def read_sequences(path: str | Path) -> list[AnyArray]:
    """Return the sequences of a ``.npy`` or ``.npz`` file, as :func:`sequences_of` does.

    Raises:
        DataError: the file does not exist, or does not hold sequences.
    """
    path = Path(path)
    return sequences_in(path, read_user_arrays(path, FILE_FORM, ("inputs", "lengths").__contains__))


def sequences_in(path: Path, content: AnyArray | Mapping[str, AnyArray]) -> list[AnyArray]:
    """Return the sequences in the contents of a file: one array, or arrays by name.

    Raises:
        DataError: the contents are not sequences.
    """
    if isinstance(content, np.ndarray):
        values, lengths = content, None
    elif "inputs" in content:
        values, lengths = content["inputs"], content.get("lengths")
    else:
        raise DataError(f"{path}: must hold an array inputs, and an array lengths if they are padded")
    try:
        sequences = sequences_of("inputs", values, lengths)
        require_finite("inputs", sequences)
    except FormatError as error:
        raise DataError(f"{path}: {error}") from None
    return sequences


def require_finite(name: str, sequences: Sequence[AnyArray]) -> None:
    """Check that no entry of the sequences is NaN or infinite. Padding must be cut off before.

    Raises:
        FormatError: an entry is not finite; the message has its place, [sequence, step, channel].
    """
    for i, one in enumerate(sequences):
        if one.dtype.kind == "f" and not np.isfinite(one).all():
            at = [int(k) for k in np.argwhere(~np.isfinite(one))[0]]
            raise FormatError(f"{name} must be finite, not {one[tuple(at)]} at {[i, *at]}")
