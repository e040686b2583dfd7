"""From real weights to integers: the grids, their steps, and what makes one accumulator of W g and U x.

A *step* is what one unit of an integer weight is worth. Here it is an array that broadcasts over the matrix:
(1, 1) for one step, (n, 1) for a step by row. :mod:`qornn_hw.exporting` has the equations between the steps.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.arguments import array_of, positive, shown
from qornn_hw.errors import FormatError
from qornn_hw.fixed import IntFormat, bits_for_range, scale_to_multiplier
from qornn_hw.network import SHIFT_MAX, InputKind

__all__ = [
    "TIED",
    "given_step",
    "grid_step",
    "input_weights",
    "integers_of",
    "multipliers",
    "quantize_weights",
    "row_steps",
    "tanh_range",
    "tanh_table",
    "tied_ratio",
    "tied_steps",
    "weight_step",
]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

# How far steps of U may be from a multiple of those of W: the requantizer's factor of a row with a small step
# has few bits.
TIED = 0.01


def weight_step(weight: ArrayLike, bits: int) -> float:
    """Return the step of q_k: ``max|W| / 2**(k-1)``, and for one bit ``mean|W|`` (1 where W is zero)."""
    magnitude = np.abs(np.asarray(weight, dtype=np.float64))
    alpha = float(magnitude.mean() if bits == 1 else magnitude.max()) or 1.0
    return alpha / 2.0 ** (bits - 1)


def row_steps(weight: ArrayLike, bits: int) -> FloatArray:
    """Return :func:`weight_step` of each row, (n, 1)."""
    return np.array([[weight_step(row, bits)] for row in np.asarray(weight, dtype=np.float64)])


def quantize_weights(weight: ArrayLike, bits: int, step: float | FloatArray) -> IntArray:
    """Return the integers of ``q_k(W) = step * clip(round(W / step), -2**(k-1), 2**(k-1)-1)``.

    Ties go to even, as in training. One bit gives -1 and +1 (the integers 0 and -1 would make the
    hardware's weights lopsided); zero goes to +1. The step may be an array that broadcasts, (n, 1) by row.
    """
    w = np.asarray(weight, dtype=np.float64)
    if bits == 1:
        return np.where(w < 0, np.int64(-1), np.int64(1))
    form = IntFormat(bits, signed=True)
    return np.clip(np.rint(w / step), form.min, form.max).astype(np.int64)


def integers_of(values: FloatArray) -> IntArray:
    """Return the nearest integers; what is beyond all formats stays so, and the network's checks name it."""
    integers: IntArray = np.clip(np.rint(values), -(2.0**62), 2.0**62).astype(np.int64)
    return integers


def grid_step(name: str, weight: ArrayLike, bits: int) -> float:
    """Return the step of weights that lie on a ``bits``-bit grid already, the largest one that fits.

    Raises:
        FormatError: the weights are on no such grid.
    """
    w = np.asarray(weight, dtype=np.float64)
    largest = float(np.abs(w).max())
    if largest == 0.0:
        return weight_step(w, bits)
    for top in range(1, 2 ** (bits - 1) + 1):
        step = largest / top
        # float32 weights are off their grid by a few units of 2**-24.
        if np.abs(w / step - np.rint(w / step)).max() < 1e-3 and np.array_equal(
            quantize_weights(w, bits, step), np.rint(w / step)
        ):
            return step
    raise FormatError(
        f"{name} must lie on a grid of {bits} bits where already_quantized is set; unset it to round them"
    )


def tanh_table(index_bits: int, index_step: float, state_bits: int) -> IntArray:
    """Return ``clip(round(tanh(q index_step) 2**(a-1)))`` for q from ``-2**(t-1)`` to ``2**(t-1) - 1``.

    The requantizer rounds to the nearest index, so q times the step is the centre of what falls on q.
    """
    q = np.arange(-(1 << (index_bits - 1)), 1 << (index_bits - 1))
    form = IntFormat(state_bits, signed=True)
    values = np.rint(np.tanh(q * index_step) * 2.0 ** (state_bits - 1))
    integers: IntArray = np.clip(values, form.min, form.max).astype(np.int64)
    return integers


def tanh_range(state_bits: int) -> float:
    """Return the power of two beyond which tanh is within half a unit of 1 in ``state_bits`` bits."""
    return 2.0 ** math.ceil(math.log2(math.atanh(1 - 2.0**-state_bits)))


def given_step(name: str, step: Any, rows: int) -> FloatArray:
    """Return a step that the caller gave, a number or one for each of ``rows`` rows, as (1, 1) or (n, 1).

    Raises:
        FormatError: it is neither, or not positive and finite.
    """
    if np.ndim(step.detach().cpu() if hasattr(step, "detach") else step) == 0:
        return np.full((1, 1), positive(name, step))
    steps = array_of(name, step).astype(np.float64)
    if steps.shape not in ((rows,), (rows, 1)):
        raise FormatError(f"{name} must be a number or have shape ({rows},), not {steps.shape}")
    wrong = steps[~(np.isfinite(steps) & (steps > 0))]
    if len(wrong):
        raise FormatError(f"{name} must be positive and finite numbers, not {shown(float(wrong[0]))}")
    return steps.reshape(rows, 1)


def multipliers(factors: FloatArray, bits: int) -> tuple[IntArray, int]:
    """Return multipliers M and their common shift s with ``M / 2**s`` near to positive ``factors``.

    The largest factor takes all the bits, and common factors of two are removed, so that one factor is that
    of :func:`qornn_hw.fixed.scale_to_multiplier`. A factor too small for the shift gets 1.
    """
    largest = float(factors.max())
    multiplier, shift = scale_to_multiplier(largest, bits, SHIFT_MAX)
    if factors.size == 1:
        return np.full(factors.shape, multiplier, dtype=np.int64), shift
    limit = (1 << bits) - 1
    while shift < SHIFT_MAX and round(largest * 2.0 ** (shift + 1)) <= limit:
        shift += 1
    found: IntArray = np.maximum(np.rint(factors * 2.0**shift), 1).astype(np.int64)
    while shift > 0 and not np.any(found & 1):
        found, shift = found >> 1, shift - 1
    return found, shift


def tied_steps(weight: FloatArray, bits: int, recurrent_steps: FloatArray) -> FloatArray:
    """Return steps for U by row, (n, 1), that are those of W times the number that loses least of U."""
    alone = row_steps(weight, bits)
    widest = float((alone / recurrent_steps).max())
    # From where nothing is clipped down to a sixteenth of that, by quarters of a power of two.
    candidates = [widest * 2.0 ** (-i / 4) * recurrent_steps for i in range(17)]
    return min(
        candidates, key=lambda d: float(np.square(quantize_weights(weight, bits, d) * d - weight).sum())
    )


def tied_ratio(steps: FloatArray, recurrent_steps: FloatArray) -> float | None:
    """Return r of ``d_U = r d_W``, None if the steps are not so, to within :data:`TIED`."""
    ratios = steps / recurrent_steps
    ratio = float(ratios.mean())
    return ratio if float(np.abs(ratios / ratio - 1).max()) <= TIED else None


def input_weights(
    u: FloatArray,
    bits: int,
    d_u: FloatArray,
    s_x: float,
    s_acc: FloatArray,
    kind: InputKind,
    tied: float | None,
) -> tuple[IntArray, int, int]:
    """Return the integers of U, their bits, and the input shift e with ``U x ~ (Ui xi << e) s_acc``.

    Args:
        u: U, (n, m).
        bits: bits of U.
        d_u: the step of U, (1, 1) or (n, 1).
        s_x: what one unit of an input is worth.
        s_acc: what one unit of the accumulator is worth, (1, 1) or (n, 1).
        kind: of the input.
        tied: ``d_U s_x / s_acc``, a power of two because the state's step was chosen so; else None.
    """
    if tied is not None and tied > 0.75:
        e = round(math.log2(tied))
        if e > 31:
            raise FormatError(
                f"the input shift must be at most 31, not {e}: lower the input's or the state's bits"
            )
        return quantize_weights(u, bits, d_u), bits, e
    if kind is InputKind.ONE_HOT:
        columns = integers_of(u * s_x / s_acc)
        return columns, max(2, bits_for_range(int(columns.min()), int(columns.max()))), 0
    # The shift whose step loses least of U.
    best: tuple[float, int, IntArray] | None = None
    for e in range(32):
        step = s_acc * 2.0**e / s_x
        u_int = quantize_weights(u, bits, step)
        error = float(np.square(u - u_int * step).sum())
        if best is None or error < best[0]:
            best = error, e, u_int
    assert best is not None
    return best[2], bits, best[1]
