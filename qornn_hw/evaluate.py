"""Metrics of a checkpoint on its task's test set, and what can be said of it without data; NumPy only."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.bounds import accumulator_bounds
from qornn_hw.checkpoint import Checkpoint
from qornn_hw.errors import CheckpointError, FormatError
from qornn_hw.float_model import RealNetwork, dequantized, dequantized_inputs, run_real
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import OutputMode
from qornn_hw.training.orthogonality import orthogonality
from qornn_hw.training.tasks import copy, mnist

__all__ = ["COPY_SEQUENCES", "RUNGS", "evaluate", "info"]

RUNGS = ("float", "fake_quantized", "integer")

COPY_SEQUENCES = 1000
# The test sequences of the copy task, apart from every training seed.
_COPY_SEED = (20240204, 2012)
_BATCH = 100

Logits = NDArray[np.floating[Any]]
Answer = Callable[[NDArray[np.int64]], Logits]


def _rounded(value: float) -> float:
    """Return six significant digits, which every machine's exponential agrees on."""
    return float(f"{value:.6g}")


def _runners(checkpoint: Checkpoint, rungs: Collection[str]) -> Iterator[tuple[str, Answer]]:
    """Yield the wanted rungs as functions from integer inputs to logits in real units."""
    net = checkpoint.network

    def real(network: RealNetwork) -> Answer:
        return lambda x: run_real(network, dequantized_inputs(net, x))[1]

    trained = RealNetwork.trained(checkpoint)
    if "float" in rungs and trained is not None:
        yield "float", real(trained)
    if "fake_quantized" in rungs:
        yield "fake_quantized", real(dequantized(net))
    if "integer" in rungs:
        model = IntegerModel(net)
        yield "integer", lambda x: model.run(x).logits * net.scales.output


