"""Weights of a matrix in integers, with a step of its own for each row.

The step of a row is the one with the least error of the products that it is used in:
``sum_j (q_ij step_i - w_ij)**2 E[x_j**2]``, where x are the integers that the row is multiplied with.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.quantization.grids import quantize_weights, weight_limit

__all__ = ["QuantizedRows", "quantized_rows"]

# Steps that are tried, in units of the one that holds the largest weight. Finer ones clip that weight.
_STEPS = 2.0 ** (-np.arange(-8, 65) / 32)


@dataclass(frozen=True, eq=False)
class QuantizedRows:
    """``weight[i] = integers[i] * step[i]``, nearly.

    Attributes:
        integers: (n, m).
        step: (n,).
    """

    integers: NDArray[np.int64]
    step: NDArray[np.float64]


def quantized_rows(
    weight: NDArray[np.float64], bits: int, moments: NDArray[np.float64], *, one_step: bool = False
) -> QuantizedRows:
    """Return the rows of a matrix in ``bits``-bit integers.

    Args:
        weight: (n, m).
        bits: 1 to 32; with one bit the integers are -1 and +1.
        moments: (m,), E[x_j**2].
        one_step: give all rows the same step, the one with the least error of all.

    >>> rows = quantized_rows(np.array([[0.7, -0.1], [0.0, 0.0]]), 4, np.ones(2))
    >>> rows.integers.tolist(), rows.step.round(3).tolist()
    ([[7, -1], [0, 0]], [0.1, 1.0])
    """
    weighting = moments if np.any(moments > 0) else np.ones_like(moments)
    if bits == 1:
        signs = quantize_weights(weight, 1, 1.0)
        # The least error of a row's only magnitude; a step of 0 would have no multiplier.
        step = (np.abs(weight) * weighting).sum(axis=1) / weighting.sum()
        step = np.full_like(step, step.mean()) if one_step else step
        return QuantizedRows(signs, np.where(step > 0, step, np.finfo(np.float32).tiny))
    widest = np.abs(weight).max(axis=1) / weight_limit(bits)
    widest = np.full_like(widest, widest.max()) if one_step else widest
    widest = np.where(widest > 0, widest, 1.0)
    if bits > 12:
        # The grid is finer than anything that a search could gain.
        return QuantizedRows(quantize_weights(weight, bits, widest[:, None]), widest)
    steps = widest[:, None] * _STEPS
    errors = [
        (np.square(quantize_weights(weight, bits, d[:, None]) * d[:, None] - weight) * weighting).sum(axis=1)
        for d in steps.T
    ]
    best = np.argmin(errors, axis=0)
    best = np.full_like(best, np.argmin(np.sum(errors, axis=1))) if one_step else best
    step = steps[np.arange(len(weight)), best]
    return QuantizedRows(quantize_weights(weight, bits, step[:, None]), step)
