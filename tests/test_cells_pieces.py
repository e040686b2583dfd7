"""Pieces behind the requantizer."""

import numpy as np
import pytest

from qornn_hw.cells.pieces import Pieces
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding

HARD = [[-8, 0, 0, 0], [-4, 1, 1, 8], [4, 0, 0, 16]]


def test_operation():
    """A row begins at its first index: 0 below -4, (2 q + 8) / 2 in between, 8 from 4 on, saturated."""
    pieces = Pieces(np.array(HARD), 1)
    assert (pieces.index_bits, pieces.count) == (4, 3)
    found = pieces.operation("h", "q", IntFormat(4, signed=True), Rounding.HALF_UP)
    states = found.evaluate(np.arange(-8, 8))
    assert states.tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7]


def test_back_from_the_operation():
    """The pieces of an operation are the pieces that it was made from."""
    pieces = Pieces(np.array(HARD), 1)
    found = pieces.operation("h", "q", IntFormat(4, signed=True), Rounding.HALF_EVEN)
    again = Pieces.of_operation(found, 4)
    np.testing.assert_array_equal(again.rows, pieces.rows)
    assert again.shift == 1
    with pytest.raises(ValueError, match="read-only"):
        again.rows[0, 0] = 0


@pytest.mark.parametrize(
    ("rows", "shift", "message"),
    [
        (np.array(HARD) * 1.0, 1, r"pieces must hold integers, not float64"),
        (HARD[:1], 1, r"pieces must have shape \(pieces, 4\), 2 pieces or more, not \(1, 4\)"),
        (np.zeros((3, 3), int), 1, r"pieces must have shape .* not \(3, 3\)"),
        ([[-9, 0, 0, 0], *HARD[1:]], 1, r"pieces\[0, 0\] must be the least index, .* not -9"),
        ([[-1 << 14, 0, 0, 0], *HARD[1:]], 1, r"pieces\[0, 0\] must be .* from -2 to -8192, not -16384"),
        ([HARD[0], [-8, 1, 1, 8], HARD[2]], 1, r"pieces\[1, 0\] must be above pieces\[0, 0\] = -8, not -8"),
        ([HARD[0], HARD[2], HARD[1]], 1, r"pieces: knots\[1\] must be an integer from 5 to "),
        ([HARD[0], [-4, 16, 0, 0]], 1, r"pieces: factors must lie in -15 to 15, not 16"),
        (HARD, 48, r"pieces: shift must be an integer from 0 to 47, not 48"),
    ],
)
def test_refused(rows, shift, message):
    """Pieces that no operation could compute are named."""
    with pytest.raises(FormatError, match=rf"^{message}"):
        Pieces(np.array(rows), shift)
