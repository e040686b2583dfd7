"""Losses and metrics of a network on a batch: the bridge between a task's arrays and torch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.tasks import CopyTask, Examples, Task
from qornn_hw.tasks.copy import RECALL

__all__ = ["Objective", "answers", "answers_loss", "device_of", "last_only", "real_inputs", "score"]

# Limit for the states that one validation batch holds in memory, in numbers.
_HELD = 40_000_000

# From (network, inputs, targets, state, lengths) to the loss, values to show, and the last state.
# ``lengths``, (batch,), is None if all steps of all sequences count.
Objective = Callable[[Any, Tensor, Tensor, Any, Tensor | None], tuple[Tensor, dict[str, float], Any]]


def last_only(task: Task) -> bool:
    """Return whether only the answer after the last step counts."""
    return task.output_mode is OutputMode.LAST_STEP


def answers_loss(task: Task, smoothing: float = 0.0) -> Objective:
    """Return the objective of a task: the mean loss over all answers of a batch.

    The loss is the cross-entropy in nats for classes, the logistic loss for classes with one output, and the
    squared error of ``(value - output_offset) / output_scale`` for values. Padded steps do not count. The
    loss of the copy task is multiplied by (blank + 20) / 10, so that the weight of a recalled symbol does
    not depend on the number of blanks.

    Args:
        task: the task.
        smoothing: the part of a class that is given to all classes.
    """
    last = last_only(task)
    scale = (task.blank + 2 * RECALL) / RECALL if isinstance(task, CopyTask) else 1.0

    def objective(
        cell: nn.Module, x: Tensor, targets: Tensor, state: Any, lengths: Tensor | None = None
    ) -> tuple[Tensor, dict[str, float], Any]:
        logits, state = answers(cell, x, last, lengths, state)
        if lengths is not None and not last:
            counts = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
            logits, targets = logits[counts], targets[counts]
        if targets.is_floating_point():
            offset = torch.as_tensor(task.output_offset, device=targets.device)
            wanted = ((targets - offset) / task.output_scale).float()
            return functional.mse_loss(logits, wanted), {}, state
        if logits.shape[-1] == 1:
            loss = functional.binary_cross_entropy_with_logits(logits.flatten(), targets.flatten().float())
            return loss, {}, state
        loss = functional.cross_entropy(
            logits.flatten(0, -2), targets.flatten(), label_smoothing=smoothing if cell.training else 0.0
        )
        return loss * scale, {}, state

    return objective


def answers(
    cell: nn.Module, x: Tensor, last: bool, lengths: Tensor | None, state: Any = None
) -> tuple[Tensor, Any]:
    """Return the logits, (batch, steps, p) or of the last step only (batch, p), and the last state.

    Args:
        cell: the network.
        x: inputs, (batch, steps) or (batch, steps, m).
        last: return the answer after the last step of each sequence only.
        lengths: number of steps of each sequence, (batch,); None if all sequences have full length.
        state: the state before the first step.
    """
    if lengths is None or not last:
        logits, state = cell(x, state, last_only=last)
        return logits, state
    logits, state = cell(x, state, last_only=False)
    return logits[torch.arange(len(x), device=x.device), lengths - 1], state


def score(cell: nn.Module, task: Task, examples: Examples, hidden: int) -> float:
    """Return the task's metric of a network, with its current weights and states, in float32.

    Args:
        cell: the network.
        task: its task.
        examples: the sequences and targets.
        hidden: number n of hidden units, which determines the batch size.
    """
    count, steps = examples.inputs.shape[:2]
    last = last_only(task)
    all_states = not last or examples.lengths is not None
    chunk = max(1, min(count, _HELD // (hidden * (steps if all_states else 4))))
    total = 0.0
    device = device_of(cell)
    cell.eval()
    with torch.no_grad():
        for start in range(0, count, chunk):
            part = slice(start, start + chunk)
            lengths = None if examples.lengths is None else examples.lengths[part]
            x = real_inputs(task, examples.inputs[part]).to(device)
            logits, _ = answers(cell, x, last, None if lengths is None else torch.from_numpy(lengths))
            found = (logits[:, None] if last else logits).double().cpu().numpy()
            if task.output_scale != 1.0 or np.any(task.output_offset):
                found = found * task.output_scale + task.output_offset
            one = Examples(examples.inputs[part], examples.targets[part], lengths=lengths)
            with np.errstate(all="ignore"):
                total += task.totals_of(found, one)[task.metric]
    cell.train()
    return float(total / count)


def real_inputs(task: Task, inputs: np.ndarray[Any, Any]) -> Tensor:
    """Return integer inputs in the form for training: indices, or real vectors."""
    x = torch.from_numpy(np.ascontiguousarray(inputs))
    return x if x.ndim == 2 else x.float() * task.training_scale


def device_of(cell: nn.Module) -> torch.device:
    """Return the device of a network's weights."""
    return next(cell.parameters()).device
