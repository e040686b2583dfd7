"""The test set of a network's task as integers, and the score of the hardware's answers to it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import class_logits, operations_of, output_scale
from qornn_hw.data.inference import Answers
from qornn_hw.errors import FormatError
from qornn_hw.evaluation.evaluate import task_of
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.files.network_checkpoint import NetworkCheckpoint

__all__ = ["task_sequences"]

IntArray = NDArray[np.int64]


def task_sequences(
    checkpoint: Checkpoint | NetworkCheckpoint, data: Path | None = None, limit: int | None = None
) -> tuple[list[IntArray], Callable[[list[IntArray]], dict[str, float]]]:
    """Return the sequences of the task's test set, and a function from their answers to its metrics.

    Args:
        checkpoint: a checkpoint with a task.
        data: folder with the data of the task.
        limit: number of sequences to take from the start; None for all.

    Raises:
        FormatError: the checkpoint names no task, or the network answers only the argmax of one output, which
            is always 0.
        DataError: the data do not exist.
    """
    net = checkpoint.network
    operations = operations_of(net)
    p = operations.output_size
    # Raises for the argmax of a single output, from which no metric follows.
    Answers.of(net, np.zeros(p + 1, dtype=np.int64))
    if not checkpoint.task:
        raise FormatError(
            "the network must name a task to have a test set of its own; pass your own sequences as "
            "`inputs` FILE, or random ones as `random` N"
        )
    task = task_of(checkpoint, data)
    examples = task.test(limit)

    def score(answers: list[IntArray]) -> dict[str, float]:
        answer, classes = operations.readout.answer, examples.targets.dtype.kind in "iu"
        if answer.kind.has_logits:
            integers = [one[..., :p] for one in answers]
            shown = [class_logits(net, one) for one in integers] if classes else integers
            return task.measured([one * output_scale(net) for one in shown], examples)
        # Only the class is known: the index of the largest logit, or whether the one is above its threshold.
        if answer.threshold is not None:
            chosen = [one[..., :1] - 0.5 for one in answers]
        else:
            chosen = [(one[..., :1] == np.arange(p)).astype(float) for one in answers]
        found = task.measured(chosen, examples)
        return {key: value for key, value in found.items() if key == "accuracy"}

    if examples.lengths is None:
        return list(examples.inputs), score
    return [one[:steps] for one, steps in zip(examples.inputs, examples.lengths, strict=True)], score
