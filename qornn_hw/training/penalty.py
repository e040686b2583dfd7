"""The penalty method: orthogonality as a term of the loss instead of a constraint.

The third training method in the first version of Foucault, Mamalet, Malgouyres (arXiv 2402.04012): W is
unconstrained, the forward pass uses q_k(W), and ``lambda ||q_k(W) q_k(W)^T - I||**2`` is added to the loss.
The paper does not say which norm; here it is the Frobenius norm.
"""

import torch
from torch import Tensor

from qornn_hw.errors import FormatError

__all__ = ["orthogonality_penalty"]


def orthogonality_penalty(weight: Tensor) -> Tensor:
    """Return ``||W W^T - I||_F**2``, a scalar, of ``weight``, (n, n); its gradient is ``4 (W W^T - I) W``.

    It is the sum of ``(s**2 - 1)**2`` over the singular values s; divide by n to compare sizes.

    Raises:
        FormatError: the weight is not square.
    """
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
        raise FormatError(f"a weight to penalize must be square, not of shape {tuple(weight.shape)}")
    residual = weight @ weight.T - torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
    return residual.square().sum()
