"""The last state of a linear recurrence, without a loop over the steps.

``h_T = W^T h_0 + sum over t of W^(T - t) (U x_t + b)`` is one product of a batch's inputs with the matrices
``W^(T - 1) U, ..., W U, U``. These are computed by doubling: from j of them and W^j follow 2 j, so log2(T)
products of matrices suffice.
"""

import torch
from torch import Tensor

__all__ = ["krylov_matrices", "last_linear_state"]


def krylov_matrices(recurrent: Tensor, input: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Return ``W^(T - 1 - t) U`` for each step t, (T, n, m), and ``W^T``, (n, n)."""
    found, power, reached = input.unsqueeze(0), recurrent, 1
    while reached < steps:
        found = torch.cat([torch.matmul(power, found), found])
        power, reached = power @ power, 2 * reached
    return found[-steps:], _power(recurrent, steps)


def _power(matrix: Tensor, exponent: int) -> Tensor:
    """Return a power of a matrix by squaring, with gradients."""
    result: Tensor | None = None
    square = matrix
    while True:
        if exponent & 1:
            result = square if result is None else result @ square
        exponent >>= 1
        if not exponent:
            assert result is not None  # the highest bit is set
            return result
        square = square @ square


def last_linear_state(recurrent: Tensor, input: Tensor, bias: Tensor, x: Tensor, start: Tensor) -> Tensor:
    """Return the state after the last step, (batch, n).

    Args:
        recurrent: W, (n, n).
        input: U, (n, m).
        bias: b, (n,).
        x: vectors (T, batch, m), or indices (T, batch) of columns of U.
        start: h_0, (batch, n).
    """
    steps, batch = x.shape[:2]
    # The bias is an input that is always 1.
    joined = torch.cat([input, bias[:, None]], dim=1)
    matrices, power = krylov_matrices(recurrent, joined, steps)
    constant = matrices[:, :, -1].sum(0)
    weights = matrices[:, :, :-1]
    if x.ndim == 3:
        driven = x.transpose(0, 1).reshape(batch, -1) @ weights.transpose(1, 2).reshape(-1, len(recurrent))
    else:
        chosen = weights.transpose(1, 2)[torch.arange(steps)[:, None], x]
        driven = chosen.sum(0)
    return driven + constant + start @ power.T
