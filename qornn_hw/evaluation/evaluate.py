"""Metrics of a checkpoint on its task's test set, and facts that need no data; without torch."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qornn_hw.cells.any_network import (
    class_logits,
    interpreter_of,
    macs_per_step,
    operations_of,
    output_scale,
    ranges_of,
    state_facts,
)
from qornn_hw.cells.elman_bounds import accumulator_bounds
from qornn_hw.counts import check_limit
from qornn_hw.errors import FormatError
from qornn_hw.evaluation.orthogonality import orthogonality_report
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.files.task_fit import fitting_task, require_interface
from qornn_hw.ir.formats import bits_for_range
from qornn_hw.ir.ops import MatVec, Table
from qornn_hw.quantization.float_model import (
    RealNetwork,
    accumulator_scales,
    dequantized,
    dequantized_inputs,
    latent_weights,
    run_real,
)
from qornn_hw.quantization.requantize import calibration_inputs, requantized
from qornn_hw.tasks import Examples, Task, mnist
from qornn_hw.tasks.measures import rounded

__all__ = [
    "RUNGS",
    "Answer",
    "AnyCheckpoint",
    "evaluate",
    "evaluate_on",
    "info",
    "measure",
    "requantized_on_task",
    "require_interface",
    "task_of",
]

RUNGS = ("float", "fake_quantized", "integer")

# Number of sequences computed together, limited for the caches and for the states of real networks.
_BATCH = 250
_NUMBERS = 1 << 25

Logits = NDArray[np.floating[Any]]
Answer = Callable[[NDArray[np.int64]], Logits]
AnyCheckpoint: TypeAlias = Checkpoint | NetworkCheckpoint


def _runners(
    checkpoint: AnyCheckpoint, rungs: Collection[str], *, classes: bool
) -> Iterator[tuple[str, Answer]]:
    """Yield each wanted rung as a function from integer inputs to logits in real units.

    A network of operations has the integers only. If the targets are classes, the logits are relative to the
    network's threshold, if it has one.
    """
    if isinstance(checkpoint, Checkpoint):
        yield from _real_runners(checkpoint, rungs)
    if "integer" in rungs:
        net = checkpoint.network
        model, scale = interpreter_of(net), output_scale(net)

        def integers(x: NDArray[np.int64]) -> Logits:
            logits = model.answers(x)
            return (class_logits(net, logits) if classes else logits) * scale

        yield "integer", integers


def _real_runners(checkpoint: Checkpoint, rungs: Collection[str]) -> Iterator[tuple[str, Answer]]:
    net = checkpoint.network

    def real(network: RealNetwork) -> Answer:
        return lambda x: run_real(network, dequantized_inputs(net, x))[1]

    trained = RealNetwork.trained(checkpoint)
    if "float" in rungs and trained is not None:
        yield "float", real(trained)
    if "fake_quantized" in rungs:
        yield "fake_quantized", real(dequantized(net))


def measure(
    task: Task, examples: Examples, answer: Callable[[NDArray[np.int64]], Logits], hidden_size: int
) -> dict[str, float]:
    """Return a task's metrics of one network on some sequences, with bounded memory.

    Args:
        task: the task with the metrics.
        examples: the sequences.
        answer: function from integer inputs to logits in real units, (count, steps or 1, p).
        hidden_size: n, which limits the number of sequences computed together.
    """
    totals: dict[str, float] = {}
    # The real weights behind quantized ones may diverge; that is a valid result.
    with np.errstate(over="ignore", invalid="ignore"):
        for _, equal in examples.of_one_length():
            count, steps = equal.inputs.shape[:2]
            batch = max(1, min(_BATCH, _NUMBERS // (steps * (hidden_size + task.outputs))))
            for start in range(0, count, batch):
                part = slice(start, start + batch)
                found = task.totals(answer(equal.inputs[part]), equal.targets[part])
                totals = {key: totals.get(key, 0.0) + value for key, value in found.items()}
        return task.metrics(totals, len(examples.inputs))


def task_of(checkpoint: AnyCheckpoint, data_dir: str | Path | None = None) -> Task:
    """Return the task of a checkpoint, with its data. Task, network and data are checked in this order.

    Raises:
        CheckpointError: the checkpoint names no known task, or the network does not fit it.
        DataError: the data do not exist.
    """
    task = fitting_task(checkpoint.task, checkpoint.network, data_dir)
    task.load()
    return task


def evaluate(
    checkpoint: AnyCheckpoint,
    data_dir: str | Path | None = None,
    limit: int | None = None,
    rungs: Collection[str] = RUNGS,
) -> dict[str, Any]:
    """Measure a checkpoint on the test set of its task.

    The integer metrics of a checkpoint are the same on every machine.

    Args:
        checkpoint: a model that names its task, one of ``qornn_hw.tasks.TASKS``.
        data_dir: folder with the task's data, or the file for the arrays task; generated tasks need none.
        limit: use only this number of sequences; None for all.
        rungs: which of the three networks to measure.

    Returns:
        ``{"task", "sequences", "blind_...", "float", "fake_quantized", "integer"}``. The last three have the
        same keys, those of the task's ``totals`` (docs/tasks.md). ``blind_`` plus the name of the task's
        first metric is the result of the best answer that ignores the input, if known. ``clipped_inputs`` is
        the number of clipped input entries of the whole test set, if there are any. ``float`` is missing if
        the checkpoint holds no float network
        (:meth:`qornn_hw.quantization.float_model.RealNetwork.trained`). A network of operations has
        ``integer`` only.

    Raises:
        CheckpointError: the checkpoint names no known task, or the network does not fit it.
        DataError: the data do not exist.
    """
    check_limit(limit)
    return evaluate_on(checkpoint, task_of(checkpoint, data_dir), limit, rungs)


def requantized_on_task(
    checkpoint: Checkpoint, state_bits: int, data_dir: str | Path | None = None
) -> Checkpoint:
    """Return a network with states of another width, calibrated and measured on its task.

    Args:
        checkpoint: a model whose ``task`` is named.
        state_bits: bits of the state, 4 to 16.
        data_dir: as for :func:`evaluate`.

    Returns:
        A checkpoint whose metrics are those of :func:`evaluate`, and ``quality``.

    Raises:
        FormatError: the network names no task, or the width cannot be.
        CheckpointError, DataError: as :func:`evaluate`.
    """
    if not checkpoint.task:
        raise FormatError(
            "the network must name a task whose inputs calibrate it; quantize its float weights again with "
            "the other state_bits, or try widths with `qornn-hw compare`"
        )
    task = task_of(checkpoint, data_dir)
    inputs = calibration_inputs(task, checkpoint.network.hidden_size)
    made = requantized(checkpoint, state_bits, inputs)
    return replace(made, metrics=evaluate(made, data_dir) | {"quality": made.metrics["quality"]})


def evaluate_on(
    checkpoint: AnyCheckpoint, task: Task, limit: int | None = None, rungs: Collection[str] = RUNGS
) -> dict[str, Any]:
    """Measure a checkpoint on the test set of a task that it fits; see :func:`evaluate`."""
    examples = task.test(limit)
    result: dict[str, Any] = {"task": task.name, "sequences": len(examples.inputs)}
    blind = task.blind()
    if blind is not None:
        result[f"blind_{task.metric}"] = rounded(blind)
    if clipped := task.clipped_inputs():
        result["clipped_inputs"] = clipped
    units = sum(state.size for state in operations_of(checkpoint.network).states.values())
    classes = examples.targets.dtype.kind in "iu"
    # The matrices are small: several threads would wait for each other, most of all on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        return result | {
            rung: measure(task, examples, answer, units)
            for rung, answer in _runners(checkpoint, rungs, classes=classes)
        }


# Upper limit for the steps over which the growth of a state is computed.
_LONGEST = 100_000
# Upper limit for matrix entries times steps, at 16 multiplications each; and the number of units from which
# singular values and eigenvalues take a second.
_MOST_PRODUCTS = 1 << 29
_MOST_UNITS = 512


def _length(task: dict[str, Any]) -> int:
    """Return the number of steps over which a network of a task remembers; 1000 if not known."""
    match task.get("name"):
        case "copy":
            known = task.get("blank")
        case "adding":
            known = task.get("steps")
        case "mnist":
            known = mnist.ROWS if task.get("order") == "rows" else mnist.ROWS**2
        case "speech":
            known = task.get("frames")
        case _:
            known = None
    return min(known, _LONGEST) if isinstance(known, int) and known > 0 else 1000


def _shown_metrics(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the recorded metrics, without those of latent weights, which are not a float network's."""
    latent = latent_weights(checkpoint)
    return {key: value for key, value in checkpoint.metrics.items() if not (latent and key == "float")}


