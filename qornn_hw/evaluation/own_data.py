"""Measurement of a checkpoint on a user's own sequences, whatever its task."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qornn_hw.cells.any_network import class_logits, interpreter_of, output_scale
from qornn_hw.counts import check_limit
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.data.sequences import equal_length_batches
from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.evaluate import AnyCheckpoint, task_of
from qornn_hw.evaluation.labelled_sequences import LabelledSequences, Score, real_sequences
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.quantization.float_model import RealNetwork, dequantized, dequantized_inputs
from qornn_hw.quantization.quality import Quality, quality_of, real_reference, reference_of
from qornn_hw.storage.array_archive import array_names
from qornn_hw.tasks.measures import rounded

__all__ = ["evaluate_data", "evaluate_integers", "is_own_data", "read_data", "require_task", "task_quality"]

# No limit on the number of sequences.
_ALL = 1 << 80
_NUMBERS = 1 << 21


def is_own_data(path: Path, task: str | None) -> bool:
    """Return whether a file holds a user's own sequences rather than the data of a task.

    A ``.npz`` file for ``train arrays`` is data of the arrays task, but own data for every other task.
    """
    if not path.is_file() or path.suffix.lower() not in (".npy", ".npz"):
        return False
    if task != "arrays" or path.suffix.lower() == ".npy":
        return True
    try:
        return "inputs" in array_names(path)
    except (OSError, DataError):
        return False


def read_data(checkpoint: AnyCheckpoint, path: Path, limit: int | None = None) -> LabelledSequences:
    """Return the sequences of a file as real numbers or indices, with their targets if it has any.

    Raises:
        DataError: the file does not exist, or its sequences do not fit the network's inputs.
    """
    check_limit(limit)
    data = LabelledSequences.read(path)
    sequences = real_sequences(checkpoint.network, data.sequences[:limit])
    return LabelledSequences(sequences, None if data.targets is None else data.targets[:limit])


def evaluate_data(checkpoint: Checkpoint, data: LabelledSequences) -> tuple[dict[str, Any], Quality]:
    """Measure a checkpoint on a user's own sequences.

    Args:
        checkpoint: any model.
        data: sequences as real numbers or indices, with or without targets.

    Returns:
        ``{"sequences", "float", "fake_quantized", "integer", "quality"}``, and the quality report. The middle
        three, ``{"accuracy": ..}`` or ``{"mse": ..}``, need targets; ``float`` also needs a checkpoint with a
        float network.

    Raises:
        FormatError: there are no sequences, or inputs or targets do not fit the network.
    """
    net = checkpoint.network
    reference, name = reference_of(checkpoint)
    targets = data.targets
    scores = {} if targets is None else {rung: Score(net, targets) for rung in ("float", "integer")}

    def observe(members: NDArray[np.int64], logits: Any, wanted: Any) -> None:
        if scores:
            scores["integer"].add(members, logits)
            scores["float"].add(members, wanted)

    with threadpool_limits(1, user_api="blas"):
        quality = quality_of(
            net, data.sequences, real_reference(reference), reference_name=name, observe=observe, work=_ALL
        )
        found: dict[str, Any] = {"sequences": len(data.sequences)}
        if targets is not None:
            rungs = {"fake_quantized": _fake_quantized(checkpoint, data, targets), **scores}
            if RealNetwork.trained(checkpoint) is None:
                del rungs["float"]
            for rung in ("float", "fake_quantized", "integer"):
                if rung in rungs:
                    found[rung] = {rungs[rung].name: rounded(rungs[rung].value)}
    return found | {"quality": quality.to_metrics()}, quality


def evaluate_integers(checkpoint: NetworkCheckpoint, data: LabelledSequences) -> dict[str, Any]:
    """Measure a network of operations on a user's own sequences: the integers alone are known of it.

    Args:
        checkpoint: any model of operations.
        data: sequences as real numbers or indices, with targets.

    Returns:
        ``{"sequences", "integer", "clipped_inputs"}``; the score is ``{"accuracy": ..}`` or ``{"mse": ..}``,
        and the clipped entries of the inputs are counted if there are any.

    Raises:
        FormatError: there are no targets, or inputs or targets do not fit the network.
    """
    if data.targets is None:
        raise FormatError(
            "data must hold targets for a network of gated cells or several layers, whose float network is "
            "not in its file; its quality was measured when it was quantized (qornn-hw info)"
        )
    net, score, clipped = checkpoint.network, Score(checkpoint.network, data.targets), 0
    model, scale = interpreter_of(net), output_scale(net)
    width = sum(model.network.sizes.values())
    with threadpool_limits(1, user_api="blas"):
        for members, batch in equal_length_batches(data.sequences, _NUMBERS, width):
            found = quantize_inputs(net, batch)
            clipped += int(found.clipped.sum())
            logits = model.answers(found.integers)
            score.add(members, (class_logits(net, logits) if score.classes else logits) * scale)
    value: dict[str, Any] = {"sequences": len(data.sequences), "integer": {score.name: rounded(score.value)}}
    return value | ({"clipped_inputs": clipped} if clipped else {})


def _fake_quantized(checkpoint: Checkpoint, data: LabelledSequences, targets: list[NDArray[Any]]) -> Score:
    """Return the score with quantized weights and inputs, and real states."""
    net = checkpoint.network
    answer, score = real_reference(dequantized(net)), Score(net, targets)
    width = net.hidden_size + net.input_size + net.output_size
    for members, batch in equal_length_batches(data.sequences, _NUMBERS, width):
        score.add(members, answer(dequantized_inputs(net, quantize_inputs(net, batch).integers)))
    return score


def require_task(checkpoint: AnyCheckpoint) -> None:
    """Refuse a checkpoint that names no task, and so has no test set of its own.

    Raises:
        FormatError: it names none.
    """
    if not checkpoint.task:
        raise FormatError(
            "the network must name a task to have a test set of its own; pass your own sequences as `data` "
            "FILE, a .npy of inputs, or a .npz with inputs and, if known, targets"
        )


def task_quality(checkpoint: Checkpoint, data_dir: str | Path | None, limit: int | None = None) -> Quality:
    """Return the quality report of a checkpoint on the test set of its task.

    Raises:
        CheckpointError: the checkpoint names no known task, or the network does not fit it.
        DataError: the data do not exist.
    """
    inputs = task_of(checkpoint, data_dir).test(limit).inputs
    reference, name = reference_of(checkpoint)
    real = dequantized_inputs(checkpoint.network, inputs)
    with threadpool_limits(1, user_api="blas"):
        return quality_of(checkpoint.network, real, real_reference(reference), reference_name=name)
