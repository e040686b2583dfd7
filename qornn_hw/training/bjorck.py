"""Björck's orthogonalization, through which training differentiates.

The unconstrained matrix is divided by its largest singular value, then
``W <- (1 + beta) W - beta W W^T W`` drives every singular value s, by ``s <- 1.5 s - 0.5 s**3`` for
beta = 0.5, to 1. (Björck and Bowie 1971; Anil, Lucas, Grosse 2019; 15 iterations as in deel-torchlip.)
"""

import torch
from torch import Tensor

__all__ = ["orthogonalize"]


def orthogonalize(weight: Tensor, iterations: int = 15, beta: float = 0.5) -> Tensor:
    """Return the near-orthogonal matrix of a square ``weight``, (n, n); differentiable."""
    w: Tensor = weight / torch.linalg.matrix_norm(weight, ord=2)
    for _ in range(iterations):
        w = (1 + beta) * w - beta * (w @ w.T @ w)
    return w
