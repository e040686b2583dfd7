"""The initial network: W is what first_matrix says, and the copy task starts with the answer blank."""

import numpy as np
import pytest
import torch

from qornn_hw.tasks import AddingTask, CopyTask
from qornn_hw.training import AddingConfig, CopyConfig, train
from qornn_hw.training.initialization import make_cell


@pytest.mark.parametrize("hidden", [1, 2, 7, 8])
def test_rotations(hidden):
    """W is block-diagonal, of rotations by different angles from 0 to 1; an odd unit keeps its value."""
    cell = make_cell(CopyConfig(blank=3, hidden=hidden, first_matrix="rotations"), CopyTask(3))
    w = cell.recurrent_weight.detach().double().numpy()
    np.testing.assert_allclose(w @ w.T, np.eye(hidden), atol=1e-6)
    np.testing.assert_array_equal(w != 0, np.kron(np.eye(4), np.ones((2, 2)))[:hidden, :hidden] != 0)
    even, odd = np.arange(0, hidden - 1, 2), np.arange(1, hidden, 2)
    angles = np.arctan2(w[odd, even], w[even, even])
    assert ((angles > 0) & (angles < 1)).all() and len(set(angles)) == hidden // 2
    if hidden % 2:
        assert w[-1, -1] == 1


@pytest.mark.parametrize("hidden", [1, 2, 7, 8])
def test_integrators_stay(hidden):
    """W is [[0, 0], [I, I]], also in integers; training gives the integrators no input and no bias."""
    config = AddingConfig(steps=4, hidden=hidden, batch=4, curriculum=0, iterations=3, finetune_iterations=3)
    checkpoint = train(config, quiet=True)
    half = hidden // 2
    wanted = np.zeros((hidden, hidden))
    wanted[hidden - half :, :half] = wanted[hidden - half :, hidden - half :] = np.eye(half)
    np.testing.assert_array_equal(checkpoint.float_weights["recurrent_weight"], wanted)
    np.testing.assert_array_equal(checkpoint.network.recurrent_weight, 127 * wanted)
    for name in ("input_weight", "bias"):
        assert not checkpoint.float_weights[name][hidden - half :].any()
        assert checkpoint.float_weights[name][: hidden - half].any()


def test_detectors_of_integrators_begin_silent():
    """A single input of 1 activates no detector; all inputs together activate each."""
    cell = make_cell(AddingConfig(steps=4, hidden=9), AddingTask(4))
    weight, bias = cell.input_weight[:5].detach(), cell.bias[:5].detach()
    assert (weight.amax(dim=1) + bias <= 0).all()
    assert (weight.sum(dim=1) + bias > 0).all()


def test_identity_and_random_matrices():
    """Identity gives I; haar gives another orthogonal matrix for each seed."""
    config = CopyConfig(blank=3, hidden=6, first_matrix="identity")
    np.testing.assert_array_equal(make_cell(config, CopyTask(3)).recurrent_weight.detach(), np.eye(6))
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        w = make_cell(CopyConfig(blank=3, hidden=6), CopyTask(3)).recurrent_weight.detach().double().numpy()
        np.testing.assert_allclose(w @ w.T, np.eye(6), atol=1e-6)
        found.append(w)
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


def test_copy_starts_with_blank():
    """The initial answer of the copy task is blank at every step."""
    task = CopyTask(3)
    cell = make_cell(CopyConfig(blank=3, hidden=6), task)
    with torch.no_grad():
        logits, _ = cell(torch.from_numpy(task.training_batch(0, 4, 0).inputs))
    assert not logits.argmax(dim=-1).any()


def test_linear_start_is_a_fixed_point():
    """Without inputs the states stay at linear_start."""
    config = AddingConfig(steps=4, hidden=6, activation="relu", first_matrix="haar", linear_start=3.0)
    cell = make_cell(config, AddingTask(4))
    with torch.no_grad():
        _, state = cell(torch.zeros(2, 4, 2))
    np.testing.assert_allclose(state.numpy(), 3.0, rtol=1e-4)
