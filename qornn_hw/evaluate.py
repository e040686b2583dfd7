"""Metrics of a checkpoint on its task's test set, and what can be said of it without data; NumPy only."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qornn_hw.bounds import accumulator_bounds
from qornn_hw.checkpoint import Checkpoint
from qornn_hw.errors import CheckpointError, FormatError
from qornn_hw.float_model import (
    RealNetwork,
    accumulator_scales,
    dequantized,
    dequantized_inputs,
    run_real,
)
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import IntegerNetwork
from qornn_hw.training.orthogonality import orthogonality_report
from qornn_hw.training.tasks import Examples, Task, make_task, mnist
from qornn_hw.training.tasks.measures import rounded

__all__ = ["RUNGS", "evaluate", "info", "measure", "require_interface", "task_of"]

RUNGS = ("float", "fake_quantized", "integer")

# Sequences at a time: no more than the caches like, and than the states of real networks have room for.
_BATCH = 250
_NUMBERS = 1 << 25

Logits = NDArray[np.floating[Any]]
Answer = Callable[[NDArray[np.int64]], Logits]


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
        yield "integer", lambda x: model.answers(x) * net.scales.output


def measure(
    task: Task, examples: Examples, answer: Callable[[NDArray[np.int64]], Logits], hidden_size: int
) -> dict[str, float]:
    """Return a task's metrics of one network on some sequences, in little memory.

    Args:
        task: whose metrics.
        examples: the sequences.
        answer: from integer inputs to logits in real units, (count, steps or 1, p).
        hidden_size: n; it bounds how many sequences are computed together.
    """
    count, steps = examples.inputs.shape[:2]
    batch = max(1, min(_BATCH, _NUMBERS // (steps * (hidden_size + task.outputs))))
    totals: dict[str, float] = {}
    # Real weights that were never meant to run may diverge; that is a result, too.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, count, batch):
            part = slice(start, start + batch)
            found = task.totals(answer(examples.inputs[part]), examples.targets[part])
            totals = {key: totals.get(key, 0.0) + value for key, value in found.items()}
        return task.metrics(totals, count)


def _signedness(signed: bool) -> str:
    return "signed" if signed else "unsigned"


def require_interface(network: IntegerNetwork, task: Task) -> None:
    """Check that a network takes what a task hands out, and answers what it asks.

    Raises:
        CheckpointError: it does not.
    """
    wanted = (task.inputs, task.input_kind, task.outputs)
    if (network.input_size, network.input_kind, network.output_size) != wanted:
        raise CheckpointError(
            f"a network of the {task.name} task must have {task.inputs} {task.input_kind} inputs and "
            f"{task.outputs} outputs, not {network.input_size} {network.input_kind} inputs and "
            f"{network.output_size} outputs"
        )
    if network.output_mode is not task.output_mode:
        raise CheckpointError(
            f"network.output_mode of the {task.name} task must be {task.output_mode}, "
            f"not {network.output_mode}"
        )
    if not network.vector_input:
        return
    form = network.input_format
    if (form.bits, form.signed) != (task.input_bits, task.input_signed):
        raise CheckpointError(
            f"network.input_format of the {task.name} task must be {_signedness(task.input_signed)} and of "
            f"{task.input_bits} bits, not {_signedness(form.signed)} and of {form.bits}"
        )
    # A full scale of 2**b or of 2**b - 1 units are both usual.
    scale = network.scales.input
    if abs(scale / task.input_scale - 1) > 1.01 / max(form.max, 1):
        raise CheckpointError(
            f"network.scales.input of the {task.name} task must be {task.input_scale:.6g}, not {scale:.6g}; "
            f"export with input_scale={task.input_scale:.6g}"
        )


def task_of(checkpoint: Checkpoint, data_dir: str | Path | None = None) -> Task:
    """Return the task of a checkpoint, with its data; task, network and data are checked in this order.

    Raises:
        CheckpointError: the checkpoint names no task that is known here, or the network does not fit it.
        DataError: the data are absent.
    """
    net = checkpoint.network
    bits = net.input_format.bits if net.vector_input else None
    task = make_task(checkpoint.task, data_dir, bits, load=False)
    require_interface(net, task)
    task.load()
    return task


def evaluate(
    checkpoint: Checkpoint,
    data_dir: str | Path | None = None,
    limit: int | None = None,
    rungs: Collection[str] = RUNGS,
) -> dict[str, Any]:
    """Measure a checkpoint on the test set of its task.

    The same checkpoint gives the same integer metrics on every machine.

    Args:
        checkpoint: a model whose ``task`` is named, one of ``qornn_hw.training.tasks.TASKS``.
        data_dir: folder with the task's data, or for the arrays task the file; generated tasks need none.
        limit: use only the first so many sequences.
        rungs: which of the three to measure.

    Returns:
        ``{"task", "sequences", "blind_...", "float", "fake_quantized", "integer"}``, the three with the same
        keys, those of the task's ``totals`` (docs/tasks.md). blind_ and the name of the task's first metric
        is what the best answer without any input gets, where that is known. float is missing where the
        checkpoint holds no float weights.

    Raises:
        CheckpointError: the checkpoint names no task that is known here, or the network does not fit it.
        DataError: the data are absent.
        FormatError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise FormatError(f"limit must be at least 1, not {limit}")
    net = checkpoint.network
    task = task_of(checkpoint, data_dir)
    examples = task.test(limit)
    result: dict[str, Any] = {"task": task.name, "sequences": len(examples.inputs)}
    blind = task.blind()
    if blind is not None:
        result[f"blind_{task.metric}"] = rounded(blind)
    # The matrices are small: more threads would wait for each other, the longer the busier the machine.
    with threadpool_limits(1, user_api="blas"):
        return result | {
            rung: measure(task, examples, answer, net.hidden_size)
            for rung, answer in _runners(checkpoint, rungs)
        }


# Steps over which the growth of a state is followed at most.
_LONGEST = 1_000_000


def _length(task: dict[str, Any]) -> int:
    """Return the steps over which a network of a task remembers; 1000 where that is not known."""
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
        "orthogonality": orthogonality_report(
            net.recurrent_weight, accumulator_scales(net) / s.state, bits.recurrent, _length(checkpoint.task)
        ),
        "memory_bits": memory | {"total": sum(memory.values())},
        "macs_per_step": net.macs_per_step,
        "task": checkpoint.task,
        "metrics": checkpoint.metrics,
        # The training curve is for plots, not for reading.
        "provenance": {k: v for k, v in checkpoint.provenance.items() if k != "curve"},
    }
