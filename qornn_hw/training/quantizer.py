"""The weight quantizer q_k and rounding with a straight-through gradient.

q_k as in Foucault, Mamalet, Malgouyres (arXiv 2402.04012) and their code: one step for a tensor, recomputed
in every forward pass, and a straight-through gradient without a mask:

    alpha = max|W|,  d = alpha / 2**(k-1),  q_k(W) = d clip(round(W / d), -2**(k-1), 2**(k-1) - 1)

round is to nearest, ties to even. The 2**k levels are not symmetric: -alpha is a level, but +alpha is not and
is clipped by one step. For k = 1 their code has three levels. The hardware has two, so here
``q_1(W) = mean|W| (W < 0 ? -1 : 1)``.

Extensions: one step for each row (the requantizer then has a factor for each unit, from a memory of n
factors); steps that are powers of two (one for all makes the multiplier a shift); and a gain on the step that
gives q_k(W) the norm of W (it is merged into the requantizer's factor).
"""

import math
from typing import Literal, overload

import torch
from torch import Tensor, nn

from qornn_hw.cells.elman_network import SHIFT_MAX, WEIGHT_BITS
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import scale_to_multiplier

__all__ = ["Quantize", "norm_gain", "quantize", "round_state", "snapped", "step_of"]


@overload
def step_of(
    weight: Tensor, bits: int, *, per_row: Literal[False] = False, power_of_two: bool = False
) -> float: ...
@overload
def step_of(weight: Tensor, bits: int, *, per_row: Literal[True], power_of_two: bool = False) -> Tensor: ...
@overload
def step_of(weight: Tensor, bits: int, *, per_row: bool, power_of_two: bool = False) -> float | Tensor: ...
def step_of(
    weight: Tensor, bits: int, *, per_row: bool = False, power_of_two: bool = False
) -> float | Tensor:
    """Return the step d of q_k. No gradient flows through it.

    Args:
        weight: any shape; (n, m) for steps by row.
        bits: k, 1 to 8.
        per_row: return one step for each row, from the row's own ``alpha``.
        power_of_two: return a power of two, the one next to d with the smaller squared error of q_k. The
            lower one clips the largest entries, which is better if these are rare.

    Returns:
        A float, or with ``per_row`` a tensor (n, 1) of the weight's dtype (at least float32). alpha is taken
        as 1 where all weights are zero.
    """
    with torch.no_grad():
        w = weight.detach()
        if not per_row:
            magnitude = w.abs()
            alpha = float(magnitude.mean() if bits == 1 else magnitude.max()) or 1.0
            step = alpha / 2.0 ** (bits - 1)
            if not power_of_two:
                return step
            exponent = math.floor(math.log2(step))
            near = (2.0**exponent, 2.0 ** (exponent + 1))
            return min(near, key=lambda d: float((quantize(w, bits, d) - w).square().sum()))
        if w.ndim != 2:
            raise FormatError(f"a weight with a step for each row must have 2 dimensions, not {w.ndim}")
        wide = w if w.dtype == torch.float64 else w.float()
        magnitude = wide.abs()
        rows = magnitude.mean(1, keepdim=True) if bits == 1 else magnitude.amax(1, keepdim=True)
        steps = torch.where(rows > 0, rows, torch.ones_like(rows)) / 2.0 ** (bits - 1)
        if not power_of_two:
            return steps
        low = torch.exp2(torch.floor(torch.log2(steps)))
        errors = [(quantize(wide, bits, d) - wide).square().sum(1, keepdim=True) for d in (low, 2 * low)]
        return torch.where(errors[0] <= errors[1], low, 2 * low)


def snapped(step: float, multiplier_bits: int) -> float:
    """Return the step nearest to ``step`` that the requantizer's ``M / 2**s`` represents exactly."""
    multiplier, shift = scale_to_multiplier(step, multiplier_bits, SHIFT_MAX)
    return multiplier / 2.0**shift


def _levels(weight: Tensor, bits: int, step: float | Tensor) -> Tensor:
    """Return the integers of q_k, in the dtype of the weight."""
    if bits == 1:
        return torch.where(weight < 0, -torch.ones_like(weight), torch.ones_like(weight))
    c = 2 ** (bits - 1)
    return torch.clamp(torch.round(weight / step), -c, c - 1)


