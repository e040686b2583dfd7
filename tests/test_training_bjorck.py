"""Björck's orthogonalization: convergence, gradient, and the module on a torch.nn.RNN."""

import re

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize

from qornn_hw.errors import FormatError
from qornn_hw.training.bjorck import TOLERANCE, Bjorck, orthogonalize
from qornn_hw.training.loop import one_thread
from qornn_hw.training.quantizer import Quantize


@pytest.fixture(autouse=True)
def single_thread():
    """Compute in one thread, as training does: tests run side by side."""
    with one_thread():
        yield


def haar(n, seed=0, dtype=torch.float32):
    """Return a random orthogonal matrix."""
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.normal(size=(n, n)))
    return torch.from_numpy(q * np.sign(np.diag(r))).to(dtype)


def conditioned(n, condition, seed=0, dtype=torch.float32):
    """Return a matrix with singular values from 1 down to ``1 / condition``, evenly in the logarithm."""
    values = torch.logspace(0, -np.log10(condition), n, dtype=torch.float64)
    u, v = haar(n, seed, torch.float64), haar(n, seed + 1, torch.float64)
    return (u @ torch.diag(values) @ v.T).to(dtype)


def error(w):
    """Return the spectral norm of ``W^T W - I``."""
    w = w.detach().double()
    return float(torch.linalg.matrix_norm(w.T @ w - torch.eye(len(w), dtype=w.dtype), ord=2))


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_bjorck_orthogonalizes(size):
    """Fifteen iterations make a matrix that is near orthogonal orthogonal."""
    torch.manual_seed(size)
    start = torch.nn.init.orthogonal_(torch.empty(size, size, dtype=torch.float64))
    w = orthogonalize(3 * start + 0.3 / size * torch.randn(size, size, dtype=torch.float64))
    torch.testing.assert_close(w @ w.T, torch.eye(size, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("exact_norm", [True, False])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 16, 170])
def test_module_reaches_its_tolerance(size, order, exact_norm):
    """Haar, ill-conditioned, scaled and trained-like matrices come within 1e-4 of orthogonal, in float32."""
    generator = torch.Generator().manual_seed(size)
    noise = torch.randn(size, size, generator=generator)
    for weight in (
        haar(size),
        50 * haar(size),
        conditioned(size, 10),
        1e-3 * conditioned(size, 100),
        haar(size) + 0.02 / size**0.5 * noise,
        haar(size) + 0.3 / size**0.5 * noise,
        torch.block_diag(*[haar(2, i) for i in range(size // 2)]),
    ):
        module = Bjorck(size, order=order, exact_norm=exact_norm)
        assert error(module(weight)) < 1e-4


@pytest.mark.parametrize("order", [1, 2, 4])
def test_limit_is_the_polar_factor(order):
    """The iteration goes to the nearest orthogonal matrix, that of the SVD."""
    weight = conditioned(20, 5, dtype=torch.float64)
    u, _, v = torch.linalg.svd(weight)
    torch.testing.assert_close(orthogonalize(weight, 30, order=order), u @ v, rtol=0, atol=1e-12)


def test_early_stop_keeps_the_result():
    """Stopping early changes less than the tolerance says, and takes fewer iterations."""
    weight = haar(64, dtype=torch.float64) + 0.002 * torch.randn(64, 64).double()
    full = orthogonalize(weight, 15)
    assert torch.linalg.matrix_norm(orthogonalize(weight, 15, tolerance=TOLERANCE) - full, ord=2) < TOLERANCE
    needed = next(i for i in range(16) if error(orthogonalize(weight, i)) < TOLERANCE)
    assert needed <= 5


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("iterations", [0, 1, 3, 6])
def test_bjorck_gradient(order, iterations):
    """The gradient through spectral normalization and iterations is that of finite differences."""
    torch.manual_seed(0)
    weight = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: orthogonalize(w, iterations, order=order), weight)


def test_own_backward_is_autograds():
    """The hand-written backward pass gives what autograd gives through the same loop."""
    weight = conditioned(12, 4, dtype=torch.float64).requires_grad_()
    coefficients = haar(12, 5, torch.float64)
    w = weight / torch.linalg.matrix_norm(weight, ord=2)
    for _ in range(9):
        w = 1.5 * w - 0.5 * (w @ w.T @ w)
    (wanted,) = torch.autograd.grad((w * coefficients).sum(), weight)
    (got,) = torch.autograd.grad((orthogonalize(weight, 9) * coefficients).sum(), weight)
    torch.testing.assert_close(got, wanted)


def test_gradient_through_the_power_iteration():
    """The estimated norm has the gradient of the exact one once the vector has converged."""
    weight = conditioned(10, 8, dtype=torch.float64).requires_grad_()
    coefficients = haar(10, 5, torch.float64)
    module = Bjorck(10, iterations=3, tolerance=0.0).double()
    for _ in range(60):
        module(weight)
    (wanted,) = torch.autograd.grad((orthogonalize(weight, 3) * coefficients).sum(), weight)
    (got,) = torch.autograd.grad((module(weight) * coefficients).sum(), weight)
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-8)


def test_vector_is_warm_saved_and_kept_in_evaluation():
    """Training refines the vector, evaluation does not change it, and it is saved with the module."""
    weight = conditioned(30, 50)
    module = Bjorck(30)
    module(weight)
    first = module.right.clone()
    assert first.norm() == pytest.approx(1.0, abs=1e-5)
    module.eval()
    assert torch.equal(module(weight), module(weight)) and torch.equal(module.right, first)
    twin = Bjorck(30)
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin.train()(weight), module.train()(weight)) and torch.equal(twin.right, module.right)
    assert not torch.equal(module.right, first)


