"""The training of a stack of cells: real numbers, then the integers' rounding; and its network."""

from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import Parameter
from torch.optim import AdamW

from qornn_hw.arguments import choice_of
from qornn_hw.cells.dense import Dense
from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import FormatError, TrainingError
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.kinds import InputKind, OutputKind
from qornn_hw.ir.network import Network
from qornn_hw.quantization.cell_lowering import CellBits, LoweredLayer
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.requantize import calibration_inputs
from qornn_hw.quantization.stack import RealStack, quantize_stack
from qornn_hw.tasks import Task
from qornn_hw.training.cell_stack import CellStack
from qornn_hw.training.coarse_images import STEPS_RATIO, halved
from qornn_hw.training.command_line import command_line
from qornn_hw.training.config import check_answer
from qornn_hw.training.objectives import answers_loss
from qornn_hw.training.stack_configs import StackConfig
from qornn_hw.training.trainer import Stage, Trainer

__all__ = ["make_stack", "run_stack_stages", "trained_network"]


def make_stack(config: StackConfig, task: Task) -> CellStack:
    """Return the module at the start of a training, with weights of the configuration's seed."""
    check_options(config, task)
    random = np.random.default_rng(config.seed)
    memory = config.memory or task.training_batch(task.first_full_batch, 1, 0).inputs.shape[1] / 2
    n = config.hidden
    kind = CELLS[config.cell]
    given = {"block": config.block} if config.block else {}
    inputs = [task.inputs, *[n] * (config.layers - 1)]
    cells = [kind.start(m, n, random, memory, **given) for m in inputs]
    if config.dense:
        cells.append(Dense.start(n, config.dense, random))
    read = cells[-1].units
    reach = np.sqrt(6.0 / (read + task.outputs))
    stack = RealStack(
        tuple(cells),
        random.uniform(-reach, reach, (task.outputs, read)),
        np.zeros(task.outputs),
        one_hot=task.input_kind is InputKind.ONE_HOT,
        # A linear network without a relu would compute one matrix.
        output_relu=kind.linear and not config.dense,
    )
    return CellStack(stack, bits_of(config), config.output_bits, config.dropout, orthogonal=True)


def check_options(config: StackConfig, task: Task) -> None:
    """Raise a FormatError for an option that would have no effect on the training of this task or cell."""
    check_answer(config, task)
    kind = CELLS[config.cell]
    if config.memory and not kind.start_fields(np.ones(1)):
        raise FormatError(f"memory must be 0 for cell {config.cell}, which has no gates, not {config.memory}")
    if config.block and "block" not in (f.name for f in fields(kind)):
        raise FormatError(f"block must be 0 for cell {config.cell}, which has no blocks, not {config.block}")
    targets = task.training_batch(task.first_full_batch, 1, 0).targets
    if config.label_smoothing and (targets.dtype.kind == "f" or task.outputs == 1):
        raise FormatError(
            f"label_smoothing must be 0 for values and for one output, not {config.label_smoothing}"
        )


def bits_of(config: StackConfig) -> CellBits:
    """Return the widths of a configuration."""
    return CellBits(
        weights=config.bits,
        states=config.state_bits,
        gates=config.gate_bits,
        index=config.index_bits,
        values=config.value_bits,
        multiplier=config.multiplier_bits,
    )


def run_stack_stages(
    config: StackConfig, task: Task, module: CellStack, trainer: Trainer
) -> NetworkCheckpoint:
    """Run the stages of a training, and return the network without its metrics."""
    coarse, real, weights, rounded = config.stages(task)
    module.views["halved images"] = halved
    if coarse:

        def halve() -> None:
            module.slow(1.0 / STEPS_RATIO)
            module.view = "halved images"

        trainer.run(_stage("halved images", coarse, config, task, module, list(module.weights()), 1.0), halve)
    if real:

        def whole() -> None:
            if module.view:
                module.slow(STEPS_RATIO)
                module.view = ""

        rate = config.real_factor
        trainer.run(_stage("real numbers", real, config, task, module, list(module.weights()), rate), whole)
    parameters = [*module.weights(), *module.logarithms()]
    for title, iterations, values in (("rounded weights", weights, False), ("integers", rounded, True)):
        if iterations:
            stage = _stage(title, iterations, config, task, module, parameters, config.quantized_rate)
            trainer.run(replace(stage, keep_start=True), partial(_hold, config, task, module, values))
    return trained_network(config, task, module, trainer)


