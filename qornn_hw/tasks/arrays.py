"""A task of a user's own sequences: arrays of inputs and targets.

The arrays are those of :mod:`qornn_hw.tasks.array_files`, from a .npz file or from Python. Vectors are
quantized to b bits on the grid of :mod:`qornn_hw.tasks.input_grids`. The number m of symbols and the number p
of classes are the largest index of all arrays plus 1. Two classes can share one output: class 1 if it is
above 0.

Metrics: ``accuracy`` for classes, ``mse`` (mean squared error) for values. Each is the mean over sequences of
the mean over the steps without padding and over the p values.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.errors import DataError, FormatError
from qornn_hw.tasks.array_files import (
    LARGEST,
    MEANING,
    Split,
    answers_of,
    checked,
    own_split,
    read_arrays,
    steps_that_count,
)
from qornn_hw.tasks.input_grids import InputGrid, input_grid
from qornn_hw.tasks.measures import EpochOrder, rounded, whole
from qornn_hw.tasks.task import Examples, Task

__all__ = ["ArraysTask"]

_ORDER = 11
# Names of the sets in messages.
_SETS = {"train": "training", "validation": "validation", "test": "test"}


class ArraysTask(Task):
    """A task of a user's own arrays.

    Args:
        file: the .npz file, with the arrays of :mod:`~qornn_hw.tasks.array_files`.
        input_bits: bits b of an entry of a vector, 1 to 16; at least 2 for signed entries.
        input: one_hot or vector. By default this and the next arguments follow from the arrays; a checkpoint
            that describes the task gives them.
        answers: class (after the last step), classes (after each step), values (after the last step) or
            series (values after each step).
        inputs: m, 1 to 65,536; can be given without the others.
        outputs: p, 1 to 65,536; can be given without the others. For classes, 1 means a threshold at 0.
        input_signed: whether an entry of a vector is signed.
        input_scale: real value of one unit of an entry: one number, or one for each of the m channels.
        input_offset: the real number that integer 0 stands for, likewise.
        one_output: use one output for classes 0 and 1 instead of two; only without ``outputs``.
        offsets: allow offsets of channels; only without ``input_scale``.
        grid: grid of the inputs; by default it follows from the training inputs. Only without
            ``input_scale``.
        arrays: the arrays by name, instead of a file.

    Attributes:
        clipped: number of clipped input entries of each split, after :meth:`load`.
    """

    name = "arrays"
    required = ("input", "answers", "inputs", "outputs")
    options = (*required, "input_signed", "input_scale", "input_offset")
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
        input_scale: Any = None,
        input_offset: Any = 0.0,
        *,
        one_output: bool = False,
        offsets: bool = True,
        grid: InputGrid | None = None,
        arrays: Mapping[str, Any] | None = None,
    ) -> None:
        self._where = "" if file is None else f"{file}: "
        self._file = file
        self._splits: dict[str, Split] | None = None if arrays is None else checked(arrays, "")
        self._parts: dict[str, Examples] = {}
        self._order: EpochOrder | None = None
        self._training_scale: float | None = None
        self.clipped: dict[str, int] = {}
        bits = whole("input_bits", input_bits, 1, 16)
        if input is None or answers is None or inputs is None or outputs is None:
            if self._splits is None:
                self._splits = checked(read_arrays(file), self._where)
            self._describe(bits, (inputs, outputs), one_output, offsets, grid)
            return
        if input not in list(InputKind):
            raise FormatError(f"input must be one of {', '.join(InputKind)}, not {input!r}")
        if not isinstance(answers, str) or answers not in MEANING:
            raise FormatError(f"answers must be one of {', '.join(MEANING)}, not {answers!r}")
        self._take(InputKind(input), answers, whole("inputs", inputs, 1, LARGEST), outputs)
        if self.input_kind is InputKind.VECTOR:
            if not isinstance(input_signed, bool):
                raise FormatError(f"input_signed must be true or false, not {input_signed!r}")
            scale = _numbers("input_scale", input_scale, self.inputs, positive=True)
            offset = _numbers("input_offset", input_offset, self.inputs, positive=False)
            self._set_grid(InputGrid(bits, input_signed, scale, offset))
        if self._splits is not None:
            self._agree(self._splits)

    @classmethod
    def from_arrays(
        cls,
        inputs_train: Any,
        targets_train: Any,
        inputs_test: Any,
        targets_test: Any,
        inputs_validation: Any = None,
        targets_validation: Any = None,
        input_bits: int = 8,
        lengths_train: Any = None,
        lengths_test: Any = None,
        lengths_validation: Any = None,
        one_output: bool = False,
    ) -> "ArraysTask":
        """Return the task of arrays in the shapes of :mod:`~qornn_hw.tasks.array_files`.

        Raises:
            DataError: an array is malformed; the message begins with its name.
            FormatError: the bits are not 1 to 16.
        """
        given = {
            "inputs_train": inputs_train,
            "targets_train": targets_train,
            "lengths_train": lengths_train,
            "inputs_test": inputs_test,
            "targets_test": targets_test,
            "lengths_test": lengths_test,
            "inputs_validation": inputs_validation,
            "targets_validation": targets_validation,
            "lengths_validation": lengths_validation,
        }
        arrays = {name: value for name, value in given.items() if value is not None}
        return cls(None, input_bits, one_output=one_output, arrays=arrays)

    def _take(self, kind: InputKind, answers: str, inputs: int, outputs: int) -> None:
        self.input_kind = kind
        self.answers = answers
        self.inputs, self.outputs = inputs, whole("outputs", outputs, 1, LARGEST)
        each_step = answers in ("classes", "series")
        self.output_mode = OutputMode.EVERY_STEP if each_step else OutputMode.LAST_STEP
        self._values = answers in ("values", "series")
        self.metric = "mse" if self._values else "accuracy"
        self.larger_is_better = not self._values

    def _set_grid(self, grid: InputGrid) -> None:
        self._grid = grid
        self.input_bits, self.input_signed = grid.bits, grid.signed
        self.input_scale, self.input_offset = grid.scale, grid.offset

    def _describe(
        self,
        bits: int,
        sizes: tuple[int | None, int | None],
        one_output: bool,
        offsets: bool,
        grid: InputGrid | None,
    ) -> None:
        """Set the interface from the arrays, except for the sizes m and p that are given."""
        splits = self._splits
        assert splits is not None
        train = splits["train"]
        answers = answers_of(train.targets)
        vector = train.inputs.ndim == 3
        values = answers in ("values", "series")
        # A split of another form has none of these; :meth:`_agree` refuses it.
        symbols = [s.inputs for s in splits.values() if s.inputs.ndim < 3]
        classes = [s.targets for s in splits.values() if s.targets.dtype.kind != "f"]
        outputs = train.targets.shape[-1] if values else max(int(a.max()) + 1 for a in classes)
        if one_output:
            if values or outputs > 2:
                what = MEANING[answers] if values else f"{outputs} classes"
                raise FormatError(f"one_output must be off for {what}: it is for classes 0 and 1")
            outputs = 1
        inputs = train.inputs.shape[2] if vector else max(int(a.max()) + 1 for a in symbols)
        self._take(
            InputKind.VECTOR if vector else InputKind.ONE_HOT,
            answers,
            inputs if sizes[0] is None else sizes[0],
            outputs if sizes[1] is None else sizes[1],
        )
        if vector:
            if not train.inputs.any():
                raise DataError(f"{self._where}inputs_train must not be zero throughout")
            self._set_grid(input_grid(train.rows, bits, offsets) if grid is None else grid)
        self._agree(splits)

    def _agree(self, splits: dict[str, Split]) -> None:
        """Check that every split has the task's interface."""
        for name, split in splits.items():
            inputs, targets = split.inputs, split.targets
            vector = self.input_kind is InputKind.VECTOR
            if (inputs.ndim == 3) != vector or (vector and inputs.shape[2] != self.inputs):
                wanted = f"(count, steps, {self.inputs})" if vector else "(count, steps)"
                raise DataError(f"{self._where}inputs_{name} must have shape {wanted}, not {inputs.shape}")
            if not vector and inputs.max() >= self.inputs:
                raise DataError(
                    f"{self._where}inputs_{name} must hold indices below {self.inputs}, "
                    f"not {int(inputs.max())}"
                )
            if answers_of(targets) != self.answers:
                raise DataError(
                    f"{self._where}targets_{name} must be {MEANING[self.answers]}, as in training, "
                    f"not {MEANING[answers_of(targets)]}"
                )
            size = targets.shape[-1] if self._values else int(targets.max()) + 1
            allowed = self.outputs if self._values or self.outputs > 1 else 2
            if size > allowed or (self._values and size != allowed):
                raise DataError(
                    f"{self._where}targets_{name} must be of {allowed} "
                    f"{'values' if self._values else 'classes'}, not of {size}"
                )

    def description(self) -> dict[str, Any]:
        """Return name, kinds and sizes; for vectors also the sign, the scale, and the offset if not 0."""
        plain: dict[str, Any] = {
            "name": self.name,
            "input": str(self.input_kind),
            "answers": self.answers,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }
        if self.input_kind is InputKind.VECTOR:
            scale, offset = self._grid.scale, self._grid.offset
            plain |= {
                "input_signed": self.input_signed,
                "input_scale": list(scale) if isinstance(scale, tuple) else scale,
            }
            if np.any(offset):
                plain["input_offset"] = list(offset) if isinstance(offset, tuple) else offset
        return plain

    def summary(self) -> str:
        """Return one line about sets, steps, inputs and targets."""
        self.load()
        counts = ", ".join(f"{len(self._parts[split].inputs)} {name}" for split, name in _SETS.items())
        shape = self._parts["train"].inputs.shape
        lengths = self._parts["train"].lengths
        steps = f"{shape[1]} steps" if lengths is None else f"{lengths.min()} to {lengths.max()} steps"
        if self.input_kind is InputKind.VECTOR:
            own = "a scale for each" if isinstance(self.input_scale, tuple) else "one scale"
            sign = "signed" if self.input_signed else "unsigned"
            what = f"{self.inputs} inputs of {self.input_bits} bits ({sign}, {own})"
        else:
            what = f"one of {self.inputs} symbols"
        wanted = f"{self.outputs} values" if self._values else f"one of {max(self.outputs, 2)} classes"
        when = "after each step" if self.output_mode is OutputMode.EVERY_STEP else "after the last step"
        return f"{counts} sequences; {steps}; {what}; wanted: {wanted} {when}"

    def clipped_inputs(self) -> int:
        """Return the number of clipped input entries of the test set."""
        self.load()
        return self.clipped.get("test", 0)

    def clipped_text(self) -> list[str]:
        """Return one sentence for each set with clipped input entries."""
        return [
            f"{self.clipped[split]} of {self._parts[split].inputs.size} input entries of the {name} "
            "sequences lie outside the input's grid and are clipped"
            for split, name in _SETS.items()
            if self.clipped.get(split)
        ]

    def load(self) -> None:
        """Read the arrays and quantize the inputs."""
        if self._parts:
            return
        if self._splits is None:
            self._splits = checked(read_arrays(self._file), self._where)
            self._agree(self._splits)
        splits = dict(self._splits)
        if "validation" not in splits:
            name = f"{self._where}inputs_train"
            splits["train"], splits["validation"] = own_split(name, splits["train"])
        if self._values:
            wanted = splits["train"].answers
            self.output_offset = wanted.mean(axis=0).astype(np.float64)
            self.output_scale = float(np.sqrt(np.square(wanted - self.output_offset).mean())) or 1.0
        self._parts = {name: self._integers(name, split) for name, split in splits.items()}
        if self.input_kind is InputKind.VECTOR:
            # Padding is integer 0 and adds nothing to the sum.
            part = self._parts["train"]
            rows = part.inputs.shape[0] * part.inputs.shape[1] if part.lengths is None else part.lengths.sum()
            square = float(np.square(part.inputs, dtype=np.float64).sum()) / (int(rows) * self.inputs)
            self._training_scale = 1.0 / np.sqrt(square) if square > 0 else 1.0
        # The real arrays are not needed any more.
        self._splits = None

    @property
    def training_scale(self) -> float:
        """Real value of one unit of an entry in training: the training inputs get a mean square of 1."""
        self.load()
        return 1.0 if self._training_scale is None else float(self._training_scale)

    def _integers(self, name: str, split: Split) -> Examples:
        inputs = split.inputs
        if self.input_kind is InputKind.VECTOR:
            inputs, self.clipped[name] = self._grid.integers(inputs)
            if split.lengths is not None:
                counts = steps_that_count(split.lengths, inputs.shape[1])
                inputs = np.where(counts[..., None], inputs, 0)
                # Padding zeros can lie outside the grid; count clipped entries without padding.
                self.clipped[name] = self._grid.integers(split.rows)[1]
        kind = np.float64 if self._values else np.int64
        return Examples(inputs.astype(np.int64), split.targets.astype(kind), lengths=split.lengths)

    def _part(self, split: str) -> Examples:
        self.load()
        return self._parts[split]

    def _epochs(self) -> EpochOrder:
        if self._order is None:
            self._order = EpochOrder(len(self._part("train").inputs), _ORDER)
        return self._order

    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return a batch of training sequences, cut to the longest of them; at most all sequences."""
        chosen = self._epochs().chosen(index, min(count, self.most_sequences()), seed)
        return _cut(self._part("train"), chosen)

    def batches_per_epoch(self, count: int) -> int:
        """Return the number of training sequences divided by ``count``, at least 1."""
        return self._epochs().batches(min(count, self.most_sequences()))

    def most_sequences(self) -> int:
        """Return the number of training sequences."""
        return len(self._part("train").inputs)

    def validation(self) -> Examples:
        """Return the validation sequences; by default every tenth training sequence."""
        return self._part("validation")

    def test(self, limit: int | None = None) -> Examples:
        """Return the test sequences, or the first ``limit`` of them."""
        part = self._part("test")
        return part if limit is None else _cut(part, np.arange(min(limit, len(part.inputs))))

    def blind(self) -> float:
        """Return the share of the most frequent test class, or the error of the mean training values."""
        part = self._part("test")
        if self._values:
            mean = np.broadcast_to(self.output_offset, (*part.inputs.shape[:2], self.outputs))
            totals = self.totals_of(mean if self.answers == "series" else mean[:, :1], part)
            return totals["mse"] / len(part.inputs)
        wanted = Split(part.inputs, part.targets, part.lengths).answers
        return float(np.bincount(wanted.ravel()).max() / wanted.size)

    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the sum over sequences of accuracies or squared errors (means over steps and values)."""
        if self._values:
            wanted = targets if self.answers == "series" else targets[:, None]
            errors = (
                np.square(logits - wanted) if self.answers == "series" else (logits[:, -1:] - wanted) ** 2
            )
            return {"mse": float(errors.mean(axis=(1, 2)).sum())}
        answered = logits if self.answers == "classes" else logits[:, -1]
        found = answered.argmax(axis=-1) if self.outputs > 1 else (answered[..., 0] > 0).astype(np.int64)
        hit = found == targets
        return {"accuracy": float(hit.sum()) / (hit.shape[1] if self.answers == "classes" else 1)}

    def metrics(self, totals: dict[str, float], count: int) -> dict[str, float]:
        """Return the means, with six digits except for the accuracy after the last step."""
        means = {key: total / count for key, total in totals.items()}
        if self.answers == "class":
            return means
        return {key: rounded(min(v, 1e9) if np.isfinite(v) else 1e9) for key, v in means.items()}