def test_random_numbers_are_left_alone():
    """The module does not use torch's global random generator."""
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    Bjorck(8)(haar(8))
    assert torch.equal(torch.rand(2), wanted)


def test_large_jump_of_the_weight():
    """A weight that changes wholly between two passes is still normalized well enough."""
    module = Bjorck(50)
    module(conditioned(50, 100, 0))
    for seed in range(1, 20):
        assert error(module(7.0**seed * conditioned(50, 100, seed))) < 1e-4


@pytest.mark.parametrize("batch_first", [True, False])
def test_on_a_torch_rnn(batch_first):
    """A user's own torch.nn.RNN trains with a float weight that is orthogonal and is seen quantized."""
    torch.manual_seed(0)
    n, bits = 24, 5
    rnn = torch.nn.RNN(3, n, nonlinearity="relu", batch_first=batch_first)
    parametrize.register_parametrization(rnn, "weight_hh_l0", Bjorck(n))
    parametrize.register_parametrization(rnn, "weight_hh_l0", Quantize(bits))
    original = rnn.parametrizations.weight_hh_l0.original
    optimizer = torch.optim.Adam(rnn.parameters(), 1e-3)
    x, before = torch.randn(8, 10, 3), original.detach().clone()
    losses = []
    for _ in range(30):
        states, _ = rnn(x)
        loss = (states[:, -1] - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] and not torch.equal(original, before)
    plain = rnn.parametrizations.weight_hh_l0[0](original)
    assert error(plain) < 1e-4
    step = float(plain.detach().abs().max()) / 2 ** (bits - 1)
    levels = (rnn.weight_hh_l0 / step).detach()
    torch.testing.assert_close(levels, torch.round(levels), atol=1e-3, rtol=0)
    assert levels.round().min() >= -16 and levels.round().max() <= 15
    # What the RNN computes with is the quantized weight.
    wanted, h = rnn.weight_hh_l0.detach(), torch.zeros(1, n)
    x1 = x[:1]
    for t in range(10):
        h = torch.relu(x1[:, t] @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + h @ wanted.T + rnn.bias_hh_l0)
    states, _ = rnn(x1 if batch_first else x1.transpose(0, 1))
    torch.testing.assert_close(states[:, -1] if batch_first else states[-1], h, rtol=1e-4, atol=1e-4)


def test_assignment_starts_afresh():
    """Assigning the parametrized weight stores it and forgets the vector."""
    rnn = torch.nn.RNN(3, 6)
    parametrize.register_parametrization(rnn, "weight_hh_l0", Bjorck(6))
    rnn(torch.randn(2, 1, 3))
    new = 3 * haar(6)
    rnn.weight_hh_l0 = new
    assert not rnn.parametrizations.weight_hh_l0[0].right.any()
    torch.testing.assert_close(rnn.weight_hh_l0, new / 3, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: orthogonalize(torch.ones(2, 3)),
            "a weight to orthogonalize must be square, not of shape (2, 3)",
        ),
        (lambda: orthogonalize(torch.ones(3)), "a weight to orthogonalize must be square, not of shape (3,)"),
        (lambda: orthogonalize(torch.eye(2), order=0), "order must be at least 1, not 0"),
        (lambda: Bjorck(0), "size must be at least 1, not 0"),
        (lambda: Bjorck(3, order=0), "order must be at least 1, not 0"),
        (lambda: Bjorck(3)(torch.eye(2)), "a weight must have shape (3, 3), that of Bjorck, not (2, 2)"),
    ],
)
def test_errors(call, message):
    """A matrix that is not square, and a wrong order, are refused in one line."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        call()
    assert "iterations=15" in repr(Bjorck(3))
