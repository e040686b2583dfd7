"""Training of the copy task.

Stage 1 trains everything; W's and U's rates end at three quarters of the run, since each step of W flips
some quantized weights and W**T0 is then a new map. Stage 2 keeps W and trains U, V and c with the noise that
rounding the state brings, ``LSB sqrt(t / 12)`` after t steps, which is what makes few state bits do.

An identity network is linear, so its blank part needs no loop: with ``A = [[W, u_blank], [0, 1]]`` the states
of all T0 blanks follow by doubling, ``[h_1 .. h_2L] = [h_1 .. h_L, A**L h_1 .. A**L h_L]``.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from qornn_hw.checkpoint import Checkpoint
from qornn_hw.evaluate import evaluate
from qornn_hw.exporting import export
from qornn_hw.network import Activation, WeightBits
from qornn_hw.training.cells import QORNN, Quantized
from qornn_hw.training.config import CopyConfig, command_line
from qornn_hw.training.loop import Reporter, cosine, one_thread
from qornn_hw.training.tasks import copy

__all__ = ["blank_states", "train_copy"]

# Sequences of a batch whose blank outputs are part of the loss; the blanks of all are alike.
_BLANK_BATCH = 16
# Stage 1 ends for W and U here.
_FREEZE = 0.75


def blank_states(q: Quantized, state: Tensor, steps: int, keep: int) -> tuple[Tensor, Tensor]:
    """Return what ``steps`` blanks make of the state of a linear network, without a loop over them.

    Args:
        q: the weights.
        state: h, (batch, n).
        steps: T0, at least 1.
        keep: sequences of which every state is wanted.

    Returns:
        The states after each blank of the first ``keep`` sequences, (keep, steps, n), and the last state of
        all, (batch, n).
    """
    n = state.shape[1]
    last_row = state.new_zeros(1, n + 1)
    last_row[0, n] = 1.0
    power = torch.cat([torch.cat([q.recurrent, q.input[:, :1]], dim=1), last_row]).T
    end = torch.cat([state, state.new_ones(len(state), 1)], dim=1)
    run = (end[:keep] @ power).unsqueeze(1)
    left = steps
    while True:
        if left & 1:
            end = end @ power
        left >>= 1
        if run.shape[1] < steps:
            more = run[:, : steps - run.shape[1]] @ power
            run = torch.cat([run, more], dim=1)
        if left == 0:
            return run[..., :n], end[:, :n]
        power = power @ power


def _loss(
    cell: QORNN, q: Quantized, x: Tensor, targets: Tensor, config: CopyConfig, lsb: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the loss, the recall accuracy and the largest state of a batch.

    The loss is the mean cross-entropy over all ``T0 + 20`` steps, times ``(T0 + 20) / 10``. Noise of the size
    that the rounding of a state to ``lsb`` adds up to is put onto the states after the blanks.
    """
    blank = config.blank
    h = torch.zeros(len(x), config.hidden)
    quiet_states = []
    for t in range(copy.RECALL):
        h = cell.step(q, h, x[:, t])
        quiet_states.append(h[:_BLANK_BATCH])
    if cell.activation is Activation.IDENTITY:
        blanks, h = blank_states(q, h, blank, _BLANK_BATCH)
        if lsb > 0:
            sigma = lsb * torch.sqrt(torch.arange(1, blank + 1) / 12.0)
            blanks = blanks + sigma[:, None] * torch.randn_like(blanks)
            h = h + sigma[-1] * torch.randn_like(h)
        quiet = torch.cat([torch.stack(quiet_states, dim=1), blanks], dim=1)
    else:
        for t in range(copy.RECALL, copy.RECALL + blank):
            h = cell.step(q, h, x[:, t])
            if lsb > 0:
                h = h + lsb / 12**0.5 * torch.randn_like(h)
            quiet_states.append(h[:_BLANK_BATCH])
        quiet = torch.stack(quiet_states, dim=1)
    recalled = []
    for t in range(copy.RECALL + blank, blank + 2 * copy.RECALL):
        h = cell.step(q, h, x[:, t])
        recalled.append(h)
    answer = cell.logits(q, torch.stack(recalled, dim=1))
    wanted = targets[:, -copy.RECALL :]
    silent = cell.logits(q, quiet)
    steps = copy.RECALL + blank
    loss = functional.cross_entropy(answer.flatten(0, 1), wanted.flatten())
    zeros = torch.zeros(silent.shape[0] * steps, dtype=torch.long)
    loss = loss + functional.cross_entropy(silent.flatten(0, 1), zeros) * (steps / copy.RECALL)
    accuracy = (answer.detach().argmax(-1) == wanted).float().mean()
    return loss, accuracy, quiet.detach().abs().max()


