"""The arrays of a user's own task, from a .npz file or from Python, and their checks.

| array | shape | content |
|---|---|---|
| ``inputs_train``, ``inputs_test`` | (count, steps, m) | real numbers, vectors |
| | (count, steps) | integers from 0, the index of a one |
| ``targets_train``, ``targets_test`` | (count,) | integers from 0, the class after the last step |
| | (count, steps) | integers from 0, the class after each step |
| | (count, p) | floating-point numbers, the values after the last step |
| | (count, steps, p) | floating-point numbers, the values after each step |
| ``lengths_train``, ``lengths_test`` | (count,) | optional; number of steps of each padded sequence |
| ``inputs_validation`` and so on | | optional; default: every tenth training sequence |

In Python, inputs (and targets after each step) may also be lists of arrays of different lengths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.data.sequences import pad, sequences_of
from qornn_hw.errors import DataError, FormatError
from qornn_hw.storage.array_archive import read_user_arrays

__all__ = [
    "LARGEST",
    "MEANING",
    "SPLITS",
    "WHERE",
    "Split",
    "answers_of",
    "checked",
    "own_split",
    "read_arrays",
]

SPLITS = ("train", "validation", "test")
# The meaning of each form of targets. The keys are the names in a checkpoint.
MEANING = {
    "class": "classes (count,)",
    "classes": "classes (count, steps)",
    "values": "floating-point values (count, p)",
    "series": "floating-point values (count, steps, p)",
}
LARGEST = 65536
WHERE = (
    "pass the .npz file with inputs_train, targets_train, inputs_test and targets_test, to train as "
    "task_file, else as data"
)
_KINDS = ("inputs", "targets", "lengths")
# Without validation arrays, one of this number of training sequences is used for validation.
_TENTH = 10


@dataclass(frozen=True, eq=False)
class Split:
    """The sequences of one set: training, validation or test.

    Attributes:
        inputs: (count, steps, m) or (count, steps); zeros after the end of a shorter sequence.
        targets: as in the module's table; zeros after the end of a shorter sequence.
        lengths: number of steps of each sequence, (count,); None if all are equally long.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    lengths: NDArray[np.int64] | None

    def chosen(self, indices: Any) -> "Split":
        """Return a subset of the sequences."""
        lengths = None if self.lengths is None else self.lengths[indices]
        return Split(self.inputs[indices], self.targets[indices], lengths)

    @property
    def rows(self) -> NDArray[Any]:
        """The input vectors of all steps without padding, (rows, m), or their indices, (rows,)."""
        if self.lengths is None:
            return self.inputs.reshape(-1, *self.inputs.shape[2:])
        rows: NDArray[Any] = self.inputs[steps_that_count(self.lengths, self.inputs.shape[1])]
        return rows

    @property
    def answers(self) -> NDArray[Any]:
        """The targets without padding: (rows, p) for values, (rows,) for classes."""
        each_step = self.targets.ndim == (3 if self.targets.dtype.kind == "f" else 2)
        if not each_step:
            return self.targets
        if self.lengths is None:
            return self.targets.reshape(-1, *self.targets.shape[2:])
        rows: NDArray[Any] = self.targets[steps_that_count(self.lengths, self.targets.shape[1])]
        return rows


def steps_that_count(lengths: NDArray[np.int64], steps: int) -> NDArray[np.bool_]:
    """Return a mask of the steps before the end of each sequence, (count, steps)."""
    return np.arange(steps) < lengths[:, None]


