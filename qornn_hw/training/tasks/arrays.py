"""A user's own sequences: arrays of inputs and of what is wanted of them, from a .npz file or from Python.

| array | shape | content |
|---|---|---|
| ``inputs_train``, ``inputs_test`` | (count, steps, m) | real numbers, vectors |
| | (count, steps) | integers from 0, the index of a one |
| ``targets_train``, ``targets_test`` | (count,) | integers from 0, the class after the last step |
| | (count, steps) | integers from 0, the class after each step |
| | (count, p) | floating-point numbers, the values after the last step |
| ``inputs_validation``, ``targets_validation`` | | optional; else the last tenth of the training sequences |

Vectors become integers of b bits, ``clip(round(x / scale))``, unsigned where no training input is negative,
with the smallest scale that no training input leaves: ``max / (2**b - 1)``, or if signed
``max(-min / 2**(b-1), max / (2**(b-1) - 1))``. m of indices and p of classes are the largest ones of all
plus 1.

Metrics: of classes accuracy, of values mse, the mean over sequences and values of the squared error.
"""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.errors import DataError, FormatError
from qornn_hw.fixed import IntFormat
from qornn_hw.network import InputKind, OutputMode
from qornn_hw.training.tasks.measures import EpochOrder, rounded, whole
from qornn_hw.training.tasks.task import Examples, Task

__all__ = ["ArraysTask"]

_SPLITS = ("train", "validation", "test")
_MEANING = {
    "class": "classes (count,)",
    "classes": "classes (count, steps)",
    "values": "floating-point values (count, p)",
}
_ORDER = 11
_LARGEST = 65536

_WHERE = (
    "pass the .npz file with inputs_train, targets_train, inputs_test and targets_test, to train as "
    "--task-file FILE, else as --data FILE"
)

Arrays = dict[str, NDArray[Any]]