@one_thread()
def train_copy(config: CopyConfig, quiet: bool = False) -> Checkpoint:
    """Train the copy task and return the checkpoint with its measured metrics.

    Args:
        config: all hyper-parameters; the same ones give the same model on the same machine.
        quiet: print no progress.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    activation = Activation(config.activation)
    cell = QORNN(
        copy.SYMBOLS,
        config.hidden,
        copy.CLASSES,
        activation,
        config.bits,
        config.output_bits,
        config.multiplier_bits,
    )
    with torch.no_grad():
        # Starts with "always blank" known, and without a random readout to unlearn.
        cell.output_weight.zero_()
        cell.output_bias.zero_()
        cell.output_bias[0] = 6.0
    recurrent = [p for p in (cell.recurrent_weight, cell.bias) if p.requires_grad]
    groups = [
        (recurrent, config.learning_rate_recurrent),
        ([cell.input_weight], config.learning_rate_input),
        ([cell.output_weight, cell.output_bias], config.learning_rate_output),
    ]
    largest = _train(cell, groups, config, rng, config.iterations, "copy, stage 1", quiet, noise=None)
    cell.recurrent_weight.requires_grad_(False)
    # A power of two below the largest state: rare saturation, finer steps.
    lsb = 2.0 ** np.floor(np.log2(largest)) / 2.0 ** (config.state_bits - 1)
    if config.finetune_iterations:
        _train(cell, groups[1:], config, rng, config.finetune_iterations, "copy, stage 2", quiet, noise=lsb)
    return _exported(cell, config)


def _train(
    cell: QORNN,
    groups: list[tuple[list[torch.nn.Parameter], float]],
    config: CopyConfig,
    rng: np.random.Generator,
    iterations: int,
    title: str,
    quiet: bool,
    noise: float | None,
) -> float:
    """Run one stage and return the largest state of its last steps; ``noise`` is None in the first stage."""
    optimizer = torch.optim.Adam(
        [{"params": params, "lr": rate, "rate": rate} for params, rate in groups], betas=(0.9, 0.99)
    )
    first = noise is None
    largest = 0.0
    with Reporter(title, iterations, quiet) as reporter:
        for i in range(iterations):
            frozen = first and i >= _FREEZE * iterations
            for g, group in enumerate(optimizer.param_groups):
                output = g == len(groups) - 1
                total = iterations * (1.0 if output or not first else _FREEZE)
                group["lr"] = group["rate"] * (cosine(i, int(total)) if output or not frozen else 0.0)
            x, targets = (torch.from_numpy(a) for a in copy.sequences(rng, config.batch, config.blank))
            loss, accuracy, reach = _loss(cell, cell.quantized(), x, targets, config, noise or 0.0)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
            for params, _ in groups:
                torch.nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()
            if i >= 0.9 * (iterations - 1):
                largest = max(largest, float(reach))
            mean_loss = float(loss.detach()) * copy.RECALL / (config.blank + 2 * copy.RECALL)
            reporter.update(i + 1, loss=mean_loss, recall=float(accuracy), reach=float(reach))
    return largest


def _exported(cell: QORNN, config: CopyConfig) -> Checkpoint:
    with torch.no_grad():
        q = cell.quantized()
    inputs, _ = copy.sequences(np.random.default_rng([config.seed, 1]), 64, config.blank)
    options: dict[str, Any] = {
        "activation": config.activation,
        "calibration_inputs": inputs,
        "bias": cell.bias,
        "output_bias": cell.output_bias,
        "weight_bits": WeightBits(config.bits, config.bits, config.output_bits),
        "state_bits": config.state_bits,
        "input": "one_hot",
        "output_mode": "every_step",
        "output_kind": config.output_kind,
        "rounding": config.rounding,
        "multiplier_bits": config.multiplier_bits,
        "weight_steps": q.steps,
        "float_weights": {
            "recurrent_weight": q.plain,
            "input_weight": cell.input_weight,
            "output_weight": cell.output_weight,
            "bias": cell.bias,
            "output_bias": cell.output_bias,
        },
        "task": {"name": "copy", "blank": config.blank},
        "provenance": {
            "command": command_line("copy", config),
            "seed": config.seed,
            "torch": torch.__version__,
        },
    }
    checkpoint = export(q.recurrent, q.input, q.output, **options)
    return checkpoint.with_metrics(evaluate(checkpoint))
