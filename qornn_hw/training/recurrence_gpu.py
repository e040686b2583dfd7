"""The recurrence of :mod:`recurrence` on a CUDA device: one kernel forward and one backward for all steps.

    forward    z_t = unit (N h_{t-1}) + drive_t        h_t = act(z_t, b), rounded to the grid
    backward   d_t = act'(h_t) (g_t + W^T d_{t+1})     W = unit N

A step of a small network takes a microsecond of arithmetic; ten kernels a step would spend all time on
launches. Here each program runs :data:`SEQUENCES` sequences through all steps, and keeps N (in bfloat16) and
the states in registers. Integers of up to 8 bits are exact in bfloat16. The other operand is rounded to
bfloat16, or split into three bfloat16 parts, which represent a float32 exactly.

Triton compiles the kernels on the first call; it is part of torch's builds for CUDA.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from qornn_hw.cells.activations.kernel_form import KernelForm

__all__ = ["SEQUENCES", "UNITS_MAX", "backward", "forward"]

# The smallest tile of a tensor-core product: more programs are faster than larger ones.
SEQUENCES = 16
# N, padded to a power of two, must fit into the registers of a multiprocessor.
UNITS_MAX = 256
_WARPS = 16


@triton.jit
def _product(a, matrix, PARTS: tl.constexpr):
    """Return ``a @ matrix`` with a split into PARTS bfloat16 parts."""
    part = a.to(tl.bfloat16)
    total = tl.dot(part, matrix)
    for _ in tl.static_range(1, PARTS):
        a = a - part.to(tl.float32)
        part = a.to(tl.bfloat16)
        total = tl.dot(part, matrix, total)
    return total


@triton.jit
def _forward_kernel(
    exact,
    states,
    matrix,
    unit,
    bias,
    steps,
    batch,
    n,
    grid_step,
    low,
    high,
    BIASED: tl.constexpr,
    RECTIFIED: tl.constexpr,
    SHRUNK: tl.constexpr,
    CLIPPED: tl.constexpr,
    TANH: tl.constexpr,
    ROUNDING: tl.constexpr,
    PARTS: tl.constexpr,
    M: tl.constexpr,
    N: tl.constexpr,
):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    units = tl.arange(0, N)
    inside = (rows[:, None] < batch) & (units[None, :] < n)
    place = rows[:, None] * n + units[None, :]
    stride = (batch * n).to(tl.int64)
    square = (units[:, None] < n) & (units[None, :] < n)
    # Transposed: (j, i) is the weight from unit j to unit i.
    w = tl.load(matrix + units[None, :] * n + units[:, None], mask=square, other=0.0)
    worth = tl.load(unit + units, mask=units < n, other=0.0)[None, :]
    b = tl.load(bias + units, mask=units < n, other=0.0)[None, :]
    h = tl.load(states + place, mask=inside, other=0.0)
    drive = tl.load(exact + stride + place, mask=inside, other=0.0)
    for t in range(1, steps + 1):
        z = drive
        # Prefetched one step ahead: memory is slower than the product.
        drive = tl.load(exact + (t + 1) * stride + place, mask=inside & (t < steps), other=0.0)
        z += worth * _product(h, w, PARTS)
        if RECTIFIED:
            h = tl.maximum(z + b, 0.0)
        elif SHRUNK:
            size = tl.maximum(tl.abs(z) + b, 0.0)
            h = tl.where(z > 0.0, size, tl.where(z < 0.0, -size, 0.0))
        elif CLIPPED:
            h = tl.minimum(tl.maximum(z + b, -1.0), 1.0)
        elif TANH:
            h = 2.0 * tl.sigmoid(2.0 * (z + b)) - 1.0
        elif BIASED:
            h = z + b
        else:
            h = z
        tl.store(exact + t * stride + place, h, mask=inside)
        if ROUNDING != "none":
            h = tl.div_rn(h, grid_step)
            whole = tl.floor(h + 0.5)
            if ROUNDING == "half_even":
                odd = whole - 2.0 * tl.floor(whole * 0.5)
                whole = tl.where((whole - h == 0.5) & (odd != 0.0), whole - 1.0, whole)
            h = tl.minimum(tl.maximum(whole, low), high) * grid_step
            tl.store(states + t * stride + place, h, mask=inside)


@triton.jit
def _backward_kernel(
    deltas,
    outer,
    exact,
    matrix,
    unit,
    steps,
    batch,
    n,
    low,
    high,
    RECTIFIED: tl.constexpr,
    SHRUNK: tl.constexpr,
    CLIPPED: tl.constexpr,
    TANH: tl.constexpr,
    ROUNDED: tl.constexpr,
    LAST_ONLY: tl.constexpr,
    PARTS: tl.constexpr,
    M: tl.constexpr,
    N: tl.constexpr,
):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    units = tl.arange(0, N)
    inside = (rows[:, None] < batch) & (units[None, :] < n)
    place = rows[:, None] * n + units[None, :]
    stride = (batch * n).to(tl.int64)
    square = (units[:, None] < n) & (units[None, :] < n)
    w = tl.load(matrix + units[:, None] * n + units[None, :], mask=square, other=0.0)
    worth = tl.load(unit + units, mask=units < n, other=0.0)[None, :]
    h_next = tl.load(exact + steps * stride + place, mask=inside, other=0.0)
    if LAST_ONLY:
        g_next = tl.load(outer + place, mask=inside, other=0.0)
    else:
        g_next = tl.load(outer + (steps - 1) * stride + place, mask=inside, other=0.0)
    d = tl.zeros((M, N), dtype=tl.float32)
    for s in range(0, steps):
        t = steps - s
        h = h_next
        g = g_next
        h_next = tl.load(exact + (t - 1) * stride + place, mask=inside, other=0.0)
        if LAST_ONLY:
            g_next = tl.zeros((M, N), dtype=tl.float32)
        else:
            g_next = tl.load(outer + (t - 2) * stride + place, mask=inside & (t > 1), other=0.0)
        d = g + _product(d * worth, w, PARTS)
        if ROUNDED:
            d = tl.where((h >= low) & (h <= high), d, 0.0)
        if RECTIFIED or SHRUNK:
            d = tl.where(h != 0.0, d, 0.0)
        elif CLIPPED:
            d = tl.where(tl.abs(h) < 1.0, d, 0.0)
        elif TANH:
            d = d * (1.0 - h * h)
        tl.store(deltas + (t - 1) * stride + place, d, mask=inside)


def _launch(kernel: Any, batch: int, n: int, *arguments: Any, **options: Any) -> None:
    padded = max(16, triton.next_power_of_2(n))
    programs = (triton.cdiv(batch, SEQUENCES),)
    kernel[programs](*arguments, **options, M=SEQUENCES, N=padded, num_warps=min(_WARPS, padded // 8))


def _flags(form: KernelForm) -> dict[str, bool]:
    """Return the activation as compile-time flags of both kernels."""
    return {
        "RECTIFIED": form.rectified,
        "SHRUNK": form.shrunk,
        "CLIPPED": form.clipped,
        "TANH": form.tanh,
    }


def _in_units(recurrent: Tensor, unit: Tensor | float) -> tuple[Tensor, Tensor]:
    """Return N, which is W in its units, and the unit of each row, (n,)."""
    n = len(recurrent)
    if isinstance(unit, Tensor):
        worth = unit.reshape(n).to(recurrent).contiguous()
    else:
        worth = recurrent.new_full((n,), unit)
    return (recurrent / worth[:, None]).to(torch.bfloat16).contiguous(), worth


def forward(
    exact: Tensor,
    states: Tensor,
    recurrent: Tensor,
    unit: Tensor | float,
    bias: Tensor,
    *,
    form: KernelForm,
    grid: tuple[float, int, str] | None,
    bfloat16: bool,
) -> None:
    """Write the states of all steps.

    Args:
        exact: (T + 1, batch, n), float32, contiguous like all arrays. On entry, indices 1 and up hold
            ``U x_t``; they are overwritten by the result of the activation before rounding.
        states: (T + 1, batch, n), index 0 is the initial state; without a grid the same tensor as ``exact``.
        recurrent: W, (n, n), n up to :data:`UNITS_MAX`.
        unit: the unit of which W holds integer multiples, or (n, 1) one for each row.
        bias: b, (n,).
        form: the activation.
        grid: step, bits, and tie rule of the states' grid, if they are rounded.
        bfloat16: round the states to bfloat16 before the product.
    """
    steps, batch, n = exact.shape[0] - 1, exact.shape[1], exact.shape[2]
    step, bits, rounding = grid or (1.0, 1, "none")
    c = 2.0 ** (bits - 1)
    matrix, worth = _in_units(recurrent, unit)
    _launch(
        _forward_kernel, batch, n, exact, states, matrix, worth, bias, steps, batch, n, step, -c, c - 1.0,
        BIASED=form.biased, **_flags(form), ROUNDING=rounding, PARTS=1 if bfloat16 else 3,
    )  # fmt: skip


def backward(
    deltas: Tensor,
    outer: Tensor,
    exact: Tensor,
    recurrent: Tensor,
    unit: Tensor | float,
    *,
    form: KernelForm,
    limits: tuple[float, float] | None,
    last_only: bool,
    bfloat16: bool,
) -> Tensor:
    """Write the gradients with respect to the activation's inputs; return that of the bias, (n,).

    Args:
        deltas: (T, batch, n), the result.
        outer: g, the gradient from outside, (T, batch, n), or (batch, n) for the last state only.
        exact: the results of the activation, from :func:`forward`.
        recurrent: W.
        unit: as for :func:`forward`.
        form: the activation.
        limits: the smallest and the largest state of the grid, where the gradient is 0 beyond; None: no grid.
        last_only: ``outer`` is the gradient of the last state only.
        bfloat16: round the gradients to bfloat16 before the product.
    """
    steps, batch, n = deltas.shape
    low, high = limits or (0.0, 0.0)
    matrix, worth = _in_units(recurrent, unit)
    _launch(
        _backward_kernel, batch, n, deltas, outer.contiguous(), exact, matrix, worth, steps, batch, n, low,
        high, **_flags(form), ROUNDED=limits is not None, LAST_ONLY=last_only,
        PARTS=1 if bfloat16 else 3,
    )  # fmt: skip
    if not form.biased:
        return deltas.new_zeros(n)
    by_bias = deltas * torch.sign(exact[1:]) if form.shrunk else deltas
    return by_bias.sum(dim=(0, 1))
