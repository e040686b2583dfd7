"""The last state of a linear recurrence, without a loop over the steps.

``h_T = W^T h_0 + sum over t of W^(T - t) (U x_t + b)`` is one product of a batch's inputs with the matrices
``W^(T - 1) U, ..., W U, U``. These are computed by doubling: from j of them and W^j follow 2 j, so log2(T)
products of matrices suffice. Where W is of signs and Hadamard blocks, its product with a vector is so cheap
that they are computed one after the other.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from qornn_hw.ir.sylvester import sylvester

__all__ = ["hadamard_matrices", "krylov_matrices", "last_hadamard_state", "last_linear_state"]


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
    matrices, power = krylov_matrices(recurrent, _with_bias(input, bias), len(x))
    return _driven(matrices, x) + start @ power.T


def last_hadamard_state(
    signs: Tensor, block: int, input: Tensor, bias: Tensor, x: Tensor, start: Tensor
) -> Tensor:
    """Return :func:`last_linear_state` for ``W = diag(signs) blockdiag(H, ..., H) / sqrt(block)``.

    No gradient flows to ``start``.

    Args:
        signs: -1 or +1, (n,).
        block: units of a block.
        input: U, (n, m).
        bias: b, (n,).
        x: vectors (T, batch, m), or indices (T, batch) of columns of U.
        start: h_0, (batch, n).
    """
    found = _driven(hadamard_matrices(signs, block, _with_bias(input, bias), len(x)), x)
    if not bool(start.any()):
        return found
    with torch.no_grad():
        product = _Product(signs, block)
        h = start.T.contiguous()
        for _ in range(len(x)):
            h = product.forward(h)
    return found + h.T


def _with_bias(input: Tensor, bias: Tensor) -> Tensor:
    """Return U with one more column for an input that is always 1."""
    return torch.cat([input, bias[:, None]], dim=1)


def _driven(matrices: Tensor, x: Tensor) -> Tensor:
    """Return what the inputs of all steps add to the last state, (batch, n).

    Args:
        matrices: of each step, (T, n, m + 1); the last column is that of an input that is always 1.
        x: vectors (T, batch, m), or indices (T, batch).
    """
    steps, batch = x.shape[:2]
    constant = matrices[:, :, -1].sum(0)
    weights = matrices[:, :, :-1]
    if x.ndim == 3:
        rows = weights.transpose(1, 2).reshape(-1, weights.shape[1])
        return x.transpose(0, 1).reshape(batch, -1) @ rows + constant
    chosen = weights.transpose(1, 2)[torch.arange(steps)[:, None], x]
    return chosen.sum(0) + constant


def hadamard_matrices(signs: Tensor, block: int, input: Tensor, steps: int) -> Tensor:
    """Return :func:`krylov_matrices` of a Hadamard recurrence, (T, n, m), without the power of W."""
    found: Tensor = _HadamardKrylov.apply(signs, block, input, steps)  # type: ignore[no-untyped-call]  # torch gives it no types
    return found


class _Product:
    """``diag(signs) blockdiag(H, ..., H) / sqrt(block)`` times matrices (n, m), and its transpose.

    H is a Kronecker product of two smaller Sylvester matrices, so a product with it is two small ones.
    """

    def __init__(self, signs: Tensor, block: int) -> None:
        order = block.bit_length() - 1
        low = order // 2
        self.signs = signs.detach()[:, None]
        self.outer, self.inner = (torch.from_numpy(sylvester(k)).to(signs.dtype) for k in (order - low, low))
        self.outer = self.outer / math.sqrt(block)

    def blocks(self, h: Tensor) -> Tensor:
        """Return ``blockdiag(H, ..., H) h / sqrt(block)``, which is symmetric."""
        n, m = h.shape
        a, b = len(self.outer), len(self.inner)
        mixed = torch.matmul(self.inner, h.view(-1, b, m))
        return torch.matmul(self.outer, mixed.view(-1, a, b * m)).view(n, m)

    def forward(self, h: Tensor) -> Tensor:
        """Return ``W h``."""
        return self.blocks(h).mul_(self.signs)

    def transposed(self, h: Tensor) -> Tensor:
        """Return ``W^T h``."""
        return self.blocks(h * self.signs)


class _HadamardKrylov(Function):
    @staticmethod
    def forward(ctx: Any, signs: Tensor, block: int, input: Tensor, steps: int) -> Tensor:
        product = _Product(signs, block)
        found = input.new_empty(steps, *input.shape)
        found[-1] = input
        for t in range(steps - 2, -1, -1):
            found[t] = product.forward(found[t + 1])
        ctx.save_for_backward(found)
        ctx.product = product
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (outer,) = gradients
        (found,) = ctx.saved_tensors
        product = ctx.product
        total = torch.empty_like(found)
        total[0] = outer[0]
        for t in range(1, len(found)):
            torch.add(outer[t], product.transposed(total[t - 1]), out=total[t])
        # W^(j + 1) U is signs times the blocks' product, which is thus signs times W^(j + 1) U.
        d_signs = (total[:-1] * found[:-1]).sum(dim=(0, 2)) * product.signs[:, 0]
        return d_signs, None, total[-1].clone(), None