@overload
def norm_gain(weight: Tensor, bits: int, step: float) -> float: ...
@overload
def norm_gain(weight: Tensor, bits: int, step: Tensor) -> Tensor: ...
@overload
def norm_gain(weight: Tensor, bits: int, step: float | Tensor) -> float | Tensor: ...
def norm_gain(weight: Tensor, bits: int, step: float | Tensor) -> float | Tensor:
    """Return the gain that keeps the norm, ``||W||_F / ||q_k(W)||_F``; by row if ``step`` is (n, 1).

    With fine steps the rounding errors are nearly orthogonal to W, so q_k(W) has a larger norm than W, and a
    recurrence with q_k(W) expands. The gain is 1 where either norm is zero.
    """
    with torch.no_grad():
        w = weight.detach()
        q = step * _levels(w, bits, step)
        if isinstance(step, Tensor):
            wide, got = w.norm(dim=1, keepdim=True), q.norm(dim=1, keepdim=True)
            fine = (wide > 0) & (got > 0)
            return torch.where(fine, wide / torch.where(fine, got, 1.0), 1.0)
        norm, found = float(w.norm()), float(q.norm())
        return norm / found if norm > 0 and found > 0 else 1.0


def quantize(
    weight: Tensor, bits: int, step: float | Tensor | None = None, gain: float | Tensor = 1.0
) -> Tensor:
    """Return ``gain q_k(W)``; its gradient is that of the identity.

    Args:
        weight: any shape.
        bits: k, 1 to 8.
        step: step d, or steps by row, (n, 1); by default that of :func:`step_of`.
        gain: factor on the result after rounding: the integers are those of ``step``, and each unit is worth
            ``gain * step``.
    """
    with torch.no_grad():
        d = step_of(weight, bits) if step is None else step
        # The value of a unit is a single number, as in a checkpoint.
        q = (d * gain) * _levels(weight, bits, d)
        change = q - weight
    return weight + change


class Quantize(nn.Module):
    """q_k as a module, also for ``torch.nn.utils.parametrize.register_parametrization``.

    Args:
        bits: k, 1 to 8.
        per_row: one step for each row instead of one for all.
        power_of_two: use steps that are powers of two.
        norm_preserving: multiply the result by :func:`norm_gain`, by row if the steps are by row. It
            excludes ``power_of_two``.

    Raises:
        FormatError: ``bits`` is not 1 to 8, or both of the last two are set.
    """

    def __init__(
        self, bits: int, per_row: bool = False, power_of_two: bool = False, norm_preserving: bool = False
    ) -> None:
        super().__init__()
        if bits not in WEIGHT_BITS:
            raise FormatError(f"bits must be 1 to 8, not {bits!r}")
        if power_of_two and norm_preserving:
            raise FormatError("norm_preserving must be False if power_of_two is True, not True")
        self.bits = bits
        self.per_row = per_row
        self.power_of_two = power_of_two
        self.norm_preserving = norm_preserving

    def _step_and_gain(self, weight: Tensor) -> tuple[float | Tensor, float | Tensor]:
        step = step_of(weight, self.bits, per_row=self.per_row, power_of_two=self.power_of_two)
        return step, norm_gain(weight, self.bits, step) if self.norm_preserving else 1.0

    def worth(self, weight: Tensor) -> float | Tensor:
        """Return the real value of one unit of q_k's integers: a float, or (n, 1) by row."""
        step, gain = self._step_and_gain(weight)
        return step * gain

    def forward(self, weight: Tensor) -> Tensor:
        """Return q_k of ``weight``, with the gradient of the identity."""
        step, gain = self._step_and_gain(weight)
        return quantize(weight, self.bits, step, gain)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the matrix to store when the parametrized weight is assigned (the same matrix)."""
        return weight

    def extra_repr(self) -> str:
        """Return the options for ``print``."""
        names = ("per_row", "power_of_two", "norm_preserving")
        return ", ".join([f"bits={self.bits}", *(name for name in names if getattr(self, name))])


def round_state(state: Tensor, step: float, bits: int) -> Tensor:
    """Round the state half up to its grid and saturate it; the gradient is 0 where it saturates, else 1."""
    c = 2 ** (bits - 1)
    inside = torch.clamp(state, -c * step, (c - 1) * step)
    with torch.no_grad():
        change = step * torch.clamp(torch.floor(state / step + 0.5), -c, c - 1) - inside
    return inside + change
