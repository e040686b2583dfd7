"""Straight pieces for a curve."""

import numpy as np
import pytest

from qornn_hw.cells.piecewise_fit import FACTOR_MAX, fitted_pieces
from qornn_hw.ir.formats import IntFormat, Rounding


def tanh(bits, reach=4.0):
    """Return tanh in units of a state of some bits, of an index of two more bits, up to ``reach``."""
    half = 1 << (bits + 1)
    return lambda q: np.tanh(q * (reach / half)) * 2.0 ** (bits - 1)


def fit(bits, tolerance=0.5, knots_max=15):
    """Return the pieces for it, its indices, and the integers of the pieces."""
    pieces = fitted_pieces(
        tanh(bits), centre=0.0, index_bits=bits + 2, shift=bits, tolerance=tolerance, knots_max=knots_max
    )
    q = np.arange(-(2 << bits), 2 << bits)
    operation = pieces.operation("h", "q", IntFormat(bits + 1, signed=True), Rounding.HALF_UP)
    return pieces, q, operation.evaluate(q)


@pytest.mark.parametrize("bits", [4, 6, 8, 10])
@pytest.mark.parametrize("tolerance", [0.5, 2.0])
def test_error(bits, tolerance):
    """No state errs by more than the tolerance and the half of rounding, unless the knots run out."""
    pieces, q, found = fit(bits, tolerance, 31)
    assert pieces.count < 63
    assert np.abs(found - tanh(bits)(q)).max() <= tolerance + 0.5


def test_more_knots_err_less():
    """The error falls with the knots, of which there are no more than asked for, twice: the halves mirror."""
    errors = []
    for knots in range(1, 12):
        pieces, q, found = fit(10, 0.0, knots)
        assert pieces.count == 2 * knots + 1
        errors.append(float(np.sqrt(np.mean((found - tanh(10)(q)) ** 2))))
    assert errors[0] > 20 > 5 > errors[4] > 1.5 > errors[10]


def test_odd():
    """The curve's halves mirror one another but for ties and the knots themselves."""
    _, q, found = fit(8)
    half = len(q) // 2
    assert np.abs(found[half + 1 :] + found[half - 1 : 0 : -1]).max() <= 1


def test_slopes_are_cheap():
    """Each factor is odd or 0, and at most 15; each knot a multiple of the range's 128th part."""
    pieces, _, _ = fit(10)
    first, factors, shifts, _ = pieces.rows.T
    assert np.all((factors % 2 == 1) | (factors == 0)) and factors.max() <= FACTOR_MAX
    assert np.all(shifts[factors == 0] == 0)
    assert np.all(first % 32 == 0)


def test_centre():
    """A curve around another centre is the same one, moved."""
    plain, moved = (
        fitted_pieces(
            lambda q, c=centre: tanh(6)(q) + c,
            centre=centre,
            index_bits=8,
            shift=6,
            tolerance=0.5,
            knots_max=9,
        )
        for centre in (0.0, 16.0)
    )
    np.testing.assert_array_equal(moved.rows[:, :3], plain.rows[:, :3])
    np.testing.assert_array_equal(moved.rows[:, 3], plain.rows[:, 3] + (16 << 6))