def _read(file: str | Path | None) -> Arrays:
    """Return the arrays of a file, by name."""
    if file is None:
        raise DataError(f"the arrays task needs its data: {_WHERE}")
    path = Path(file)
    try:
        # Opened here, since numpy leaves a file open that it cannot read.
        with path.open("rb") as file_object:
            archive = np.load(file_object, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DataError(f"{path}: must be a .npz file of several arrays, not one array; {_WHERE}")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {_WHERE}") from None
    except DataError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: must be a .npz file of plain arrays: {reason}") from None


def _finite(where: str, array: NDArray[Any]) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = [int(i) for i in bad[0]]
        raise DataError(f"{where} must be finite, not {array[tuple(at)]} at {at} ({len(bad)} such entries)")


def _not_negative(where: str, what: str, array: NDArray[Any]) -> None:
    if array.min() < 0:
        at = [int(i) for i in np.argwhere(array < 0)[0]]
        raise DataError(f"{where} must hold {what} from 0, not {int(array[tuple(at)])} at {at}")
    if array.max() >= _LARGEST:
        raise DataError(f"{where} must hold {what} below {_LARGEST}, not {int(array.max())}")


def _checked(arrays: Mapping[str, ArrayLike], where: str) -> Arrays:
    """Return all six or four arrays, each right in itself and with its partner."""
    names = [f"{kind}_{split}" for split in _SPLITS for kind in ("inputs", "targets")]
    for name in arrays:
        if name not in names:
            raise DataError(f"{where}{name} is not known; the arrays are {', '.join(names)}")
    checked: Arrays = {}
    for split in _SPLITS:
        pair = [f"{kind}_{split}" for kind in ("inputs", "targets")]
        given = [name for name in pair if name in arrays]
        if split == "validation" and not given:
            continue
        for name in pair:
            if name not in arrays:
                raise DataError(f"{where}{name} is missing; {_WHERE}")
            checked[name] = np.asarray(arrays[name])
            if checked[name].dtype.kind not in "fiu":
                raise DataError(f"{where}{name} must hold numbers, not {checked[name].dtype}")
        inputs, targets = (checked[name] for name in pair)
        whole_numbers = inputs.dtype.kind in "iu"
        if 0 in inputs.shape or not (inputs.ndim == 3 or (inputs.ndim == 2 and whole_numbers)):
            raise DataError(
                f"{where}{pair[0]} must be real numbers (count, steps, m) or integers (count, steps), "
                f"not {inputs.dtype} of shape {inputs.shape}"
            )
        if inputs.ndim == 3:
            _finite(f"{where}{pair[0]}", inputs)
        else:
            _not_negative(f"{where}{pair[0]}", "indices", inputs)
        count, steps = inputs.shape[:2]
        if targets.dtype.kind == "f":
            if targets.ndim != 2 or len(targets) != count or targets.shape[1] < 1:
                raise DataError(
                    f"{where}{pair[1]} of real values must have shape ({count}, p), not {targets.shape}"
                )
            _finite(f"{where}{pair[1]}", targets)
        else:
            if targets.shape not in ((count,), (count, steps)):
                raise DataError(
                    f"{where}{pair[1]} of classes must have shape ({count},) or ({count}, {steps}), "
                    f"not {targets.shape}; values must be floating-point numbers"
                )
            _not_negative(f"{where}{pair[1]}", "classes", targets)
    return checked


def _answers(targets: NDArray[Any]) -> str:
    if targets.dtype.kind == "f":
        return "values"
    return "class" if targets.ndim == 1 else "classes"


class ArraysTask(Task):
    """A task of a user's own arrays.

    Args:
        file: the .npz file, laid out as this module says.
        input_bits: b of an entry of a vector, 1 to 16; signed ones have at least 2.
        input: one_hot or vector; this and what follows come from the arrays where absent, and from a
            checkpoint where it describes the task.
        answers: class (after the last step), classes (after each step) or values (after the last step).
        inputs: m, 1 to 65,536.
        outputs: p, 1 to 65,536.
        input_signed: whether an entry of a vector is signed.
        input_scale: the worth of its unit.
    """

    name = "arrays"
    required = ("input", "answers", "inputs", "outputs")
    options = (*required, "input_signed", "input_scale")
    data_argument = "file"
    input_bits_range = range(1, 17)

    def __init__(
        self,
        file: str | Path | None,
        input_bits: int = 8,
        input: str | None = None,
        answers: str | None = None,
        inputs: int | None = None,
        outputs: int | None = None,
        input_signed: bool | None = None,
        input_scale: float | None = None,
    ) -> None:
        self._where = "" if file is None else f"{file}: "
        self._file = file
        self._arrays: Arrays | None = None
        self._parts: dict[str, Examples] = {}
        self._order: EpochOrder | None = None
        bits = whole("input_bits", input_bits, 1, 16)
        if input is None or answers is None or inputs is None or outputs is None:
            self._arrays = _checked(_read(file), self._where)
            self._describe(bits)
            return
        if input not in list(InputKind):
            raise FormatError(f"input must be one of {', '.join(InputKind)}, not {input!r}")
        if not isinstance(answers, str) or answers not in _MEANING:
            raise FormatError(f"answers must be one of {', '.join(_MEANING)}, not {answers!r}")
        self._take(InputKind(input), answers, whole("inputs", inputs, 1, _LARGEST), outputs)
        if self.input_kind is InputKind.VECTOR:
            scale = input_scale
            if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not 0 < scale < np.inf:
                raise FormatError(f"input_scale must be positive and finite, not {scale!r}")
            if not isinstance(input_signed, bool):
                raise FormatError(f"input_signed must be true or false, not {input_signed!r}")
            self.input_bits, self.input_signed, self.input_scale = bits, input_signed, float(scale)

    @classmethod
    def from_arrays(
        cls,
        inputs_train: ArrayLike,
        targets_train: ArrayLike,
        inputs_test: ArrayLike,
        targets_test: ArrayLike,
        inputs_validation: ArrayLike | None = None,
        targets_validation: ArrayLike | None = None,
        input_bits: int = 8,
    ) -> "ArraysTask":
        """Return the task of arrays, shaped as this module says.

        Raises:
            DataError: an array is not what it should be; the message begins with its name.
            FormatError: the bits are not 1 to 16.
        """
        task = cls.__new__(cls)
        task._where, task._file, task._parts, task._order = "", None, {}, None
        given = {
            "inputs_train": inputs_train,
            "targets_train": targets_train,
            "inputs_test": inputs_test,
            "targets_test": targets_test,
            "inputs_validation": inputs_validation,
            "targets_validation": targets_validation,
        }
        task._arrays = _checked({name: value for name, value in given.items() if value is not None}, "")
        task._describe(whole("input_bits", input_bits, 1, 16))
        return task

    def _take(self, kind: InputKind, answers: str, inputs: int, outputs: int) -> None:
        self.input_kind = kind
        self.answers = answers
        self.inputs, self.outputs = inputs, whole("outputs", outputs, 1, _LARGEST)
        self.output_mode = OutputMode.EVERY_STEP if answers == "classes" else OutputMode.LAST_STEP
        self.metric = "mse" if answers == "values" else "accuracy"
        self.larger_is_better = answers != "values"

    def _describe(self, bits: int) -> None:
        """Take the interface from the arrays."""
        arrays = self._arrays
        assert arrays is not None
        inputs, targets = arrays["inputs_train"], arrays["targets_train"]
        answers = _answers(targets)
        most = {
            kind: max(int(a.max()) + 1 for name, a in arrays.items() if name.startswith(kind))
            for kind, one in (("inputs", inputs), ("targets", targets))
            if one.dtype.kind != "f" and one.ndim < 3
        }
        self._take(
            InputKind.VECTOR if inputs.ndim == 3 else InputKind.ONE_HOT,
            answers,
            inputs.shape[2] if inputs.ndim == 3 else most["inputs"],
            targets.shape[1] if answers == "values" else most["targets"],
        )
        if inputs.ndim == 3:
            low, high = float(inputs.min()), float(inputs.max())
            form = IntFormat(bits, signed=low < 0)
            if form.signed and bits < 2:
                raise FormatError("input_bits must be at least 2 for inputs that are negative, not 1")
            if low == high == 0:
                raise DataError(f"{self._where}inputs_train must not be zero throughout")
            self.input_bits, self.input_signed = bits, form.signed
            self.input_scale = max(high / form.max, low / form.min if form.signed else 0.0)
        self._agree(arrays)

    def _agree(self, arrays: Arrays) -> None:
        """Check that every split is of the task's interface."""
        for split in _SPLITS:
            if f"inputs_{split}" not in arrays:
                continue
            inputs, targets = arrays[f"inputs_{split}"], arrays[f"targets_{split}"]
            vector = self.input_kind is InputKind.VECTOR
            if (inputs.ndim == 3) != vector or (vector and inputs.shape[2] != self.inputs):
                wanted = f"(count, steps, {self.inputs})" if vector else "(count, steps)"
                raise DataError(f"{self._where}inputs_{split} must have shape {wanted}, not {inputs.shape}")
            if not vector and inputs.max() >= self.inputs:
                raise DataError(
                    f"{self._where}inputs_{split} must hold indices below {self.inputs}, "
                    f"not {int(inputs.max())}"
                )
            if _answers(targets) != self.answers:
                raise DataError(
                    f"{self._where}targets_{split} must be {_MEANING[self.answers]}, as in training, "
                    f"not {_MEANING[_answers(targets)]}"
                )
            size = targets.shape[1] if self.answers == "values" else int(targets.max()) + 1
            if size > self.outputs or (self.answers == "values" and size != self.outputs):
                raise DataError(
                    f"{self._where}targets_{split} must be of {self.outputs} "
                    f"{'values' if self.answers == 'values' else 'classes'}, not of {size}"
                )

    def description(self) -> dict[str, Any]:
        """Return name, kinds and sizes, and of vectors the sign and the scale."""
        plain: dict[str, Any] = {
            "name": self.name,
            "input": str(self.input_kind),
            "answers": self.answers,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }
        if self.input_kind is InputKind.VECTOR:
            plain |= {"input_signed": self.input_signed, "input_scale": self.input_scale}
        return plain

    def load(self) -> None:
        """Read the arrays and turn them into integers."""
        if self._parts:
            return
        if self._arrays is None:
            self._arrays = _checked(_read(self._file), self._where)
            self._agree(self._arrays)
        arrays = self._arrays
        for split in _SPLITS:
            if f"inputs_{split}" in arrays:
                self._parts[split] = self._integers(arrays[f"inputs_{split}"], arrays[f"targets_{split}"])
        if "validation" not in self._parts:
            full = self._parts["train"]
            kept = len(full.inputs) - max(1, len(full.inputs) // 10)
            if kept < 1:
                raise DataError(f"{self._where}inputs_train must hold at least 2 sequences, not 1")
            self._parts["validation"] = Examples(full.inputs[kept:], full.targets[kept:])
            self._parts["train"] = Examples(full.inputs[:kept], full.targets[:kept])
        # The integers are what is needed from here on.
        self._arrays = None

    def _integers(self, inputs: NDArray[Any], targets: NDArray[Any]) -> Examples:
        if self.input_kind is InputKind.VECTOR:
            form = IntFormat(self.input_bits, self.input_signed)
            inputs = np.clip(np.rint(inputs / self.input_scale), form.min, form.max)
        kind = np.float64 if self.answers == "values" else np.int64
        return Examples(inputs.astype(np.int64), targets.astype(kind))

    def _part(self, split: str) -> Examples:
        self.load()
        return self._parts[split]

    def _epochs(self) -> EpochOrder:
        if self._order is None:
            self._order = EpochOrder(len(self._part("train").inputs), _ORDER)
        return self._order

    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return some of the training sequences."""
        chosen = self._epochs().chosen(index, count, seed)
        examples = self._part("train")
        return Examples(examples.inputs[chosen], examples.targets[chosen])

    def batches_per_epoch(self, count: int) -> int:
        """Return the training sequences over ``count``."""
        return self._epochs().batches(count)

    def most_sequences(self) -> int:
        """Return the number of training sequences."""
        return len(self._part("train").inputs)

    def validation(self) -> Examples:
        """Return the validation sequences, or the last tenth of the training ones."""
        return self._part("validation")

    def test(self, limit: int | None = None) -> Examples:
        """Return the test sequences, or the first ``limit``."""
        examples = self._part("test")
        return Examples(examples.inputs[:limit], examples.targets[:limit])

    def blind(self) -> float:
        """Return the share of the test's most frequent class, or the error of the mean training values."""
        targets = self._part("test").targets
        if self.answers == "values":
            return float(((targets - self._part("train").targets.mean(axis=0)) ** 2).mean())
        return float(np.bincount(targets.ravel()).max() / targets.size)

    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the sum of accuracies, or of squared errors, each a mean over the steps or values."""
        if self.answers == "values":
            return {"mse": float(((logits[:, -1] - targets) ** 2).sum()) / self.outputs}
        if self.answers == "classes":
            return {"accuracy": float((logits.argmax(axis=-1) == targets).sum()) / targets.shape[1]}
        return {"accuracy": float((logits[:, -1].argmax(axis=-1) == targets).sum())}

    def metrics(self, totals: dict[str, float], count: int) -> dict[str, float]:
        """Return the means, with six digits except for the accuracy after the last step."""
        means = {key: total / count for key, total in totals.items()}
        if self.answers == "class":
            return means
        return {key: rounded(min(v, 1e9) if np.isfinite(v) else 1e9) for key, v in means.items()}
