"""A recurrent matrix of signs and Hadamard blocks: exactly orthogonal, with one learned bit a unit.

``W = diag(u) blockdiag(H, ..., H) / sqrt(b)``, u of -1 and +1, H Sylvester's matrix of b units (HadamRNN,
arXiv 2502.00047). The gradient of u passes straight through the sign.
"""

import math

import torch
from torch import Tensor, nn

from qornn_hw.ir.sylvester import block_of, blocks

__all__ = ["HadamardSigns", "straight_signs"]


def straight_signs(latent: Tensor) -> Tensor:
    """Return -1 where ``latent`` is negative, else +1; the gradient is that of the identity.

    >>> straight_signs(torch.tensor([-0.5, 0.0])).tolist()
    [-1.0, 1.0]
    """
    signs = torch.where(latent < 0, -1.0, 1.0)
    return latent + (signs - latent).detach()


class HadamardSigns(nn.Module):
    """``W = diag(sign(u)) P``, P the Hadamard blocks; u_i is the product of row i of a matrix with that of P.

    Args:
        units: n.
        block: units of a block b, a power of two that divides n; 0 for the largest.

    Attributes:
        step: ``1 / sqrt(b)``, the magnitude of the entries in the blocks.
        bits: of an entry: 1, or 2 where there are zeros outside the blocks.

    Raises:
        FormatError: there is no such block.
    """

    pattern: Tensor

    def __init__(self, units: int, block: int = 0) -> None:
        super().__init__()
        size = block_of(units, block)
        self.step = 1.0 / math.sqrt(size)
        self.bits = 1 if size == units else 2
        pattern = torch.from_numpy(blocks(units, size)).float() * self.step
        self.register_buffer("pattern", pattern, persistent=False)

    def balanced(self) -> Tensor:
        """Return a random matrix (n, n) with as many positive as negative u, of about ``1 / sqrt(n)``.

        :meth:`qornn_hw.cells.hadamard.HadamardUnits.start` says why.
        """
        units = len(self.pattern)
        sizes = torch.randn(units).abs() / math.sqrt(units)
        signs = torch.where(torch.randperm(units) < units // 2, -1.0, 1.0)
        return (signs * sizes)[:, None] * self.pattern

    def forward(self, weight: Tensor) -> Tensor:
        """Return W for a matrix (n, n); W itself comes back as it is."""
        latent = (weight * self.pattern).sum(dim=1, keepdim=True)
        return straight_signs(latent) * self.pattern
