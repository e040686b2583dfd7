"""The orthogonality penalty."""

import re

import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.training.penalty import orthogonality_penalty
from qornn_hw.training.quantizer import quantize


def matrix(n=6, seed=0):
    """Return a matrix of normal numbers."""
    return torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_penalty_is_the_sum_over_singular_values():
    """The penalty is the sum of (s^2 - 1)^2, and 0 for an orthogonal matrix."""
    w = matrix()
    s = torch.linalg.svdvals(w)
    torch.testing.assert_close(orthogonality_penalty(w), (s.square() - 1).square().sum())
    assert orthogonality_penalty(torch.linalg.qr(w)[0]) < 1e-24


def test_penalty_gradient():
    """The gradient is that of finite differences, and 4 (W W^T - I) W."""
    w = matrix().requires_grad_()
    assert torch.autograd.gradcheck(orthogonality_penalty, w)
    assert torch.autograd.gradgradcheck(orthogonality_penalty, w)
    orthogonality_penalty(w).backward()
    torch.testing.assert_close(w.grad, 4 * (w @ w.T - torch.eye(6)).detach() @ w.detach())


def test_penalty_passes_straight_through_the_quantizer():
    """With q_k the gradient is the penalty's at q_k(W)."""
    w = matrix().requires_grad_()
    orthogonality_penalty(quantize(w, 3)).backward()
    q = quantize(w, 3).detach().requires_grad_()
    orthogonality_penalty(q).backward()
    torch.testing.assert_close(w.grad, q.grad)


def test_descent_makes_orthogonal():
    """Gradient descent on the penalty alone ends at an orthogonal matrix."""
    w = (torch.linalg.qr(matrix())[0] + 0.05 * matrix(seed=1)).requires_grad_()
    optimizer = torch.optim.SGD([w], 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = orthogonality_penalty(w)
        loss.backward()
        optimizer.step()
    assert loss < 1e-10


@pytest.mark.parametrize("shape", [(2, 3), (4,), (2, 2, 2)])
def test_penalty_error(shape):
    """A matrix that is not square is refused."""
    message = f"a weight to penalize must be square, not of shape {shape}"
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        orthogonality_penalty(torch.ones(shape))
