"""Scales and offsets of vector inputs, by channel."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.tasks.input_grids import InputGrid, input_grid

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize(
    "gains, offsets",
    [
        ([1.0, 1.1], [0.0, 0.0]),
        ([500.0, 0.3], [0.0, 0.0]),
        ([1.0, 2.0], [0.0, 300.0]),
        ([1e-6, 1e6], [5.0, -1e9]),
    ],
)
def test_no_training_input_is_clipped_and_each_channel_is_used(bits, gains, offsets):
    """Every entry is within half a unit of its integer, and each channel's largest is near an end."""
    rows = RNG.uniform(-1, 1, (300, 2)) * gains + offsets
    grid = input_grid(rows, bits)
    integers, clipped = grid.integers(rows)
    assert clipped == 0 and grid.signed
    real = integers * np.asarray(grid.scale) + np.asarray(grid.offset)
    assert (np.abs(real - rows) <= 0.5001 * np.asarray(grid.scale)).all()
    assert (np.abs(integers).max(axis=0) >= (2 ** (bits - 1) - 1) // 2).all()


def test_channels_that_are_alike_share_a_scale():
    """One number for ranges within a factor of two; else, or with an offset, a number for each."""
    rows = RNG.uniform(-1, 1, (300, 3))
    assert isinstance(input_grid(rows, 8).scale, float)
    assert isinstance(input_grid(rows * [1, 1, 1.9], 8).scale, float)
    assert isinstance(input_grid(rows * [1, 1, 2.2], 8).scale, tuple)
    assert input_grid(rows * [1, 1, 2.2], 8).offset == 0.0


def test_offset_where_values_are_far_from_zero():
    """An offset is set where the values span less than half of their largest magnitude, unless forbidden."""
    rows = RNG.uniform(0, 1, (300, 1))
    assert input_grid(rows + 1.2, 8).offset[0] == pytest.approx(1.7, abs=0.02)
    for grid in (input_grid(rows + 0.8, 8), input_grid(rows + 1.2, 8, offsets=False)):
        assert grid.offset == 0.0 and not grid.signed


def test_channels_that_never_move():
    """A constant channel, zero or not, leaves the others their scales, and comes through as it is."""
    rows = np.stack([RNG.uniform(-1, 1, 50), np.full(50, 7.0), np.zeros(50)], axis=1)
    grid = input_grid(rows, 8)
    integers, clipped = grid.integers(rows)
    assert clipped == 0 and not integers[:, 1:].any()
    assert grid.offset == (0.0, 7.0, 0.0) and all(step > 0 for step in grid.scale)
    assert input_grid(np.full((5, 1), 3.0), 8).integers(np.full((5, 1), 3.0))[0].tolist() == [[0]] * 5


def test_entries_beyond_the_grid_are_counted():
    """Entries that lie outside are put to the ends and counted."""
    grid = InputGrid(4, True, (0.5, 2.0), (0.0, 10.0))
    integers, clipped = grid.integers(np.array([[4.0, 10.0], [-4.0, 40.0], [3.5, -6.0], [-9.0, 24.0]]))
    assert integers.tolist() == [[7, 0], [-8, 7], [7, -8], [-8, 7]]
    assert clipped == 3


def test_one_bit_has_no_sign():
    """One bit holds 0 and 1; negative inputs need two."""
    assert input_grid(np.array([[0.0], [2.0]]), 1).scale == 2.0
    with pytest.raises(
        FormatError, match=r"^input_bits must be at least 2 for inputs that are negative, not 1$"
    ):
        input_grid(np.array([[-1.0], [2.0]]), 1)