def _cross_entropy(logits: Logits, targets: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
    """Return ``log sum exp(y) - y[target]`` in nats, of the shape of ``targets``."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    picked = np.take_along_axis(shifted, targets[..., None], axis=-1)[..., 0]
    return np.asarray(np.log(np.exp(shifted).sum(axis=-1)) - picked)


def _copy(answer: Answer, blank: int, count: int) -> dict[str, float]:
    inputs, targets = copy.sequences(np.random.default_rng(_COPY_SEED), count, blank)
    entropy, right, whole, quiet = 0.0, 0, 0, 0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, count, _BATCH):
            wanted = targets[start : start + _BATCH]
            logits = answer(inputs[start : start + _BATCH])
            entropy += float(_cross_entropy(logits, wanted).sum())
            hits = logits.argmax(axis=-1) == wanted
            right += int(hits[:, -copy.RECALL :].sum())
            whole += int(hits[:, -copy.RECALL :].all(axis=1).sum())
            quiet += int(hits[:, : -copy.RECALL].sum())
    return {
        "cross_entropy": _rounded(min(entropy / targets.size, 1e9) if np.isfinite(entropy) else 1e9),
        "recall_accuracy": right / (count * copy.RECALL),
        "sequence_accuracy": whole / count,
        "blank_accuracy": quiet / (count * (blank + copy.RECALL)),
    }


def _mnist(answer: Answer, images: NDArray[np.int64], labels: NDArray[np.int64]) -> dict[str, float]:
    right = 0
    for start in range(0, len(images), 1000):
        found = answer(images[start : start + 1000])[:, -1].argmax(axis=-1)
        right += int((found == labels[start : start + 1000]).sum())
    return {"accuracy": right / len(images)}


def _blank(task: dict[str, Any]) -> int:
    blank = task.get("blank")
    if type(blank) is not int or blank < 1:
        raise CheckpointError(f"task.blank of the copy task must be a positive integer, not {blank!r}")
    return blank


def _require_shape(checkpoint: Checkpoint, inputs: int, outputs: int, vector: bool) -> None:
    net = checkpoint.network
    if (net.input_size, net.output_size, net.vector_input) != (inputs, outputs, vector):
        kind = "vector" if vector else "one-hot"
        raise CheckpointError(
            f"a network of the {checkpoint.task['name']} task must have {inputs} {kind} inputs and {outputs} "
            f"outputs, not {net.input_size} {net.input_kind} inputs and {net.output_size} outputs"
        )


def evaluate(
    checkpoint: Checkpoint,
    data_dir: str | Path | None = None,
    limit: int | None = None,
    rungs: Collection[str] = RUNGS,
) -> dict[str, Any]:
    """Measure a checkpoint on the test set of its task.

    The same checkpoint gives the same integer metrics on every machine.

    Args:
        checkpoint: a model whose ``task`` is named.
        data_dir: folder with the task's data; the copy task needs none.
        limit: use only the first so many sequences.
        rungs: which of the three to measure.

    Returns:
        ``{"task", "sequences", "float", "fake_quantized", "integer", ...}``, the three with the same keys:
        for copy cross_entropy (nats, mean over all steps), recall_accuracy, sequence_accuracy (all ten
        symbols right) and blank_accuracy, for mnist accuracy. float is missing where the checkpoint holds no
        float weights.

    Raises:
        CheckpointError: the checkpoint names no task that is known here.
        DataError: the data are absent.
        FormatError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise FormatError(f"limit must be at least 1, not {limit}")
    # Tasks and data are checked before anything is computed.
    name = checkpoint.task.get("name")
    if name == "copy":
        _require_shape(checkpoint, copy.SYMBOLS, copy.CLASSES, vector=False)
        if checkpoint.network.output_mode is not OutputMode.EVERY_STEP:
            raise CheckpointError(
                "network.output_mode of the copy task must be every_step, "
                f"not {checkpoint.network.output_mode}"
            )
        blank, count = _blank(checkpoint.task), min(limit or COPY_SEQUENCES, COPY_SEQUENCES)
        result = {
            "task": name,
            "sequences": count,
            "blind_cross_entropy": _rounded(copy.blind_baseline(blank)),
        }
        return result | {rung: _copy(answer, blank, count) for rung, answer in _runners(checkpoint, rungs)}
    if name == "mnist":
        if checkpoint.task.get("order") != "rows":
            raise CheckpointError(
                f"task.order of the mnist task must be 'rows', not {checkpoint.task.get('order')!r}"
            )
        _require_shape(checkpoint, mnist.ROWS, mnist.CLASSES, vector=True)
        form = checkpoint.network.input_format
        if form.signed or form.bits > 8:
            raise CheckpointError(
                "network.input_format of the mnist task must be unsigned and of 1 to 8 bits, "
                f"not {'signed' if form.signed else 'unsigned'} and of {form.bits}"
            )
        images, labels = mnist.load(data_dir, "test")
        count = min(limit or len(images), len(images))
        pixels = mnist.quantize_pixels(images[:count], form.bits)
        result = {"task": name, "sequences": count}
        return result | {
            rung: _mnist(answer, pixels, labels[:count]) for rung, answer in _runners(checkpoint, rungs)
        }
    raise CheckpointError(
        f"task.name must be copy or mnist to be evaluated, not {name!r}; "
        "use the integer model (qornn_hw.integer_model) on your own data"
    )


def info(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what is known of a checkpoint without data: shapes, bits, scales, proven widths, memory."""
    net = checkpoint.network
    bits, s = net.weight_bits, net.scales
    bounds = accumulator_bounds(net)
    n, m, p = net.hidden_size, net.input_size, net.output_size
    memory = {
        "recurrent": n * n * bits.recurrent,
        "input": n * m * bits.input,
        "output": p * n * bits.output,
        "table": 0 if net.table is None else len(net.table) * net.state_bits,
    }
    return {
        "hidden_size": n,
        "input_size": m,
        "output_size": p,
        "activation": str(net.activation),
        "input": str(net.input_kind),
        "input_format": {"bits": net.input_format.bits, "signed": net.input_format.signed},
        "output_mode": str(net.output_mode),
        "output_kind": str(net.output_kind),
        "weight_bits": {"recurrent": bits.recurrent, "input": bits.input, "output": bits.output},
        "state_bits": net.state_bits,
        "rounding": str(net.rounding),
        "input_shift": net.input_shift,
        "multiplier": sorted({int(v) for v in net.multiplier}),
        "shift": net.shift,
        "scales": {"input": s.input, "state": s.state, "accumulator": s.accumulator, "output": s.output},
        "accumulator_bits": bounds.bits,
        "state_accumulator_bits": bounds.state_bits,
        "output_accumulator_bits": bounds.output_bits,
        "orthogonality": orthogonality(dequantized(net).recurrent_weight),
        "memory_bits": memory | {"total": sum(memory.values())},
        "macs_per_step": net.macs_per_step,
        "task": checkpoint.task,
        "metrics": checkpoint.metrics,
        "provenance": checkpoint.provenance,
    }