def _hold(config: StackConfig, task: Task, module: CellStack, values: bool) -> None:
    """Let the module round with the units of its network as it is."""
    network, layers = _lowered(config, task, module)
    module.hold(layers, network.scales["logits"] / float(layers[-1].output.scale[0]), values=values)


def _stage(
    title: str,
    iterations: int,
    config: StackConfig,
    task: Task,
    module: CellStack,
    parameters: list[Parameter],
    rate: float,
) -> Stage:
    recurrent = {id(p) for p in module.recurrent_weights()}
    matrices = {id(p) for p in module.matrices()} - recurrent
    others = {id(p) for p in parameters} - recurrent - matrices
    rate *= config.learning_rate
    groups = [
        {
            "params": [p for p in parameters if id(p) in chosen],
            "rate": own,
            "hold": 1.0,
            "weight_decay": decay,
        }
        for chosen, own, decay in (
            (recurrent, rate * config.recurrent_rate, 0.0),
            (matrices, rate, config.weight_decay),
            (others, rate, 0.0),
        )
        if chosen
    ]
    return Stage(
        f"{config.command}, {title}",
        iterations,
        answers_loss(task, config.label_smoothing),
        [AdamW(groups, lr=rate, betas=(0.9, 0.99))],
    )


def _lowered(config: StackConfig, task: Task, module: CellStack) -> tuple[Network, list[LoweredLayer]]:
    """Return the integers of the module's parameters, in the units of training."""
    integers = calibration_inputs(task, config.hidden, config.seed)
    grid = None
    inputs: NDArray[Any] = integers
    if task.input_kind is InputKind.VECTOR:
        unit = np.full(task.inputs, task.training_scale)
        form = IntFormat(task.input_bits, signed=task.input_signed)
        grid = InputGrid(form, unit, np.zeros(task.inputs))
        inputs = grid.real(integers)
    kind = choice_of("output_kind", config.output_kind, OutputKind)
    try:
        return quantize_stack(
            module.stack(),
            inputs,
            grid,
            bits=bits_of(config),
            output_bits=config.output_bits,
            mode=task.output_mode,
            kind=kind,
            held=module.grids(),
        )
    except FormatError as error:
        raise TrainingError(f"the trained network must have integers of its widths, but {error}") from error


def trained_network(
    config: StackConfig, task: Task, module: CellStack, trainer: Trainer
) -> NetworkCheckpoint:
    """Return the integer network of the module in training, in the user's units, without its metrics."""
    network, _ = _lowered(config, task, module)
    if task.input_kind is InputKind.VECTOR:
        scales, offsets = (
            tuple(np.broadcast_to(np.asarray(value, dtype=np.float64), (task.inputs,)).tolist())
            for value in (task.input_scale, task.input_offset)
        )
        network = replace(network, input=replace(network.input, scale=scales, offset=offsets))
    if task.output_scale != 1.0 or np.any(task.output_offset):
        network = _in_output_units(network, task)
    provenance = {
        "command": command_line(config, trainer.device.type),
        "seed": config.seed,
        "torch": torch.__version__,
        "seconds": round(trainer.seconds, 1),
        "curve": trainer.curve,
    }
    return NetworkCheckpoint(network, task.description(), {}, provenance)


def _in_output_units(network: Network, task: Task) -> Network:
    """Return a network whose logits have the unit of the task's values, with their offset."""
    scale = network.scales["logits"] * task.output_scale
    readout = network.readout
    offset = np.rint(np.broadcast_to(task.output_offset, (task.outputs,)) / scale).astype(np.int64)
    logits = replace(readout.logits, bias=readout.logits.bias + offset)
    return replace(
        network, readout=replace(readout, logits=logits), scales={**network.scales, "logits": scale}
    )
