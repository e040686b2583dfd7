"""Grids of inputs: what they hold, and what their integers stand for."""

import numpy as np

from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.input_grid import InputGrid

RNG = np.random.default_rng(0)


def test_an_input_grid_holds_what_it_saw():
    """The ends of each channel's range are the ends of the format."""
    x = RNG.uniform([-1, 5, 0], [3, 6, 1e-3], (4, 50, 3))
    grid = InputGrid.of_range(x, 8)
    integers = grid.integers(x)
    assert integers.min(axis=(0, 1)).tolist() == [-128] * 3
    assert integers.max(axis=(0, 1)).tolist() == [127] * 3
    assert np.all(np.abs(grid.real(integers) - x) <= grid.scale / 2 + 1e-12)


def test_a_constant_channel():
    """A channel of one value has a scale, and the value is exact."""
    x = np.full((1, 4, 1), 7.25)
    grid = InputGrid.of_range(x, 8)
    assert grid.real(grid.integers(x)).ravel().tolist() == [7.25] * 4


def test_what_is_outside():
    """Values outside the range are saturated, and clipped to the ends."""
    grid = InputGrid(IntFormat(4, signed=True), np.array([0.5, 2.0]), np.array([0.0, 10.0]))
    real = np.array([[100.0, -100.0], [1.2, 11.0]])
    assert grid.integers(real).tolist() == [[7, -8], [2, 0]]
    assert grid.clip(real).tolist() == [[3.5, -6.0], [1.2, 11.0]]
    assert grid.real(grid.integers(real)).tolist() == [[3.5, -6.0], [1.0, 10.0]]
