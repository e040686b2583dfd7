"""Constant inputs of a linear network by powers of a matrix, without a loop over the steps.

A step with the constant input x is ``h' = W h + u``, u = U x. With ``A = [[W, u], [0, 1]]`` the states of T
steps follow by doubling: ``[h_1 .. h_2L] = [h_1 .. h_L, A**L h_1 .. A**L h_L]``. This takes log2(T) products
of two matrices instead of T products of a matrix and a batch.
"""

import torch
from torch import Tensor

from qornn_hw.tasks import copy
from qornn_hw.training.cells import QORNN, Quantized
from qornn_hw.training.recurrence import recur

__all__ = ["blank_states", "copy_logits"]


def blank_states(q: Quantized, state: Tensor, steps: int, keep: int) -> tuple[Tensor, Tensor]:
    """Return the states of a linear network over ``steps`` inputs of index 0.

    Args:
        q: the quantized weights.
        state: the state before, (batch, n).
        steps: number of steps T, at least 1.
        keep: number of sequences whose states are all returned.

    Returns:
        The states after each step of the first ``keep`` sequences, (keep, steps, n), and the last states of
        all sequences, (batch, n).
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

    Matrix powers cannot round the states. Rounding to multiples of a step adds up to a random error with
    the standard deviation ``step sqrt(t / 12)`` after t steps. If the network's ``noise_step`` is set, such
    noise is added to the states after the blanks.

    Args:
        cell: the network.
        x: sequences (batch, blank + 20).
        keep: number of sequences whose logits of the blank steps are returned.

    Returns:
        The logits of the blank steps, (keep, blank + 10, 9), and of the recall steps, (batch, 10, 9).
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
    # Not in the cell's workspace, which holds the states of the first steps.
    recalled = recur(cell.activation, q.recurrent, q.input, cell.bias, x[:, copy.RECALL + blank :], h)
    return cell.logits(q, quiet), cell.logits(q, recalled).transpose(0, 1)
