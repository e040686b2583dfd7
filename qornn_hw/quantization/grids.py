"""From real weights to integers: the grids, their steps, and what makes one accumulator of W g and U x.

A *step* is what one unit of an integer weight is worth. Here it is an array that broadcasts over the matrix:
(1, 1) for one step, (n, 1) for a step by row. :mod:`qornn_hw.quantization.quantize` has the equations between
the steps.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.arguments import array_of, positive, shown
from qornn_hw.cells.elman_network import SHIFT_MAX
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, scale_to_multiplier

__all__ = [
    "TIED",
    "given_step",
    "grid_step",
    "input_shift_of_least_loss",
    "integers_of",
    "least_squares_step",
    "multipliers",
    "quantize_weights",
    "tied_ratio",
    "weight_limit",
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


def weight_limit(bits: int) -> int:
    """Return the largest integer of a weight, ``2**(k-1) - 1``; 1 for one bit."""
    return max(IntFormat(bits, signed=True).max, 1)


def least_squares_step(weight: ArrayLike, bits: int, widest: float) -> float:
    """Return the step of least loss from ``widest`` to an eighth of it, by eighths of a power of two.

    The loss is the sum of the squares of what rounding and clipping change; ``widest`` itself where the
    weights are all zero.
    """
    w = np.asarray(weight, dtype=np.float64)
    if widest == 0.0:
        return 0.0
    steps = widest * 2.0 ** (-np.arange(25) / 8)
    losses = [float(np.square(quantize_weights(w, bits, d) * d - w).sum()) for d in steps]
    return float(steps[int(np.argmin(losses))])


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
    of :func:`qornn_hw.ir.formats.scale_to_multiplier`. A factor too small for the shift gets 1.
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


def tied_ratio(steps: FloatArray, recurrent_steps: FloatArray) -> float | None:
    """Return r of ``d_U = r d_W``, None if the steps are not so, to within :data:`TIED`."""
    ratios = steps / recurrent_steps
    ratio = float(ratios.mean())
    return ratio if float(np.abs(ratios / ratio - 1).max()) <= TIED else None


def input_shift_of_least_loss(drive: FloatArray, bits: int, step: FloatArray) -> int:
    """Return the input shift e, 0 to 31, with which ``bits``-bit integers times ``step 2**e`` are nearest.

    Args:
        drive: U in units of the inputs' integers, (n, m).
        bits: of U.
        step: what one unit of the accumulator is worth, (1, 1) or (n, 1).
    """

    def loss(e: int) -> float:
        d = step * 2.0**e
        return float(np.square(drive - quantize_weights(drive, bits, d) * d).sum())

    return min(range(32), key=loss)
