"""Rounding of an orthogonal matrix to k bits so that it stays nearly orthogonal.

Rounding to the nearest level gives each entry an independent error of up to half a step. At 4 bits ``Q Q^T``
is then far from a multiple of I (docs/theory.md). But an entry can also take another level near it: n**2
such choices stand against n (n - 1) / 2 products of rows that should vanish. This module moves single
entries by one level as long as that makes the rows more orthogonal. (Not in the paper. Choosing levels by
their effect on the whole matrix is the idea of AdaRound, Nagel et al., arXiv 2004.10568; the objective and
the search are ours.)

With the integers Q, their Gram matrix ``G = Q Q^T`` and s_i = G_ii, the objective is

    by row:     F = sum_(i != k) G_ik^2 / (s_i s_k)       each row has its own step, so any norm
    one step:   F = sum_(i, k) (G_ik / s - [i = k])^2     s: the mean of s_i at the nearest levels

This is the squared Frobenius error ``||N N^T - I||^2`` of the normalized rows N. The move of entry (i, j) by
delta = +-1 changes G_ik to ``G_ik + delta Q_kj`` and s_i to ``s_i + 2 delta Q_ij + 1``. Its effect on F needs
``sum_k w_k G_ik Q_kj`` and ``sum_k w_k Q_kj^2`` over k != i, with w_k = 1 / s_k by row and 1 / s otherwise:
one matrix product for all 2 n**2 moves.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["orthogonal_levels", "steps_of"]

FloatArray = NDArray[np.float64]

# The number of moves made at once is this fraction of the rows that have a move: the best ones, in different
# columns, because gains are computed for single moves.
_AT_ONCE = 8
# The least gain of a move; smaller gains are rounding errors of the sums.
_LEAST = 1e-9
_MOVES = np.array([-1.0, 1.0])[:, None, None]


def orthogonal_levels(
    weight: FloatArray, bits: int, step: float | FloatArray, reach: float = 1.0
) -> FloatArray:
    """Return integers near ``weight / step`` whose rows are nearly orthogonal.

    The search uses no random numbers.

    Args:
        weight: an orthogonal matrix, (n, n).
        bits: k, 2 to 8; the integers are ``-2**(k-1)`` to ``2**(k-1) - 1``.
        step: the quantization step, or (n, 1) one for each row.
        reach: an integer differs from ``weight / step`` by less than ``reach``, or is the nearest one.

    Returns:
        Integers as float64, (n, n): a local minimum of the objective for single moves.
    """
    low, high = -float(1 << (bits - 1)), float((1 << (bits - 1)) - 1)
    exact = weight / step
    levels = np.clip(np.round(exact), low, high)
    scale = None if np.ndim(step) else float(np.square(levels).sum(axis=1).mean()) or 1.0
    objective = _objective(levels, scale)
    while True:
        gain = _gains(levels, scale)
        new = levels + _MOVES
        allowed = (new >= low) & (new <= high) & (np.abs(new - exact) < reach)
        gain = np.where(allowed, gain, np.inf)
        # The better of the two moves of each entry, then the best entry of each row.
        way = gain.argmin(axis=0)
        best = np.take_along_axis(gain, way[None], axis=0)[0]
        columns = best.argmin(axis=1)
        gains = best[np.arange(len(levels)), columns]
        rows = np.flatnonzero(gains < -_LEAST)
        rows = rows[np.argsort(gains[rows], kind="stable")][: -(-len(rows) // _AT_ONCE)]
        _, first = np.unique(columns[rows], return_index=True)
        # Simultaneous moves can cancel each other: then make only the best one.
        for chosen in (rows[first], rows[:1]):
            moved = levels.copy()
            moved[chosen, columns[chosen]] += 2.0 * way[chosen, columns[chosen]] - 1.0
            found = _objective(moved, scale)
            if found < objective:
                break
        else:
            return levels
        levels, objective = moved, found


def _objective(levels: FloatArray, scale: float | None) -> float:
    """Return F: by row if ``scale`` is None, else with s = ``scale``."""
    gram = levels @ levels.T
    if scale is not None:
        return float(np.square(gram / scale - np.eye(len(gram))).sum())
    root = np.sqrt(_lengths(gram))
    np.fill_diagonal(gram, 0.0)
    return float(np.square(gram / root / root[:, None]).sum())


def _lengths(gram: FloatArray) -> FloatArray:
    """Return s_i; a row of zeros counts as a row of norm 1."""
    lengths = gram.diagonal()
    return np.where(lengths > 0, lengths, 1.0)


def _gains(levels: FloatArray, scale: float | None) -> FloatArray:
    """Return the change of F for each move of each entry, (2, n, n)."""
    gram = levels @ levels.T
    squares = levels * levels
    lengths = gram.diagonal()[:, None].copy()
    safe = _lengths(gram)[:, None]
    np.fill_diagonal(gram, 0.0)
    weight = 1.0 / safe if scale is None else np.full_like(safe, 1.0 / scale)
    before = np.square(gram) @ weight
    change = 2.0 * _MOVES * ((gram * weight.T) @ levels) + (weight.T @ squares - weight * squares)
    new = lengths + 2.0 * _MOVES * levels + 1.0
    if scale is None:
        return np.asarray(2.0 * ((before + change) / np.where(new > 0, new, 1.0) - before / safe))
    diagonal = np.square(new / scale - 1.0) - np.square(lengths / scale - 1.0)
    return np.asarray(2.0 * change / scale + diagonal)


def steps_of(weight: FloatArray, levels: FloatArray, bits: int, per_row: bool) -> FloatArray | None:
    """Return steps with which ``weight`` is rounded exactly to ``levels``; None if there are none.

    An entry w > 0 with level l needs ``(l - 1/2) / w <= 1 / step <= (l + 1/2) / w``; at the ends of the range
    only one of the two bounds applies. The step is in the middle of the interval that all entries allow.

    Args:
        weight: (n, n).
        levels: integers of the same shape.
        bits: bits k of the levels.
        per_row: return one step for each row; otherwise one for all.

    Returns:
        (n, 1) by row, else (1, 1).
    """
    low, high = -float(1 << (bits - 1)), float((1 << (bits - 1)) - 1)
    # From here on, a level's distance from zero is enough.
    size, level = np.abs(weight), levels * np.where(weight < 0, -1.0, 1.0)
    last = (levels == low) | (levels == high)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(size > 0, (level - 0.5) / size, np.where(levels == 0, 0.0, np.inf))
        most = np.where((size > 0) & ~(last & (level > 0)), (level + 0.5) / size, np.inf)
    axis = 1 if per_row else None
    least, most = (
        np.maximum(least.max(axis=axis, keepdims=True), 0.0),
        most.min(axis=axis, keepdims=True),
    )
    # If all entries but zeros are at the ends of the range, any smaller step is valid, too.
    most = np.where(np.isinf(most), 2.0 * least, most)
    if not (most > least).all():
        return None
    found: FloatArray = 2.0 / (least + most)
    return found
