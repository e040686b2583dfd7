"""The weight quantizer q_k and rounding with a straight-through gradient.

q_k after Foucault, Mamalet, Malgouyres (arXiv 2402.04012) and their code: per tensor, recomputed at every
forward pass, the gradient passed straight through without a mask:

    alpha = max|W|,  d = alpha / 2**(k-1),  q_k(W) = d clip(round(W / d), -2**(k-1), 2**(k-1) - 1)

round is to nearest, ties to even. For k = 1 their code has three levels; the hardware has two, so here
``q_1(W) = mean|W| (W < 0 ? -1 : 1)``.
"""

import torch
from torch import Tensor

from qornn_hw.fixed import scale_to_multiplier
from qornn_hw.network import SHIFT_MAX

__all__ = ["quantize", "round_state", "snapped", "step_of"]


def step_of(weight: Tensor, bits: int) -> float:
    """Return the step d of q_k (1 for alpha where the weights are zero); no gradient flows through it."""
    magnitude = weight.detach().abs()
    alpha = float(magnitude.mean() if bits == 1 else magnitude.max()) or 1.0
    return alpha / 2.0 ** (bits - 1)


def snapped(step: float, multiplier_bits: int) -> float:
    """Return the step nearest to ``step`` that the requantizer's ``M / 2**s`` holds exactly."""
    multiplier, shift = scale_to_multiplier(step, multiplier_bits, SHIFT_MAX)
    return multiplier / 2.0**shift


def quantize(weight: Tensor, bits: int, step: float | None = None) -> Tensor:
    """Return q_k of ``weight`` with the gradient of the identity.

    Args:
        weight: any shape.
        bits: k, 1 to 8.
        step: d; by default :func:`step_of`.
    """
    with torch.no_grad():
        d = step_of(weight, bits) if step is None else step
        if bits == 1:
            q = d * torch.where(weight < 0, -torch.ones_like(weight), torch.ones_like(weight))
        else:
            c = 2 ** (bits - 1)
            q = d * torch.clamp(torch.round(weight / d), -c, c - 1)
        change = q - weight
    return weight + change


def round_state(state: Tensor, step: float, bits: int) -> Tensor:
    """Return the state on its grid, rounded half up and saturated; straight-through where not saturated."""
    c = 2 ** (bits - 1)
    inside = torch.clamp(state, -c * step, (c - 1) * step)
    with torch.no_grad():
        change = step * torch.clamp(torch.floor(state / step + 0.5), -c, c - 1) - inside
    return inside + change
