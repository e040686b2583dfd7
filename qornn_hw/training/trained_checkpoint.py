"""The checkpoint of a network in training: its integers, its float weights and its origin."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, WeightBits
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint
from qornn_hw.quantization.quantize import export
from qornn_hw.quantization.requantize import calibration_inputs
from qornn_hw.tasks import Task
from qornn_hw.training.cells import QORNN, Quantized
from qornn_hw.training.command_line import command_line
from qornn_hw.training.config import Method, RunConfig
from qornn_hw.training.trainer import Trainer
from qornn_hw.training.units import real_weights

__all__ = ["trained_checkpoint"]


def trained_checkpoint(cell: QORNN, config: RunConfig, task: Task, trainer: Trainer) -> Checkpoint:
    """Return the integer network of the network in training, without its metrics."""
    cell.eval()
    with torch.no_grad():
        q = cell.quantized().cpu()
    integers = calibration_inputs(task, config.hidden, config.seed)
    vector = task.input_kind is InputKind.VECTOR
    options = _input_options(task)
    if q.grid is not None:
        # Any value between half the full scale and the full scale gives this step.
        options["state_range"] = 0.75 * q.grid.step * 2.0 ** (config.state_bits - 1)
    # The export quantizes weights that training has not quantized.
    d_w, d_u, d_v = q.steps
    options["weight_steps"] = (d_w, d_u, d_v * task.output_scale) if cell.round_weights else None
    # A warm start can have an initial state that is not learned.
    starts = config.linear_start > 0 or bool(cell.initial_state.any())
    real = _float_weights(cell, q, task, starts)
    checkpoint = export(
        q.recurrent,
        q.input,
        q.output * task.output_scale,
        activation=config.activation,
        calibration_inputs=integers * task.training_scale if vector else integers,
        bias=cell.bias,
        output_bias=real["output_bias"],
        initial_state=cell.initial_state if starts else None,
        weight_bits=WeightBits(cell.recurrent_bits, config.bits, config.output_bits),
        state_bits=config.state_bits,
        output_mode=str(task.output_mode),
        output_kind=config.output_kind,
        rounding=config.rounding,
        multiplier_bits=config.multiplier_bits,
        float_weights=real,
        # Training measures the quality with its task.
        quality=False,
        task=task.description(),
        provenance=_provenance(cell, config, task, trainer),
        **options,
    )
    if not vector:
        return checkpoint
    # The integers are in the units of training; the scales are those of the user's inputs.
    scales = replace(checkpoint.network.scales, input=task.input_scale, input_offset=task.input_offset)
    return replace(checkpoint, network=replace(checkpoint.network, scales=scales))


def _input_options(task: Task) -> dict[str, Any]:
    """Return the options of the export for the task's inputs, in the units of training."""
    if task.input_kind is not InputKind.VECTOR:
        return {"input": "one_hot"}
    return {
        "input": "vector",
        "input_bits": task.input_bits,
        "input_signed": task.input_signed,
        "input_scale": task.training_scale,
    }


def _float_weights(cell: QORNN, q: Quantized, task: Task, starts: bool) -> dict[str, NDArray[Any]]:
    """Return the float weights in the user's units; the initial state only if ``starts``."""
    plain = {"recurrent_weight": q.plain.detach()}
    for name in (
        "input_weight",
        "output_weight",
        "bias",
        "output_bias",
        *(["initial_state"] if starts else []),
    ):
        plain[name] = getattr(cell, name).detach().cpu()
    return real_weights({name: values.numpy() for name, values in plain.items()}, task)


def _provenance(cell: QORNN, config: RunConfig, task: Task, trainer: Trainer) -> dict[str, Any]:
    """Return the origin of the network: command, method, seed, versions, time and training curve."""
    return {
        "command": command_line(config, trainer.device.type),
        "method": config.method,
        "norm_preserving": config.norm_preserving,
        "float_weights": "latent" if _latent(config, task, cell) else "fitted",
        "seed": config.seed,
        "torch": torch.__version__,
        "seconds": round(trainer.seconds, 1),
        "curve": trainer.curve,
        **_started_from(config),
    }


def _latent(config: RunConfig, task: Task, cell: QORNN) -> bool:
    """Return whether the real weights were last trained behind a rounding, not as a float network."""
    _, quantized, rounded = config.stages(task)
    return cell.round_weights and Method(config.method) is not Method.PTQ and quantized + rounded > 0


def _started_from(config: RunConfig) -> dict[str, Any]:
    """Return the origin of the warm start, for the provenance."""
    if not config.warm_start:
        return {}
    before = load_checkpoint(Path(config.warm_start)).provenance
    return {"warm_start": {k: v for k, v in before.items() if k != "curve"}}