def _orthogonality(checkpoint: Checkpoint) -> dict[str, Any] | str:
    """Return the report on W, or the reason why there is none; it takes about a second at most."""
    net = checkpoint.network
    n = net.hidden_size
    if n > _MOST_UNITS:
        return f"not computed beyond {_MOST_UNITS} hidden units; qornn_hw.evaluation.orthogonality does it"
    steps = min(_length(checkpoint.task), max(1, _MOST_PRODUCTS // (n * n)))
    step = accumulator_scales(net) / net.scales.state
    return orthogonality_report(net.recurrent_weight, step, net.weight_bits.recurrent, steps)


def info(checkpoint: AnyCheckpoint) -> dict[str, Any]:
    """Return the facts of a checkpoint that need no data: shapes, bits, scales, proved widths, memory."""
    if isinstance(checkpoint, NetworkCheckpoint):
        return _info_of_operations(checkpoint)
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
        "scales": asdict(s),
        "accumulator_bits": bounds.bits,
        "state_accumulator_bits": bounds.state_bits,
        "output_accumulator_bits": bounds.output_bits,
        "orthogonality": _orthogonality(checkpoint),
        "memory_bits": memory | {"total": sum(memory.values())},
        "macs_per_step": macs_per_step(net),
        "task": checkpoint.task,
        "metrics": _shown_metrics(checkpoint),
        # The training curve is left out; it is for plots.
        "provenance": {k: v for k, v in checkpoint.provenance.items() if k != "curve"},
    }


def _info_of_operations(checkpoint: NetworkCheckpoint) -> dict[str, Any]:
    """Return the facts of a network of operations."""
    net = checkpoint.network
    ranges, source = ranges_of(net), net.input
    rows = [op for op in net.operations if isinstance(op, MatVec)]
    # Operations with the same entries share one table.
    tables = {op.entries.tobytes(): op.entries for op in net.operations if isinstance(op, Table)}.values()
    memory = {
        "weights": sum(term.stored_bits for row in rows for term in row.terms),
        "tables": sum(
            entries.size * bits_for_range(int(entries.min()), int(entries.max())) for entries in tables
        ),
    }
    return {
        "layers": len(net.layers),
        "states": state_facts(net),
        "input_size": source.size,
        "output_size": net.output_size,
        "input": str(source.kind),
        "input_format": {"bits": source.format.bits, "signed": source.format.signed},
        "output_mode": str(net.readout.mode),
        "output_kind": str(net.readout.answer.kind),
        **({} if net.readout.answer.threshold is None else {"threshold": net.readout.answer.threshold}),
        "operations": Counter(op.op for op in net.operations),
        "scales": dict(net.scales) | {source.name: source.scale},
        "accumulator_bits": {row.name: ranges.bits(row.name) for row in rows},
        "memory_bits": memory | {"total": sum(memory.values())},
        "macs_per_step": macs_per_step(net),
        "task": checkpoint.task,
        "metrics": checkpoint.metrics,
        "provenance": {k: v for k, v in checkpoint.provenance.items() if k != "curve"},
    }
