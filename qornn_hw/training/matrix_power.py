"""Constant inputs of a linear network without a loop over the steps.

A step with the input x is ``h' = W h + u``, u = U x, so with ``A = [[W, u], [0, 1]]`` the states of T equal
inputs follow by doubling, ``[h_1 .. h_2L] = [h_1 .. h_L, A**L h_1 .. A**L h_L]``: log2(T) products of
matrices instead of T of a matrix and a batch.
"""

import torch
from torch import Tensor

from qornn_hw.training.cells import QORNN, Quantized
from qornn_hw.training.recurrence import recur
from qornn_hw.training.tasks import copy

__all__ = ["blank_states", "copy_logits"]


def blank_states(q: Quantized, state: Tensor, steps: int, keep: int) -> tuple[Tensor, Tensor]:
    """Return what ``steps`` inputs of index 0 make of the state of a linear network.

    Args:
        q: the weights.
        state: h, (batch, n).
        steps: T, at least 1.
        keep: sequences of which every state is wanted.

    Returns:
        The states after each step of the first ``keep`` sequences, (keep, steps, n), and the last state of
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


def copy_logits(cell: QORNN, x: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Return the logits of the copy task of a linear network.

    The power has no place to round states in. Rounding them to multiples of a step adds up to a random error
    of the standard deviation ``step sqrt(t / 12)`` after t steps, and such noise is put onto the states after
    the blanks where the network's ``noise_step`` is set.

    Args:
        cell: the network.
        x: sequences (batch, blank + 20).
        keep: sequences whose quiet steps are answered.

    Returns:
        The logits of the quiet steps, (keep, blank + 10, 9), and those of the recall, (batch, 10, 9).
    """
    blank = x.shape[1] - 2 * copy.RECALL
    q = cell.quantized()
    heard = cell.states(q, x[:, : copy.RECALL])
    blanks, h = blank_states(q, heard[-1], blank, keep)
    if cell.noise_step:
        sigma = cell.noise_step * torch.sqrt(torch.arange(1, blank + 1, device=x.device) / 12.0)
        blanks = blanks + sigma[:, None] * torch.randn_like(blanks)
        h = h + sigma[-1] * torch.randn_like(h)
    quiet = torch.cat([heard[:, :keep].transpose(0, 1), blanks], dim=1)
    # Not in the cell's workspace, which holds what was heard.
    recalled = recur(cell.activation, q.recurrent, q.input, cell.bias, x[:, copy.RECALL + blank :], h)
    return cell.logits(q, quiet), cell.logits(q, recalled).transpose(0, 1)
