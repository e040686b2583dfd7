"""The weight quantizer q_k and rounding with a straight-through gradient.

q_k after Foucault, Mamalet, Malgouyres (arXiv 2402.04012) and their code: per tensor, recomputed at every
forward pass, the gradient passed straight through without a mask:

    alpha = max|W|,  d = alpha / 2**(k-1),  q_k(W) = d clip(round(W / d), -2**(k-1), 2**(k-1) - 1)

round is to nearest, ties to even. The levels are 2**k and lopsided: -alpha is one of them, +alpha is not and
loses a whole step. For k = 1 their code has three levels; the hardware has two, so here
``q_1(W) = mean|W| (W < 0 ? -1 : 1)``.

Beyond the paper: a step for each row (the requantizer takes a factor for each unit, at the cost of a memory
of n factors), steps that are powers of two (one for all makes the multiplier a shift), and a gain on the step
that gives q_k(W) the norm of W (it disappears in the factor).
"""

import math
from typing import Literal, overload

import torch
from torch import Tensor, nn

from qornn_hw.errors import FormatError
from qornn_hw.fixed import scale_to_multiplier
from qornn_hw.network import SHIFT_MAX, WEIGHT_BITS

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
    """Return the step d of q_k; no gradient flows through it.

    Args:
        weight: any shape; (n, m) for steps by row.
        bits: k, 1 to 8.
        per_row: a step for each row, from that row's own ``alpha``.
        power_of_two: of the powers of two on either side of d, the one whose q_k errs less in the square.
            The smaller one clips the largest entries, which pays where these are rare.

    Returns:
        A float, or by row a tensor (n, 1) of the weight's dtype (float32 where it is narrower). alpha
        counts as 1 where the weights are zero.
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
    """Return the step nearest to ``step`` that the requantizer's ``M / 2**s`` holds exactly."""
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
    """Return ``||W||_F / ||q_k(W)||_F``, by row where ``step`` is (n, 1): the gain that keeps the norm.

    Rounding errors are nearly orthogonal to q_k's input where steps are fine, so that q_k(W) is longer than
    W, and by that a recurrence with it expands. The gain is 1 where either norm is zero.
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
    """Return ``gain q_k(W)`` with the gradient of the identity.

    Args:
        weight: any shape.
        bits: k, 1 to 8.
        step: d, or steps by row, (n, 1); by default that of :func:`step_of`.
        gain: a factor on the result, not on the rounding: the integers are those of ``step``, and each is
            worth ``gain * step``.
    """
    with torch.no_grad():
        d = step_of(weight, bits) if step is None else step
        # The worth of a unit is one number, as it is in a checkpoint.
        q = (d * gain) * _levels(weight, bits, d)
        change = q - weight
    return weight + change


class Quantize(nn.Module):
    """q_k as a module, also for ``torch.nn.utils.parametrize.register_parametrization``.

    Args:
        bits: k, 1 to 8.
        per_row: a step for each row instead of one.
        power_of_two: steps that are powers of two.
        norm_preserving: multiply the result by :func:`norm_gain`, by row where the steps are. Not with
            powers of two, which a gain would leave.

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
            raise FormatError("norm_preserving must be unset where power_of_two is set, not set as well")
        self.bits = bits
        self.per_row = per_row
        self.power_of_two = power_of_two
        self.norm_preserving = norm_preserving

    def _step_and_gain(self, weight: Tensor) -> tuple[float | Tensor, float | Tensor]:
        step = step_of(weight, self.bits, per_row=self.per_row, power_of_two=self.power_of_two)
        return step, norm_gain(weight, self.bits, step) if self.norm_preserving else 1.0

    def worth(self, weight: Tensor) -> float | Tensor:
        """Return what one unit of the integers of q_k is worth: a float, or (n, 1) by row."""
        step, gain = self._step_and_gain(weight)
        return step * gain

    def forward(self, weight: Tensor) -> Tensor:
        """Return q_k of ``weight``, with the gradient of the identity."""
        step, gain = self._step_and_gain(weight)
        return quantize(weight, self.bits, step, gain)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the matrix that is stored when the parametrized one is assigned: the same."""
        return weight

    def extra_repr(self) -> str:
        """Return what ``print`` shows of the options."""
        names = ("per_row", "power_of_two", "norm_preserving")
        return ", ".join([f"bits={self.bits}", *(name for name in names if getattr(self, name))])


def round_state(state: Tensor, step: float, bits: int) -> Tensor:
    """Return the state on its grid, rounded half up and saturated; straight-through where not saturated."""
    c = 2 ** (bits - 1)
    inside = torch.clamp(state, -c * step, (c - 1) * step)
    with torch.no_grad():
        change = step * torch.clamp(torch.floor(state / step + 0.5), -c, c - 1) - inside
    return inside + change
