"""From real weights to integers: q_k, the search for a grid, the tanh table, multipliers."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.quantization.grids import (
    given_step,
    grid_step,
    input_shift_of_least_loss,
    least_squares_step,
    multipliers,
    quantize_weights,
    tied_ratio,
    weight_limit,
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


def test_tied_ratio():
    """Steps that are another's times one number, to within 1 %, have a ratio; others have none."""
    steps = np.array([[0.5], [1.0], [0.7]])
    assert tied_ratio(3 * steps, steps) == pytest.approx(3)
    assert tied_ratio(3 * steps * np.array([[1.0], [1.004], [1.0]]), steps) == pytest.approx(3, rel=0.01)
    assert tied_ratio(steps * np.linspace(1, 1.05, 3)[:, None], steps) is None


@pytest.mark.parametrize("bits", range(2, 9))
def test_least_squares_step(bits):
    """No step of the search's grid loses less, and few bits take a finer step than one that clips nothing."""
    w = np.random.default_rng(bits).normal(size=(20, 20))
    widest = float(np.abs(w).max()) / weight_limit(bits)
    found = least_squares_step(w, bits, widest)

    def loss(step):
        return np.square(quantize_weights(w, bits, step) * step - w).sum()

    assert all(loss(found) <= loss(widest * 2.0 ** (-i / 8)) for i in range(25))
    assert found < widest if bits < 5 else found <= widest
    assert least_squares_step(np.zeros((2, 2)), bits, 0.0) == 0.0


def test_weight_limit():
    """The largest integer of a weight is 2**(k-1) - 1, and 1 for one bit."""
    assert [weight_limit(bits) for bits in (1, 2, 4, 8)] == [1, 1, 7, 127]


def test_input_shift_of_least_loss():
    """The shift puts the largest entry of U on the largest integer, as near as a power of two can."""
    u = np.array([[0.49, -0.25], [0.1, 0.4]])
    step = np.array([[2.0**-12]])
    assert input_shift_of_least_loss(u, 8, step) == 4
    assert input_shift_of_least_loss(u / 2**4, 8, step) == 0
    assert input_shift_of_least_loss(u * 2.0**40, 8, step) == 31


def test_given_steps():
    """A step may be a number, a list or a column; its form is the same after."""
    assert given_step("d", 0.5, 3).tolist() == [[0.5]]
    for steps in ([1.0, 2.0, 3.0], np.array([[1.0], [2.0], [3.0]])):
        assert given_step("d", steps, 3).tolist() == [[1.0], [2.0], [3.0]]
