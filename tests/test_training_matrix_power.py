"""Constant inputs by powers of a matrix equal the loop over the steps."""

import pytest
import torch

from qornn_hw.cells.elman_network import Activation
from qornn_hw.tasks import copy
from qornn_hw.training.cells import QORNN
from qornn_hw.training.matrix_power import blank_states, copy_logits


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 8, 33])
def test_blank_states_equal_the_loop(steps):
    """Doubling gives the same states of the blanks as the loop, and the same last states."""
    torch.manual_seed(0)
    cell = QORNN(10, 6, 9, Activation.IDENTITY, 5, 8).double()
    q = cell.quantized()
    start = torch.randn(5, 6, dtype=torch.float64)
    run, end = blank_states(q, start, steps, 3)
    state = start
    for t in range(steps):
        state = state @ q.recurrent.T + q.input[:, 0]
        torch.testing.assert_close(run[:, t], state[:3])
    torch.testing.assert_close(end, state)


@pytest.mark.parametrize("blank", [1, 4, 13])
def test_copy_logits_equal_the_loop(blank):
    """All logits of the copy task, and their gradients, are those of the recurrence."""
    torch.manual_seed(0)
    cell = QORNN(10, 6, 9, Activation.IDENTITY, 5, 8).double()
    x = torch.from_numpy(copy.sequences(copy.np.random.default_rng(0), 4, blank)[0])
    quiet, answers = copy_logits(cell, x, 4)
    wanted, _ = cell(x)
    found = torch.cat([quiet, answers], dim=1)
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(found)
    leaves = [cell.recurrent_weight, cell.input_weight, cell.output_weight]
    got = torch.autograd.grad((found * weight).sum(), leaves)
    want = torch.autograd.grad((wanted * weight).sum(), leaves)
    for g, v in zip(got, want, strict=True):
        torch.testing.assert_close(g, v)


def test_noise_has_the_size_of_rounding():
    """The noise after t blanks has the variance ``step**2 t / 12``."""
    torch.manual_seed(0)
    cell = QORNN(10, 32, 32, Activation.IDENTITY, 8, 8)
    with torch.no_grad():
        cell.output_weight.copy_(torch.eye(32))
    x = torch.from_numpy(copy.sequences(copy.np.random.default_rng(0), 64, 100)[0])
    clean, _ = copy_logits(cell, x, 64)
    cell.noise_step = 0.01
    noisy, _ = copy_logits(cell, x, 64)
    error = (noisy - clean)[:, copy.RECALL + 99] / cell.noise_step
    assert float(error.detach().square().mean()) == pytest.approx(100 / 12, rel=0.2)
