"""Judges of operations: evaluation against Python integers, and intervals against what evaluation gives."""

import itertools

import numpy as np

from qornn_hw.ir.interval import Interval


def rounded(value, shift, rounding="half_up"):
    """Return value / 2**shift rounded, from exact fractions and not by adding half."""
    low, rest = divmod(value, 1 << shift)
    twice = 2 * rest
    up = twice > 1 << shift or (twice == 1 << shift and shift > 0 and (rounding == "half_up" or low % 2 == 1))
    return low + up


def clamp(value, bits, signed=True):
    """Return value saturated to a format."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return min(max(value, low), high)


def vectors(ranges, units, count, rng):
    """Return one array (count, units) for each range: all combinations of the ends, then random values."""
    corners = list(itertools.product(*ranges))
    arrays = [rng.integers(low, high + 1, (count, units)) for low, high in ranges]
    for array, ends in zip(arrays, zip(*corners, strict=True), strict=True):
        array[: len(corners)] = np.array(ends)[:, None]
    return arrays


def everything(ranges, units):
    """Return one array (count, units) for each range that hold all combinations of values."""
    grid = np.array(list(itertools.product(*(range(low, high + 1) for low, high in ranges))))
    return [np.repeat(column[:, None], units, axis=1) for column in grid.T]


def judge(op, formula, ranges, units, count=300, seed=0, exact=False):
    """Assert that an element-wise operation is its formula, and that its intervals hold.

    Args:
        op: the operation.
        formula: (unit, *operands) as Python integers -> integer.
        ranges: (low, high) of each operand.
        units: entries of an operand.
        count: random vectors; with ``exact`` all combinations of values instead.
        seed: of the vectors.
        exact: whether each unit's interval must be reached at both ends.
    """
    rng = np.random.default_rng(seed)
    arrays = everything(ranges, units) if exact else vectors(ranges, units, count, rng)
    wanted = np.array(
        [
            [formula(i, *(int(a[row, i]) for a in arrays)) for i in range(units)]
            for row in range(len(arrays[0]))
        ]
    )
    intervals = [Interval.of(low, high) for low, high in ranges]
    kept = [a.copy() for a in arrays]
    np.testing.assert_array_equal(op.evaluate(*arrays), wanted)
    np.testing.assert_array_equal(op.prepare(*intervals)(*arrays), wanted)
    for array, before in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    found = op.interval(*intervals)
    assert np.all(wanted.min(axis=0) >= found.low) and np.all(wanted.max(axis=0) <= found.high)
    if exact:
        assert np.all(wanted.min(axis=0) == found.low) and np.all(wanted.max(axis=0) == found.high)