def read_arrays(file: str | Path | None) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz file by name.

    Raises:
        DataError: the file does not exist, or is not a .npz file of plain arrays.
    """
    if file is None:
        raise DataError(f"the arrays task needs its data: {WHERE}")
    path = Path(file)
    content = read_user_arrays(path, "a .npz file of plain arrays", absent=f"; {WHERE}")
    if isinstance(content, np.ndarray):
        raise DataError(f"{path}: must be a .npz file of several arrays, not one array; {WHERE}")
    return dict(content)


def answers_of(targets: NDArray[Any]) -> str:
    """Return the form of the targets, a key of :data:`MEANING`."""
    if targets.dtype.kind == "f":
        return "series" if targets.ndim == 3 else "values"
    return "class" if targets.ndim == 1 else "classes"


def checked(arrays: Mapping[str, Any], where: str) -> dict[str, Split]:
    """Check each split of the arrays by itself, and return the splits.

    Args:
        arrays: arrays by name, as in the module's table.
        where: prefix of messages: the file and a colon, or an empty string.

    Raises:
        DataError: an array is missing, unknown or malformed.
    """
    names = [f"{kind}_{split}" for split in SPLITS for kind in _KINDS]
    for name in arrays:
        if name not in names:
            raise DataError(f"{where}{name} is not known; the arrays are {', '.join(names)}")
    found: dict[str, Split] = {}
    for split in SPLITS:
        given = [kind for kind in _KINDS if f"{kind}_{split}" in arrays]
        if split == "validation" and not given:
            continue
        for kind in ("inputs", "targets"):
            if kind not in given:
                raise DataError(f"{where}{kind}_{split} is missing; {WHERE}")
        parts = {kind: arrays[f"{kind}_{split}"] for kind in given}
        found[split] = _split(parts, split, where)
    return found


def _split(parts: dict[str, Any], split: str, where: str) -> Split:
    """Check one split, and return it."""
    inputs, lengths = _padded(f"{where}inputs_{split}", parts["inputs"], parts.get("lengths"))
    _require_numbers(f"{where}inputs_{split}", inputs)
    if 0 in inputs.shape or not (inputs.ndim == 3 or (inputs.ndim == 2 and inputs.dtype.kind in "iu")):
        raise DataError(
            f"{where}inputs_{split} must be real numbers (count, steps, m) or integers (count, steps), "
            f"not {inputs.dtype} of shape {inputs.shape}"
        )
    lengths = _lengths(f"{where}lengths_{split}", lengths, inputs.shape[:2])
    targets, _ = _padded(f"{where}targets_{split}", parts["targets"], lengths)
    _require_numbers(f"{where}targets_{split}", targets)
    _check_shape(f"{where}targets_{split}", targets, inputs.shape[:2])
    if lengths is not None:
        counts = steps_that_count(lengths, inputs.shape[1])
        inputs = np.where(counts[..., None] if inputs.ndim == 3 else counts, inputs, 0)
        if answers_of(targets) in ("classes", "series"):
            targets = np.where(counts[..., None] if targets.ndim == 3 else counts, targets, 0)
    if inputs.ndim == 3:
        _finite(f"{where}inputs_{split}", inputs)
    else:
        _not_negative(f"{where}inputs_{split}", "indices", inputs)
    if targets.dtype.kind == "f":
        _finite(f"{where}targets_{split}", targets)
    else:
        _not_negative(f"{where}targets_{split}", "classes", targets)
    return Split(inputs, targets, lengths)


def _padded(name: str, values: Any, lengths: Any) -> tuple[NDArray[Any], Any]:
    """Return a padded array and lengths, also for a list of arrays of different lengths."""
    if isinstance(values, (list, tuple)) and len({np.shape(one)[:1] for one in values}) > 1:
        try:
            array, found = pad(sequences_of(name, values))
        except FormatError as error:
            raise DataError(str(error)) from None
        return array, found if lengths is None else lengths
    return np.asarray(values), lengths


def _lengths(name: str, lengths: Any, shape: tuple[int, int]) -> NDArray[np.int64] | None:
    """Return the checked lengths; None if every sequence has all steps."""
    if lengths is None:
        return None
    array, (count, steps) = np.asarray(lengths), shape
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise DataError(f"{name} must be {count} integers, not {array.dtype} of shape {array.shape}")
    wrong = np.flatnonzero((array < 1) | (array > steps))
    if len(wrong):
        raise DataError(f"{name} must be 1 to {steps}, not {array[wrong[0]]} at [{wrong[0]}]")
    return None if (array == steps).all() else array.astype(np.int64)


def _require_numbers(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name} must hold numbers, not {array.dtype}")


def _check_shape(name: str, targets: NDArray[Any], shape: tuple[int, int]) -> None:
    """Check that the targets have a form of :data:`MEANING` and fit the shape (count, steps)."""
    count, steps = shape
    if targets.dtype.kind == "f":
        values = targets.ndim == 2 and len(targets) == count
        series = targets.ndim == 3 and targets.shape[:2] == shape
        if not (values or series) or targets.shape[-1] < 1:
            raise DataError(
                f"{name} of real values must have shape ({count}, p), or ({count}, {steps}, p) for values "
                f"after each step, not {targets.shape}"
            )
    elif targets.shape not in ((count,), (count, steps)):
        raise DataError(
            f"{name} of classes must have shape ({count},) or ({count}, {steps}), "
            f"not {targets.shape}; values must be floating-point numbers"
        )


def _finite(name: str, array: NDArray[Any]) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = [int(i) for i in bad[0]]
        raise DataError(f"{name} must be finite, not {array[tuple(at)]} at {at} ({len(bad)} such entries)")


def _not_negative(name: str, what: str, array: NDArray[Any]) -> None:
    if array.min() < 0:
        at = [int(i) for i in np.argwhere(array < 0)[0]]
        raise DataError(f"{name} must hold {what} from 0, not {int(array[tuple(at)])} at {at}")
    if array.max() >= LARGEST:
        raise DataError(f"{name} must hold {what} below {LARGEST}, not {int(array.max())}")


def own_split(name: str, split: Split) -> tuple[Split, Split]:
    """Split training sequences into training and validation: every tenth one validates.

    Of fewer than ten sequences the last one validates. Data are often sorted by class, so the validation
    sequences are taken from the whole set.

    Returns:
        The training sequences and the validation sequences.

    Raises:
        DataError: there is only one sequence.
    """
    count = len(split.inputs)
    if count < 2:
        raise DataError(f"{name} must hold at least 2 sequences, not {count}")
    every = min(_TENTH, count)
    kept_back = np.arange(count) % every == every - 1
    return split.chosen(~kept_back), split.chosen(kept_back)
