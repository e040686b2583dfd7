"""The stages of a training: real weights, quantized weights, rounded states.

Before the last stage the network is exported once. The export chooses the grid of the states, and the weights
are then trained on this grid. A linear network on the copy task is computed without a loop over the blanks
(:mod:`matrix_power`); there the accumulated rounding error is added as noise.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from qornn_hw.cells.elman_network import InputKind, IntegerNetwork
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.tasks import CopyTask, Task
from qornn_hw.tasks import copy as copy_task
from qornn_hw.training.cells import QORNN, ratio
from qornn_hw.training.config import Method, RunConfig
from qornn_hw.training.matrix_power import copy_logits
from qornn_hw.training.objectives import Objective, answers_loss
from qornn_hw.training.penalty import orthogonality_penalty
from qornn_hw.training.projunn import ProjUNN
from qornn_hw.training.trained_checkpoint import trained_checkpoint
from qornn_hw.training.trainer import Stage, Trainer

__all__ = ["run_stages"]

# Number of sequences of a copy batch whose blank outputs count: the blanks of all sequences are equal.
_BLANK_BATCH = 16


def run_stages(config: RunConfig, task: Task, cell: QORNN, trainer: Trainer) -> Checkpoint:
    """Run the stages of a training, and return the final network without its metrics."""
    real, quantized, rounded = config.stages(task)
    method = Method(config.method)
    if method is Method.PTQ:
        real, quantized, rounded = real + quantized, 0, 0
    if real:

        def unrounded() -> None:
            cell.round_weights = False

        trainer.run(_stage("real weights", real, config, task, cell, 1.0), unrounded)
        cell.round_weights = True
    if quantized:
        stage = _stage(
            "quantized weights",
            quantized,
            config,
            task,
            cell,
            config.quantized_rate,
            recurrent_rate=config.quantized_recurrent_rate,
            hold=config.hold,
        )
        # A warm start that keeps its integers has a fixed step.
        search = config.orthogonal_rounding and cell.held_step is None
        trainer.run(stage, cell.round_orthogonally if search else None)
    if rounded:

        def on_the_grid() -> None:
            network = trained_checkpoint(cell, config, task, trainer).network
            if _linear(task, cell):
                cell.noise_step = network.scales.state
                return
            # Keep the grid that the export of the network so far chooses.
            cell.input_scale = _input_scale(task)
            cell.state_shift = _state_shift(network, cell)
            cell.state_bits = config.state_bits

        # Products in bfloat16 would round the rounded states again.
        cell.bfloat16_products = False
        stage = _stage("rounded states", rounded, config, task, cell, config.finetune_rate, finetune=True)
        trainer.run(stage, on_the_grid)
    return trained_checkpoint(cell, config, task, trainer)


def _linear(task: Task, cell: QORNN) -> bool:
    """Return whether a power of W replaces the loop over the blanks."""
    return isinstance(task, CopyTask) and cell.activation.function.linear


def _input_scale(task: Task) -> float:
    return task.training_scale if task.input_kind is InputKind.VECTOR else 1.0


def _stage(
    title: str,
    iterations: int,
    config: RunConfig,
    task: Task,
    cell: QORNN,
    rate: float,
    recurrent_rate: float = 1.0,
    hold: float = 1.0,
    finetune: bool = False,
) -> Stage:
    """Return a stage with its optimizers.

    The learning rates are multiplied by ``rate``, that of W also by ``recurrent_rate``. W and U are frozen
    after the fraction ``hold`` of the stage.
    """
    adam = []
    optimizers: list[Optimizer] = []
    if config.train_recurrent and (config.finetune_recurrent or not finetune):
        recurrent_rate *= rate * config.learning_rate_recurrent
        group = {"params": [cell.recurrent_weight], "rate": recurrent_rate, "hold": hold}
        if config.method == Method.PROJUNN:
            optimizers.append(
                ProjUNN(
                    [group],
                    lr=recurrent_rate,
                    rank=min(config.projunn_rank, config.hidden),
                    projection="D" if config.projunn_projection == "D" else "T",
                    sampler="lsi" if config.projunn_sampler == "lsi" else "column",
                    lr_divider=1.0,
                    seed=config.seed,
                )
            )
        else:
            adam.append(group)
    else:
        cell.recurrent_weight.requires_grad_(False)
    inner = [cell.input_weight, *([] if cell.activation.function.linear else [cell.bias])]
    if config.linear_start:
        inner.append(cell.initial_state)
    adam.append({"params": inner, "rate": rate * config.learning_rate_input, "hold": hold})
    outer = [cell.output_weight, cell.output_bias]
    adam.append({"params": outer, "rate": rate * config.learning_rate_output, "hold": 1.0})
    optimizers.append(torch.optim.Adam(adam, lr=config.learning_rate_output, betas=(0.9, 0.99)))
    return Stage(
        f"{config.command}, {title}",
        iterations,
        _objective(config, task, cell),
        optimizers,
        # The result on the grid must not be worse than its start.
        keep_start=finetune,
    )


def _objective(config: RunConfig, task: Task, cell: QORNN) -> Objective:
    """Return the loss function of a batch."""
    if _linear(task, cell):
        plain: Objective = _linear_copy
    else:
        plain = answers_loss(task)
    if config.method != Method.PENALTY:
        return plain

    def penalized(
        cell: QORNN, x: Tensor, targets: Tensor, state: Any, lengths: Tensor | None = None
    ) -> tuple[Tensor, dict[str, float], Any]:
        loss, shown, state = plain(cell, x, targets, state, lengths)
        penalty = orthogonality_penalty(cell.quantized().recurrent)
        return loss + config.penalty * penalty, shown | {"penalty": float(penalty.detach())}, state

    return penalized


def _linear_copy(
    cell: QORNN, x: Tensor, targets: Tensor, state: Any, lengths: Tensor | None = None
) -> tuple[Tensor, dict[str, float], Any]:
    """Compute what :func:`answers_loss` does for a linear network, without a loop over the blanks."""
    quiet, answers = copy_logits(cell, x, _BLANK_BATCH)
    wanted = targets[:, -copy_task.RECALL :]
    loss = functional.cross_entropy(answers.flatten(0, 1), wanted.flatten())
    silence = torch.zeros(quiet.shape[0] * quiet.shape[1], dtype=torch.long, device=quiet.device)
    blank = functional.cross_entropy(quiet.flatten(0, 1), silence)
    loss = loss + blank * (quiet.shape[1] / copy_task.RECALL)
    right = (answers.detach().argmax(-1) == wanted).float().mean()
    return loss, {"recall": float(right)}, None


def _state_shift(network: IntegerNetwork, cell: QORNN) -> int:
    """Return e of ``s_h = d_U s_x / (d_W 2**e)``, a whole number for homogeneous activations.

    If a vector input needs e < 0, the states saturate instead: the accumulator has no finer U, and training
    copes better with rare saturation than with a coarser U.
    """
    if network.activation.function.bounded:
        return 0
    with torch.no_grad():
        d_w, d_u, _ = cell.quantized().steps
    e = round(math.log2(ratio(d_u, d_w) * cell.input_scale / network.scales.state))
    return max(e, 0) if network.vector_input else e
