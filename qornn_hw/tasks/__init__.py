"""The tasks, in NumPy: data for training, validation and test, and metrics (docs/tasks.md)."""

from pathlib import Path
from typing import Any

from qornn_hw.errors import CheckpointError, FormatError
from qornn_hw.tasks.adding import AddingTask
from qornn_hw.tasks.arrays import ArraysTask
from qornn_hw.tasks.characters import CharactersTask
from qornn_hw.tasks.copy import CopyTask
from qornn_hw.tasks.mnist import MnistTask
from qornn_hw.tasks.speech import SpeechTask
from qornn_hw.tasks.task import Examples, Task

__all__ = [
    "TASKS",
    "AddingTask",
    "ArraysTask",
    "CharactersTask",
    "CopyTask",
    "Examples",
    "MnistTask",
    "SpeechTask",
    "Task",
    "make_task",
]

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (AddingTask, ArraysTask, CharactersTask, CopyTask, MnistTask, SpeechTask)
}


def make_task(
    description: dict[str, Any],
    data_dir: str | Path | None = None,
    input_bits: int | None = None,
    load: bool = True,
) -> Task:
    """Return the task that the entry ``task`` of a checkpoint describes.

    Args:
        description: the result of :meth:`Task.description`: ``name`` and the task's options.
        data_dir: folder or file of the data, for tasks that need it.
        input_bits: bits of an entry of an input vector, for tasks with a choice; None for the default.
        load: read the data now.

    Raises:
        CheckpointError: the name or an option is unknown, or the value of an option is out of range.
        DataError: the data do not exist or are malformed.
    """
    name = description.get("name")
    if not isinstance(name, str) or name not in TASKS:
        raise CheckpointError(
            f"task.name must be one of {', '.join(sorted(TASKS))}, not {_shown(name)}; for other data "
            "the task is {}, and calls of the network compute the answers"
        )
    kind = TASKS[name]
    options: dict[str, Any] = {key: value for key, value in description.items() if key != "name"}
    for key in options:
        if key not in kind.options:
            known = ", ".join(kind.options)
            raise CheckpointError(f"task.{_shown(key)[1:-1]} is not known of the {name} task; it has {known}")
    for key in kind.required:
        if key not in options:
            raise CheckpointError(f"task.{key} of the {name} task is missing")
    if kind.data_argument is not None:
        options[kind.data_argument] = data_dir
    allowed = kind.input_bits_range
    if allowed is not None and input_bits is not None:
        if input_bits not in allowed:
            raise CheckpointError(
                f"network.input_format of the {name} task must have {allowed.start} to {allowed.stop - 1} "
                f"bits, not {input_bits}"
            )
        options["input_bits"] = input_bits
    try:
        task = kind(**options)
    except FormatError as error:
        raise CheckpointError(f"task.{error}") from None
    if load:
        task.load()
    return task


def _shown(value: Any) -> str:
    return " ".join(repr(value).split())[:60]
