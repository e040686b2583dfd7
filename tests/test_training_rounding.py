"""Rounding an orthogonal matrix so that it stays nearly orthogonal."""

import itertools

import numpy as np
import pytest

from qornn_hw.training.rounding import orthogonal_levels, steps_of


def orthogonal(n, seed=0):
    """Return a random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def steps(weight, bits, by_row):
    """Return the step of q_k, or one for each row."""
    magnitude = np.abs(weight)
    return (magnitude.max(axis=1, keepdims=True) if by_row else float(magnitude.max())) / 2 ** (bits - 1)


def nearest(weight, bits, step):
    """Return the nearest levels."""
    return np.clip(np.round(weight / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def error(levels, by_row, scale=None):
    """Return ||N N^T - I||_F^2 of the rows in their units, by its definition; N N^T = I at ``scale``."""
    gram = levels @ levels.T
    lengths = np.diag(gram)
    if by_row:
        return np.square(gram / np.sqrt(np.outer(lengths, lengths)) - np.eye(len(gram))).sum()
    return np.square(gram / (scale or lengths.mean()) - np.eye(len(gram))).sum()


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("n, bits, part", [(64, 4, 0.35), (64, 3, 0.35), (64, 2, 0.6), (33, 8, 0.7)])
def test_rows_come_nearer_to_orthogonal(n, bits, part, by_row):
    """The squared error falls to a part of that of nearest rounding, with integers of so many bits."""
    weight = orthogonal(n)
    step = steps(weight, bits, by_row)
    levels = orthogonal_levels(weight, bits, step)
    assert np.all(levels == np.round(levels))
    assert levels.min() >= -(2 ** (bits - 1)) and levels.max() <= 2 ** (bits - 1) - 1
    assert error(levels, by_row) < part * error(nearest(weight, bits, step), by_row)


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("reach", [0.0, 1.0, 1.5])
def test_levels_stay_in_reach(reach, by_row):
    """Each level is within the reach, or is the nearest one."""
    weight = orthogonal(24, seed=1)
    step = steps(weight, 3, by_row)
    levels = orthogonal_levels(weight, 3, step, reach)
    near = nearest(weight, 3, step)
    assert np.all((np.abs(levels - weight / step) < reach) | (levels == near))
    assert (reach == 0) == np.array_equal(levels, near)


@pytest.mark.parametrize("by_row", [False, True])
def test_no_single_move_is_better(by_row):
    """The result is a local minimum: no single move by one level reduces the error."""
    weight = orthogonal(9, seed=2)
    step = steps(weight, 3, by_row)
    levels = orthogonal_levels(weight, 3, step, reach=100.0)
    scale = np.square(nearest(weight, 3, step)).sum(axis=1).mean()
    least = error(levels, by_row, scale)
    for i, j, delta in itertools.product(range(9), range(9), (-1, 1)):
        moved = levels.copy()
        moved[i, j] += delta
        if -4 <= moved[i, j] <= 3:
            assert error(moved, by_row, scale) > least - 1e-8


def test_result_repeats_itself():
    """The same matrix gives the same levels, and the input is left as it is."""
    weight = orthogonal(20, seed=3)
    copy = weight.copy()
    first = orthogonal_levels(weight, 4, steps(weight, 4, True))
    assert np.array_equal(first, orthogonal_levels(weight, 4, steps(weight, 4, True)))
    assert np.array_equal(weight, copy)


@pytest.mark.parametrize("weight", [np.eye(1), np.eye(5), -np.eye(3), np.fliplr(np.eye(4))])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_what_is_orthogonal_stays(weight, bits):
    """A signed permutation has nothing to gain."""
    levels = orthogonal_levels(weight, bits, 2.0 ** (1 - bits))
    assert np.array_equal(levels, nearest(weight, bits, 2.0 ** (1 - bits)))


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("n", [2, 9, 40])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 3.0])
def test_steps_round_the_weights_to_the_levels(n, bits, by_row, scale):
    """The steps that are found reproduce the levels, including saturated ones and zeros."""
    weight = orthogonal(n, seed=n)
    weight[0, n // 2] = 0.0
    levels = nearest(weight, bits, scale * steps(weight, bits, by_row))
    found = steps_of(weight, levels, bits, by_row)
    if levels.any():
        assert found.shape == ((n, 1) if by_row else (1, 1))
        np.testing.assert_array_equal(nearest(weight, bits, found), levels)


@pytest.mark.parametrize("by_row", [False, True])
def test_levels_that_no_step_gives_have_none(by_row):
    """No step exists for a wrong sign, a wrong order, or a non-zero level of a zero weight."""
    weight = np.array([[0.5, -0.25], [0.0, 0.7]])
    right = np.array([[2.0, -1.0], [0.0, 3.0]])
    assert steps_of(weight, right, 3, by_row) is not None
    for place, wrong in (((0, 1), 1.0), ((0, 0), 0.0), ((0, 0), -2.0), ((1, 0), 1.0)):
        levels = right.copy()
        levels[place] = wrong
        assert steps_of(weight, levels, 3, by_row) is None
