"""Rounded weights with learned steps (LSQ, Esser et al. 2020): the rounding that the integers will have."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from qornn_hw.quantization.grids import weight_limit

__all__ = ["rounded_weights", "stable_weights"]


def rounded_weights(weight: Tensor, step: Tensor, bits: int) -> Tensor:
    """Return ``step * clip(round(weight / step))``; with one bit ``step * sign(weight)``.

    The gradient of a weight passes straight through, and is 0 where the weight is clipped. That of a step is
    the one of the rounded weights, with the rounding as a constant.

    Args:
        weight: (n, m).
        step: positive, (n, 1) or one number.
        bits: 1 to 8 for a symmetric grid, to 32 for symbols.
    """
    result: Tensor = _Rounded.apply(weight, step, bits)  # type: ignore[no-untyped-call]  # torch gives it no types
    return result


def stable_weights(
    weight: Tensor, step: Tensor, bits: int, own: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rounded W of a linear recurrence, the step of each row, (n, 1), and the units' own weights.

    The integers are those of the given step. The rows are then scaled to their length before rounding, and
    all of ``W + diag(own)`` so that its spectral radius is 1: the state neither grows nor fades over many
    steps. The scale of a row is a factor of the requantizer. The gradient of a weight passes straight
    through.

    Args:
        weight: (n, n).
        step: that decides the integers, (n, 1).
        bits: 1 to 8.
        own: real numbers on the diagonal beside W, (n,); None for zeros.
    """
    apart = weight.new_zeros(len(weight)) if own is None else own
    with torch.no_grad():
        integers = rounded_weights(weight, step, bits) / step
        lengths = integers.norm(dim=1, keepdim=True).clamp_min(1.0)
        actual = weight.norm(dim=1, keepdim=True) / lengths
        radius = torch.linalg.eigvals(integers * actual + torch.diag(apart)).abs().max().clamp_min(1e-6)
        actual = actual / radius
        found, scaled = integers * actual, apart / radius
    return weight + (found - weight).detach(), actual, apart + (scaled - apart).detach()


class _Rounded(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, step: Tensor, bits: int) -> Tensor:
        ratio = weight / step
        if bits == 1:
            integers = torch.where(weight < 0, -1.0, 1.0)
            inside = ratio.abs() <= 2.0
        else:
            low, high = -float(1 << bits - 1), float((1 << bits - 1) - 1)
            integers = ratio.round().clamp_(low, high)
            inside = (ratio >= low - 0.5) & (ratio <= high + 0.5)
        ctx.save_for_backward(ratio, integers, inside)
        ctx.step_shape, ctx.bits = step.shape, bits
        return integers * step

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        ratio, integers, inside = ctx.saved_tensors
        d_weight = gradient * inside
        slope = integers if ctx.bits == 1 else torch.where(inside, integers - ratio, integers)
        d_step = gradient * slope
        # The scale that keeps the steps' updates in proportion to those of the weights.
        count = ratio.numel() / max(1, int(torch.Size(ctx.step_shape).numel()))
        scale = (count * max(weight_limit(ctx.bits), 1)) ** -0.5
        d_step = d_step.sum(dim=1, keepdim=True) if len(ctx.step_shape) else d_step.sum()
        return d_weight, d_step * scale, None
