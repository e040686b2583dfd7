"""The steps of W, and the requantizer's factors that hold them.

The hardware multiplies by ``M / 2**s``, so the step of a row of W is ``unit M / 2**s`` and nothing else
(``unit`` is 1, for tanh the table's step over the state's). W is rounded with that step, not with the ideal
one.

With a step for each row, row i of U has the step ``d_W,i tau / s_x``: a step that is small enough for a row
of W can be too small for its row of U, which would be clipped. :func:`steps_by_row` takes for each row the
step with the least error of both, as it moves the accumulator: ``sum_j (error of W_ij)**2 E[h_j**2] +
sum_j (error of U_ij)**2 E[x_j**2]``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.quantization.grids import least_squares_step, multipliers, quantize_weights, weight_limit

__all__ = [
    "RecurrentGrid",
    "RowProblem",
    "held_steps",
    "one_step_rules",
    "signed_weights",
    "steps_by_row",
]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

# The smallest factor of a row, so that its bits hold the step: the largest has all of them.
_LEAST_FACTOR = 8
# Parts of a step that are tried against clipping: finer steps clip the largest weights.
_PARTS = (1.0, 0.84, 0.71, 0.5)


@dataclass(frozen=True, eq=False)
class RecurrentGrid:
    """W in integers.

    Attributes:
        step: worth of a unit of W in the hardware, (1, 1), or (n, 1) by row.
        factors: M of the requantizer, of the same shape.
        shift: s of the requantizer.
        integers: W, (n, n).
    """

    step: FloatArray
    factors: IntArray
    shift: int
    integers: IntArray


def signed_weights(weight: FloatArray, bits: int, step: FloatArray | float) -> IntArray:
    """Return the integers of weights; zeros of one bit, which it cannot hold, get alternate signs.

    So a row of zeros adds little where the states have one sign, as those of relu have. It is
    :func:`qornn_hw.quantization.grids.quantize_weights` elsewhere.
    """
    integers = quantize_weights(weight, bits, step)
    if bits == 1:
        row, column = np.indices(weight.shape)
        integers = np.where((weight == 0) & ((row + column) % 2 == 1), np.int64(-1), integers)
    return integers


def held_steps(target: FloatArray, unit: float, bits: int) -> tuple[FloatArray, IntArray, int]:
    """Return the steps nearest to ``target`` that the requantizer can hold, their factors M and shift s."""
    factors, shift = multipliers(target / unit, bits)
    return factors / 2.0**shift * unit, factors, shift


@dataclass(frozen=True, eq=False)
class RowProblem:
    """The quantities that the steps of the rows of W depend on.

    Attributes:
        recurrent: W, (n, n).
        drive: U times the inputs' scales over tau, (n, m): row i has the step of row i of W.
        recurrent_bits: bits of W.
        drive_bits: bits of U; 0: U is held at the accumulator's precision.
        states_squared: mean square of each state, (n,).
        inputs_squared: mean square of each entry of the input in units of its integers, times tau**2, (m,).
        multiplier_bits: bits of the requantizer's factor.
        unit: worth of the factor 1.
        one_step: the step that one step for all would have.
    """

    recurrent: FloatArray
    drive: FloatArray
    recurrent_bits: int
    drive_bits: int
    states_squared: FloatArray
    inputs_squared: FloatArray
    multiplier_bits: int
    unit: float
    one_step: float

    def fitting(self, weight: FloatArray, bits: int) -> FloatArray:
        """Return the step of each row that fits its weights, (n,); 0 for a row of zeros."""
        size = np.abs(weight)
        return np.asarray(size.mean(axis=1) if bits == 1 else size.max(axis=1) / weight_limit(bits))

    def error(self, steps: FloatArray) -> FloatArray:
        """Return the mean square error of each row of the accumulator with steps (n,), in its real unit."""
        d = steps[:, None]
        w = signed_weights(self.recurrent, self.recurrent_bits, d) * d - self.recurrent
        found = np.square(w) @ self.states_squared
        if self.drive_bits:
            u = signed_weights(self.drive, self.drive_bits, d) * d - self.drive
            found = found + np.square(u) @ self.inputs_squared
        return np.asarray(found)


def steps_by_row(problem: RowProblem) -> FloatArray:
    """Return a step for each row of W, (n, 1), positive, within what the requantizer's factors can hold."""
    a = problem.fitting(problem.recurrent, problem.recurrent_bits)
    if problem.drive_bits:
        c = problem.fitting(problem.drive, problem.drive_bits)
    else:
        # Columns at the accumulator's precision get at most two bits wider than with one step for all.
        largest = np.abs(problem.drive).max(axis=1)
        c = largest / (float(largest.max()) or 1.0) * problem.one_step / 4
        a = np.maximum(a, c)
    tries = [part * base for base in (a, c) for part in (*_PARTS, *_fine_parts(problem))]
    tries += [np.sqrt(a * c), np.maximum(a, c), np.minimum(a, c)]
    if not problem.drive_bits:
        tries = [np.maximum(d, c) for d in tries]
    best, least = np.zeros(len(a)), np.full(len(a), np.inf)
    for d in tries:
        usable = d > 0
        found = problem.error(np.where(usable, d, 1.0))
        better = usable & (found < least)
        best, least = np.where(better, d, best), np.where(better, found, least)
    largest = best.max() or problem.one_step
    floor = largest * min(0.5, _LEAST_FACTOR / 2.0**problem.multiplier_bits)
    return np.maximum(best, floor)[:, None]


def _fine_parts(problem: RowProblem) -> list[float]:
    """Return the part of the fitting step with which the largest weight is clipped by one unit: q_k's."""
    bits = {problem.recurrent_bits, problem.drive_bits} - {0, 1}
    return [weight_limit(k) / (weight_limit(k) + 1) for k in sorted(bits)]


def one_step_rules(weight: FloatArray, bits: int) -> dict[str, float]:
    """Return the steps for all of a matrix that are worth trying, by the name of their rule.

    full: no weight is clipped, ``max|W| / (2**(k-1) - 1)``. half: q_k's, ``max|W| / 2**(k-1)``, which clips a
    largest positive weight by a unit. least: the least squares of W, where that is another step. One bit has
    one rule, ``mean|W|``.
    """
    size = np.abs(weight)
    if bits == 1:
        return {"mean": float(size.mean())}
    full = float(size.max()) / weight_limit(bits)
    half = full * weight_limit(bits) / (weight_limit(bits) + 1)
    least = least_squares_step(weight, bits, full)
    rules = {"full": full, "half": half}
    return rules if least in rules.values() else rules | {"least": least}
