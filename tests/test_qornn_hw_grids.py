"""From real weights to integers: q_k, the search for a grid, the tanh table, multipliers."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.grids import (
    given_step,
    grid_step,
    multipliers,
    quantize_weights,
    row_steps,
    tanh_table,
    tied_ratio,
    tied_steps,
    weight_step,
)


def test_multipliers_share_a_shift():
    """Factors by row have one shift: the largest takes all bits, none vanishes, twos are removed."""
    found, shift = multipliers(np.array([[0.3], [0.011], [1e-9]]), 8)
    assert found.tolist() == [[154], [6], [1]] and shift == 9
    assert multipliers(np.array([[0.25]]), 8)[0].tolist() == [[1]]
    halves, less = multipliers(np.array([[0.5], [0.25]]), 8)
    assert halves.tolist() == [[2], [1]] and less == 2
    for steps in np.random.default_rng(0).uniform(0.01, 2, (50, 6, 1)):
        found, shift = multipliers(steps, 10)
        assert 256 <= found.max() <= 1023 or np.any(found & 1)
        assert np.abs(found / 2.0**shift - steps).max() <= 2.0 ** -(shift + 1)


def test_quantizer_rule():
    """q_k is symmetric around zero but for the clip of the largest, ties go to even, one bit has no zero."""
    w = np.array([-8.0, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 7.4, 8.0])
    assert weight_step(w, 4) == 1.0
    assert quantize_weights(w, 4, 1.0).tolist() == [-8, -2, 0, 0, 0, 2, 2, 7, 7]
    assert quantize_weights(w, 1, weight_step(w, 1)).tolist() == [-1, -1, -1, 1, 1, 1, 1, 1, 1]
    assert weight_step([-1.0, 3.0], 1) == 2.0
    assert weight_step([0.0, 0.0], 3) == 0.25


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_already_quantized(bits, dtype):
    """Weights on a grid are found again exactly, whatever the step and the largest level in use."""
    rng = np.random.default_rng(bits)
    for _ in range(20):
        limit = 2 ** (bits - 1)
        if bits == 1:
            integers = rng.choice([-1, 1], size=(6, 6))
        else:
            integers = rng.integers(-limit, limit, size=(6, 6))
            integers[0, :2] = 1, 0
        step = rng.uniform(0.01, 1)
        found = grid_step("w", (integers * step).astype(dtype), bits)
        assert found == pytest.approx(step, rel=1e-5)
        np.testing.assert_array_equal(quantize_weights(integers * step, bits, found), integers)
    with pytest.raises(
        FormatError, match=r"^w must lie on a grid of 4 bits where already_quantized is set; "
    ):
        grid_step("w", rng.normal(size=(9, 9)), 4)


def test_tanh_table_is_the_rounded_function():
    """The table holds tanh at the index's centre, rises, is odd but for its ends, and saturates."""
    table = tanh_table(10, 4.0 / 512, 8)
    assert len(table) == 1024
    assert table[512] == 0 and table[0] == -128 and table[-1] == 127
    assert np.all(np.diff(table) >= 0)
    np.testing.assert_array_equal(table[513:900], -table[511:124:-1])
    assert table[512 + 64] == round(128 * np.tanh(0.5))


def test_steps_by_row_are_those_of_the_rows():
    """Steps by row are the step of each row; a zero row has one, too."""
    w = np.random.default_rng(0).normal(size=(5, 7))
    w[2] = 0
    assert row_steps(w, 4)[:, 0].tolist() == [weight_step(row, 4) for row in w]


def test_tied_steps():
    """Steps of U are those of W times one number, and no power-of-two-quarter near it loses less."""
    rng = np.random.default_rng(1)
    u, d_w = rng.normal(size=(6, 4)), rng.uniform(0.5, 1, (6, 1))
    found = tied_steps(u, 4, d_w)
    ratio = tied_ratio(found, d_w)
    assert ratio is not None
    np.testing.assert_allclose(found, ratio * d_w)

    def error(steps):
        return np.square(quantize_weights(u, 4, steps) * steps - u).sum()

    assert error(found) <= min(error(found * 2**0.25), error(found * 2**-0.25))
    assert tied_ratio(found * np.linspace(1, 1.05, 6)[:, None], d_w) is None


def test_given_steps():
    """A step may be a number, a list or a column; its form is the same after."""
    assert given_step("d", 0.5, 3).tolist() == [[0.5]]
    for steps in ([1.0, 2.0, 3.0], np.array([[1.0], [2.0], [3.0]])):
        assert given_step("d", steps, 3).tolist() == [[1.0], [2.0], [3.0]]
