"""The network at the start of a training: random, structured, or from a checkpoint."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qornn_hw.cells.elman_network import Activation, InputKind
from qornn_hw.cells.rotating import rotations
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint
from qornn_hw.ir.formats import Rounding
from qornn_hw.tasks import CopyTask, Task
from qornn_hw.training.cells import QORNN
from qornn_hw.training.config import Method, RunConfig
from qornn_hw.training.warm_start import begin_with

__all__ = ["make_cell"]


def make_cell(config: RunConfig, task: Task, before: Checkpoint | None = None) -> QORNN:
    """Return the network at the start of a training.

    Args:
        config: the run's configuration.
        task: its task, loaded.
        before: a checkpoint with the initial weights; by default that of ``config.warm_start``, or random
            weights without one.
    """
    activation = Activation(config.activation)
    tied = activation.function.bounded and task.input_kind is InputKind.VECTOR
    cell = QORNN(
        task.inputs,
        config.hidden,
        task.outputs,
        activation,
        config.bits,
        config.output_bits,
        method=Method(config.method),
        block=config.block,
        norm_preserving=config.norm_preserving,
        per_row=config.per_row,
        multiplier_bits=config.multiplier_bits,
        fixed_scales=(config.state_bits, task.training_scale) if tied else None,
        learned_start=config.linear_start > 0,
        rounding=Rounding(config.rounding),
    )
    cell.bfloat16_products = config.bfloat16
    with torch.no_grad():
        if isinstance(task, CopyTask):
            # The initial answer is always "blank", without a random readout.
            cell.output_weight.zero_()
            cell.output_bias.zero_()
            cell.output_bias[0] = 6.0
        if cell.signs is not None:
            cell.recurrent_weight.copy_(cell.signs.balanced())
        elif config.first_matrix == "identity":
            nn.init.eye_(cell.recurrent_weight)
        elif config.first_matrix == "rotations":
            _make_rotations(cell, config.hidden)
        elif config.first_matrix == "integrators":
            _make_integrators(cell, config.hidden)
        if before is not None:
            begin_with(cell, before, "model", config, task)
        elif config.warm_start:
            path = Path(config.warm_start)
            begin_with(cell, load_checkpoint(path), str(path), config, task)
        elif config.linear_start:
            cell.initial_state.fill_(config.linear_start)
            cell.bias.copy_(cell.initial_state - cell.quantized().recurrent @ cell.initial_state)
    return cell


def _make_rotations(cell: QORNN, hidden: int) -> None:
    """Set W to rotations of pairs of units by the angle ``tan(a / 2)``, a uniform in [0, pi / 2).

    This is the exponential of the block-diagonal "Cayley" initialization of expRNN (arXiv 1901.08428). With
    an odd number of units, the last one keeps its value.
    """
    angles = torch.tan(torch.rand(hidden // 2, dtype=torch.float64) * (math.pi / 4))
    cell.recurrent_weight.copy_(torch.from_numpy(rotations(angles.numpy(), hidden)))


def _make_integrators(cell: QORNN, hidden: int) -> None:
    """Initialize the first half of the units as coincidence detectors, and the second half as integrators.

    A unit of the first half has no memory, positive input weights, and a bias that cancels the largest
    weight, so a single input of 0 to 1 does not activate it. The second half receives no input and no bias,
    not even during training: an error of one quantization step would be added in each of the T steps.
    """
    half = hidden // 2
    detectors = hidden - half
    cell.recurrent_weight.zero_()
    for column in (0, detectors):
        cell.recurrent_weight[detectors:, column : column + half] = torch.eye(half)
    cell.input_weight[detectors:] = 0.0
    cell.input_weight[:detectors].abs_()
    trained = torch.zeros(hidden)
    trained[:detectors] = 1.0
    hook: Any = cell.input_weight.register_hook  # torch gives it no types
    hook(lambda gradient: gradient * trained[:, None].to(gradient.device))
    if cell.bias.requires_grad:
        cell.bias[:detectors] = -cell.input_weight[:detectors].amax(dim=1)
        hook = cell.bias.register_hook
        hook(lambda gradient: gradient * trained.to(gradient.device))
