"""Straight pieces for a curve: knots where the error is largest, slopes of few bits.

The knots are placed greedily, as in "Training Integer-Only Deep RNNs" (arXiv 2212.11791): the piece with the
largest error is split where its two parts err least, until no piece errs by more than is asked for. Here the
slopes are factors of up to 15 times powers of two, and every piece has an offset of its own, so that the
pieces need not meet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.pieces import Pieces

__all__ = ["fitted_pieces"]

FloatArray = NDArray[np.floating[Any]]

FACTOR_MAX = 15
# Knots are multiples of the index range over this: comparisons with them look at few bits.
_POSITIONS = 128
# Slopes that are tried for a piece: the nearest to that between its ends.
_SLOPES = 4


@dataclass(frozen=True)
class _Piece:
    """A piece from index ``first`` to index ``last``, both included; the slope is ``slope / 2**shift``."""

    first: int
    last: int
    slope: int
    offset: int
    error: float


def fitted_pieces(
    curve: Callable[[FloatArray], FloatArray],
    *,
    centre: float,
    index_bits: int,
    shift: int,
    tolerance: float,
    knots_max: int,
) -> Pieces:
    """Return pieces for a curve that is odd around ``centre``: ``curve(-q) = 2 centre - curve(q)``.

    Args:
        curve: the function of the index, in units of the state, not rounded.
        centre: its value at 0, a whole number of units.
        index_bits: t of the index q, ``-2**(t-1) <= q < 2**(t-1)``.
        shift: the right shift behind slopes and offsets, at most 27.
        tolerance: the largest error of a piece, before rounding, at which it is not split.
        knots_max: the most knots of a half, 1 to 32; there is one at least.
    """
    half = 1 << (index_bits - 1)
    values = curve(np.arange(half + 1, dtype=np.float64)) - centre
    grain = max(1, 2 * half // _POSITIONS)
    pieces = [_fit(values, 0, half, shift)]
    while len(pieces) <= knots_max:
        worst = max(pieces, key=lambda piece: piece.error)
        cuts = range((worst.first // grain + 1) * grain, worst.last, grain)
        if (len(pieces) > 1 and worst.error <= tolerance) or not cuts:
            break
        halves = [(_fit(values, worst.first, c, shift), _fit(values, c, worst.last, shift)) for c in cuts]
        best = min(halves, key=lambda two: max(piece.error for piece in two))
        pieces.remove(worst)
        pieces += best
    pieces.sort(key=lambda piece: piece.first)
    middle = round(centre) << shift
    outer = pieces[1:]
    rows = [_row(-piece.last, piece.slope, middle - piece.offset) for piece in reversed(outer)]
    rows.append(_row(-pieces[0].last, pieces[0].slope, middle))
    rows += [_row(piece.first, piece.slope, middle + piece.offset) for piece in outer]
    return Pieces(np.array(rows, dtype=np.int64), shift)


def _row(first: int, slope: int, offset: int) -> tuple[int, int, int, int]:
    """Return a row of :class:`Pieces`, whose factor is odd or 0."""
    power = (slope & -slope).bit_length() - 1 if slope else 0
    return first, slope >> power, power, offset


def _slopes(wanted: float) -> list[int]:
    """Return the slopes ``factor << power`` that are nearest to a positive one."""
    powers = range(max(0, int(wanted).bit_length() - 1) + 1)
    found = {f << e for e in powers for f in (int(wanted) >> e, (int(wanted) >> e) + 1) if f <= FACTOR_MAX}
    return sorted(found, key=lambda slope: abs(slope - wanted))[:_SLOPES]


def _fit(values: FloatArray, first: int, last: int, shift: int) -> _Piece:
    """Return the piece of least error; the one that begins at 0 goes through 0, as its mirror image does."""
    unit = 2.0**shift
    wanted, index = values[first : last + 1] * unit, np.arange(first, last + 1)
    found = []
    for slope in _slopes(max((wanted[-1] - wanted[0]) / (last - first), 0.0)):
        rest = wanted - slope * index
        low, high = float(rest.min()), float(rest.max())
        offset = round((low + high) / 2) if first else 0
        found.append(_Piece(first, last, slope, offset, max(high - offset, offset - low) / unit))
    return min(found, key=lambda piece: piece.error)
