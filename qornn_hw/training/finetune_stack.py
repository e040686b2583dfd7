"""Fine-tuning of gated and several layers: a training of the integers from a float network's parameters."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import torch

from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.evaluate import evaluate_on
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.importers.affine import AffineMap
from qornn_hw.importers.folding import with_front
from qornn_hw.importers.imported import Imported
from qornn_hw.ir.kinds import InputKind, OutputMode
from qornn_hw.ir.serial import network_digest
from qornn_hw.quantization.stack import RealStack
from qornn_hw.quantization.stack_quality import stack_quality
from qornn_hw.tasks import ArraysTask, Task
from qornn_hw.tasks.array_files import checked
from qornn_hw.terminal.text import say
from qornn_hw.training.cell_stack import CellStack
from qornn_hw.training.finetune_data import (
    integer_answers,
    is_worse,
    measured,
    units_of,
    validated,
    worse_warning,
)
from qornn_hw.training.stack_configs import ArraysStackConfig
from qornn_hw.training.stack_stages import bits_of, check_options, run_stack_stages, trained_network
from qornn_hw.training.trainer import Trainer
from qornn_hw.training.units import input_units

__all__ = ["FinetuneStackConfig", "finetune_stack"]


@dataclass(frozen=True, kw_only=True)
class FinetuneStackConfig(ArraysStackConfig):
    """Fine-tuning of gated and several layers on your own arrays.

    Attributes:
        epochs: passes over the training sequences with weights and states rounded; by default about 1000
            optimizer steps, at least 5 passes.
        float_epochs: passes before them with real numbers.
    """

    command: ClassVar[str] = "finetune"

    task_file: str = ""
    float_epochs: int | None = 0
    learning_rate: float = 1e-3
    quantized_rate: float = 1.0


def finetune_stack(
    found: Imported, arrays: dict[str, Any], wanted: Mapping[str, Any], quiet: bool
) -> NetworkCheckpoint:
    """Return the best network of a training that starts from a float network.

    Args:
        found: the float network.
        arrays: of the arrays task.
        wanted: fields of :class:`FinetuneStackConfig` by name.
        quiet: print no progress.

    Raises:
        FormatError: an option is unknown or out of range.
        DataError: the data do not fit the network.
        TrainingError: the loss is not finite.
    """
    config = _config(found.stack, wanted)
    task = _task(found.stack, arrays, config.input_bits)
    check_options(config, task)
    task.load()
    if not quiet:
        say("\n".join([f"finetune: {task.summary()}", *task.clipped_text()]), file=sys.stderr, flush=True)
    torch.manual_seed(config.seed)
    module = CellStack(
        _in_training_units(found.stack, task), bits_of(config), config.output_bits, config.dropout
    )
    trainer = Trainer(module, task, config, quiet, None)
    candidates = {"rounded": trained_network(config, task, module, trainer)}
    candidates["tuned"] = run_stack_stages(config, task, module, trainer)
    # ``max`` over the reversed names prefers the trained one of equally good networks.
    kept = max(reversed(candidates), key=lambda name: validated(candidates[name].network, task))
    if network_digest(candidates["tuned"].network) == network_digest(candidates["rounded"].network):
        kept = "rounded"
    # The call, because the command has not all of its options.
    given = "".join(f", {name}={value!r}" for name, value in sorted(wanted.items()))
    command = f"qornn_hw.finetune(MODEL, DATA{given})"
    made = candidates[kept]
    imported = {"difference": found.difference, "notes": list(found.notes)}
    provenance = {**made.provenance, "command": command, "kept": kept, "imported": imported}
    made = replace(made, provenance=provenance)
    return replace(made, metrics=_metrics(made, candidates["rounded"], found.stack, task, arrays))


def _config(stack: RealStack, wanted: Mapping[str, Any]) -> FinetuneStackConfig:
    # The network, the data or the way of training decide these.
    known = {f.name for f in fields(FinetuneStackConfig)} - {
        "task_file", "cell", "hidden", "layers", "dense", "memory", "one_output", "checkpoint_minutes",
        "recurrent_rate",
    }  # fmt: skip
    for name in wanted:
        if name not in known:
            raise FormatError(
                f"{name} must be left out for gated and several layers, which have no such option"
            )
    units = max(cell.units for cell in stack.cells)
    return FinetuneStackConfig(**wanted, hidden=units, layers=len(stack.cells))


def _task(stack: RealStack, arrays: dict[str, Any], input_bits: int) -> ArraysTask:
    task = ArraysTask(
        None, input_bits, inputs=stack.cells[0].inputs, outputs=len(stack.output_bias), arrays=arrays
    )
    if (task.input_kind is InputKind.ONE_HOT) != stack.one_hot:
        kind = "indices" if stack.one_hot else "vectors"
        raise DataError(f"inputs must be {kind}, as the network's, not {task.input_kind}")
    return task


def _in_training_units(stack: RealStack, task: Task) -> RealStack:
    """Return the stack on the inputs of training, with the outputs of training."""
    cells = stack.cells
    if not stack.one_hot:
        gain, offsets = input_units(task)
        cells = (
            with_front(cells[0], AffineMap(np.diag(1.0 / gain), np.asarray(offsets, dtype=np.float64))),
            *cells[1:],
        )
    return replace(
        stack,
        cells=cells,
        output_weight=stack.output_weight / task.output_scale,
        output_bias=(stack.output_bias - task.output_offset) / task.output_scale,
    )


def _metrics(
    made: NetworkCheckpoint,
    rounded: NetworkCheckpoint,
    stack: RealStack,
    task: ArraysTask,
    arrays: dict[str, Any],
) -> dict[str, Any]:
    """Return the metrics of the result, of the float and of the rounded network, and the quality."""
    test, last = task.test(), task.output_mode is OutputMode.LAST_STEP
    # The user's own numbers: the float network gets unrounded inputs, and clipped entries are counted.
    inputs = checked(arrays, "")["test"].inputs
    given = replace(test, inputs=inputs if stack.one_hot else inputs.astype(np.float64))
    units = units_of(made.network)

    def real(x: Any) -> Any:
        answers = stack.run(x)
        return answers[:, -1:] if last else answers

    metrics = evaluate_on(made, task) | {
        "start": measured(task, given, real, units),
        "rounded": measured(task, test, integer_answers(rounded.network), units),
    }
    lengths = given.lengths if given.lengths is not None else [given.inputs.shape[1]] * len(given.inputs)
    sequences = [one[:steps] for one, steps in zip(given.inputs, lengths, strict=True)]
    report = stack_quality(made.network, stack, sequences, {}).to_metrics()
    # A trained network can answer well, and otherwise than the given one: only a worse metric is a fault.
    report["warnings"] = [worse_warning(metrics, task)] if is_worse(metrics, task) else []
    return metrics | {"quality": report}
