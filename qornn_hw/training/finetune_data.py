"""The data of a fine-tuning, and what its result is compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qornn_hw.cells.any_network import AnyNetwork, interpreter_of, operations_of, output_scale
from qornn_hw.errors import DataError
from qornn_hw.evaluation.evaluate import Answer, measure
from qornn_hw.ir.kinds import InputKind
from qornn_hw.tasks import ArraysTask, Examples, Task
from qornn_hw.tasks.array_files import read_arrays

__all__ = [
    "arrays_of",
    "integer_answers",
    "is_worse",
    "measured",
    "typical_inputs",
    "units_of",
    "validated",
    "worse_warning",
]

# For data (inputs, targets): one of this number of sequences is for the test, and one for the validation.
_TENTH = 10
# Number of training sequences that a network is imported with.
_CALIBRATION = 300
# Tolerance of the metric before a warning: absolute for an accuracy, relative for an error.
_LOST = 0.02


def arrays_of(data: Any) -> dict[str, Any]:
    """Return the data as the arrays of the arrays task by name."""
    if isinstance(data, (str, Path)):
        data = read_arrays(data)
    if isinstance(data, Mapping):
        if {"inputs", "targets"} <= set(data) <= {"inputs", "targets", "lengths"}:
            return _three_sets(**data)
        for name, other in (("inputs", "targets"), ("targets", "inputs")):
            if name in data and other not in data:
                raise DataError(f"data with {name} must have {other}, too, and has {', '.join(sorted(data))}")
        return dict(data)
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        return _three_sets(*data)
    raise DataError(
        "data must be a .npz file, arrays by name, (inputs, targets) or (inputs, targets, lengths), "
        f"not {type(data).__name__}"
    )


def _three_sets(inputs: Any, targets: Any, lengths: Any = None) -> dict[str, Any]:
    """Return arrays by name: of each ten sequences one for the validation and one for the test."""
    parts = {"inputs": inputs, "targets": targets} | ({} if lengths is None else {"lengths": lengths})
    found = {k: v.detach().cpu().numpy() if hasattr(v, "detach") else v for k, v in parts.items()}
    count = len(found["inputs"])
    for name, values in found.items():
        if len(values) != count:
            raise DataError(f"{name} must be those of {count} sequences, not of {len(values)}")
    if count < _TENTH:
        raise DataError(
            f"inputs must hold at least {_TENTH} sequences to train, validate and test with, not {count}"
        )
    place = np.arange(count) % _TENTH
    sets = {"test": place == _TENTH // 2, "validation": place == _TENTH - 1}
    sets["train"] = ~(sets["test"] | sets["validation"])
    return {f"{name}_{part}": _some(v, chosen) for part, chosen in sets.items() for name, v in found.items()}


def _some(values: Any, chosen: NDArray[np.bool_]) -> Any:
    if isinstance(values, (list, tuple)):
        return [one for one, wanted in zip(values, chosen, strict=True) if wanted]
    return np.asarray(values)[chosen]


def typical_inputs(arrays: dict[str, Any]) -> NDArray[Any]:
    """Return some training inputs as the user has them."""
    task = ArraysTask(None, 16, arrays=arrays)
    examples = task.training_batch(0, _CALIBRATION, 0)
    if task.input_kind is not InputKind.VECTOR:
        return examples.inputs
    return np.asarray(examples.inputs * np.asarray(task.input_scale) + np.asarray(task.input_offset))


def measured(task: Task, examples: Examples, answer: Answer, units: int) -> dict[str, float]:
    """Return the metrics of one network, with one thread."""
    with threadpool_limits(1, user_api="blas"):
        return measure(task, examples, answer, units)


def integer_answers(network: AnyNetwork) -> Answer:
    """Return a function from integer inputs to the logits of the integers, in real units."""
    interpreter, scale = interpreter_of(network), output_scale(network)
    return lambda x: interpreter.answers(x) * scale


def validated(network: AnyNetwork, task: Task) -> float:
    """Return the score of the integers on the validation sequences; larger is better."""
    examples = task.validation()
    assert examples is not None  # the arrays task always has some
    metric = measured(task, examples, integer_answers(network), units_of(network))[task.metric]
    return metric if task.larger_is_better else -metric


def units_of(network: AnyNetwork) -> int:
    """Return the units of all states."""
    return sum(state.size for state in operations_of(network).states.values())


def is_worse(metrics: Mapping[str, Any], task: Task) -> bool:
    """Return whether the integers' metric on the test sequences is clearly below that of the start."""
    found, start = metrics["integer"][task.metric], metrics["start"][task.metric]
    # A difference of one test sequence is not significant.
    least = start - _LOST - 1 / metrics["sequences"]
    return bool(found < least if task.larger_is_better else found > (1 + _LOST) * start)


def worse_warning(metrics: Mapping[str, Any], task: Task) -> str:
    """Return the sentence on a network that became worse."""
    found, start = metrics["integer"][task.metric], metrics["start"][task.metric]
    return (
        f"{task.metric} on the test sequences is {found:.4g}, {start:.4g} before; cure: more bits of the "
        "weights (bits) or of the states (state_bits), or more passes (epochs, finetune_epochs)"
    )
