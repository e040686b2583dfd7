"""Constants are the sums of their digits, and every digit has its bits."""

import numpy as np
import pytest

from qornn_hw.compiler.engines.simple.digits import balanced_digits


def joined(digits, bits):
    """Return the constants of digits, as Python integers."""
    return sum((level.astype(object) << bits * k for k, level in enumerate(digits)), 0)


@pytest.mark.parametrize("bits", range(2, 17))
def test_digits_give_the_constants_back(bits):
    """All of 14 bits, the ends of 63, and random ones of any size."""
    rng = np.random.default_rng(bits)
    random = [
        int(v) >> int(s)
        for v, s in zip(rng.integers(-(1 << 62), 1 << 62, 500), rng.integers(0, 62, 500), strict=True)
    ]
    constants = [*range(-(1 << 13), 1 << 13), -(1 << 62), (1 << 62) - 1, *random]
    digits = balanced_digits(constants, bits)
    assert joined(digits, bits).tolist() == constants
    assert digits.min() >= -(1 << bits - 1) and digits.max() < 1 << bits - 1


@pytest.mark.parametrize("bits", range(2, 9))
def test_a_weight_is_one_digit(bits):
    """Every weight of as many bits as a digit, in an array of any shape."""
    weights = np.arange(-(1 << bits - 1), 1 << bits - 1).reshape(2, -1)
    np.testing.assert_array_equal(balanced_digits(weights, bits), weights[None])


@pytest.mark.parametrize("constants, shape", [(0, (0,)), (5, (2,)), (np.zeros((2, 3)), (0, 2, 3))])
def test_levels(constants, shape):
    """As many as the widest needs, in front of the shape; none of zeros."""
    assert balanced_digits(constants, 3).shape == shape


def test_a_digit_of_one_bit_is_refused():
    """It has no 1."""
    with pytest.raises(ValueError, match=r"^a digit must have at least 2 bits, not 1$"):
        balanced_digits(1, 1)