def _cut(part: Examples, chosen: NDArray[np.int64]) -> Examples:
    """Return a subset of the sequences, cut to the longest of them."""
    if part.lengths is None:
        return Examples(part.inputs[chosen], part.targets[chosen])
    lengths = part.lengths[chosen]
    steps = int(lengths.max())
    found = Examples(part.inputs[chosen, :steps], part.targets[chosen], lengths=lengths)
    each_step = part.targets.ndim == (3 if part.targets.dtype.kind == "f" else 2)
    return replace(found, targets=found.targets[:, :steps]) if each_step else found


def _numbers(name: str, value: Any, count: int, positive: bool) -> float | tuple[float, ...]:
    """Return a checked finite number, or a tuple of ``count`` of them."""
    wanted = "positive and finite" if positive else "finite"
    several = isinstance(value, (list, tuple))
    for one in value if several else (value,):
        number = isinstance(one, (int, float)) and not isinstance(one, bool)
        if not number or not np.isfinite(one) or (positive and one <= 0):
            raise FormatError(f"{name} must be {wanted}, not {one!r}")
    if several and len(value) != count:
        raise FormatError(
            f"{name} must be one number or one for each of the {count} inputs, not {len(value)}"
        )
    return tuple(float(one) for one in value) if several else float(value)
