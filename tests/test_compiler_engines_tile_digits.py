"""Weights as digits: every weight of every width, and what a lane makes of them."""

import numpy as np
import pytest

from qornn_hw.compiler.engines.tile.digits import (
    HIGHEST,
    LOWER,
    chunks,
    codes,
    complements,
    digit_count,
    digits,
)


def all_weights(bits):
    """Return a row of every weight of a width."""
    return np.array([[-1, 1]]) if bits == 1 else np.arange(-(1 << bits - 1), 1 << bits - 1)[None]


def test_digit_count():
    """Two bits a digit."""
    assert [digit_count(bits) for bits in range(1, 9)] == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", range(1, 5))
def test_chunks_and_digits_are_the_weights(bits, count):
    """The sum of all digits, offsets and shifts is the weight, for every weight and lane."""
    weights, total = all_weights(bits), 0
    for chunk in chunks(weights, bits, count):
        found = digits(chunk.weights - chunk.offset, count)
        assert found[..., :-1].min(initial=0) >= -1 and found[..., :-1].max(initial=0) <= 2
        assert found[..., -1].min() >= -2 and found[..., -1].max() <= 1
        total = total + ((found @ 4 ** np.arange(count) + chunk.offset) << chunk.shift)
    assert np.array_equal(total, weights)
    assert len(chunks(weights, bits, count)) == -(-digit_count(bits) // count)


@pytest.mark.parametrize("count", range(1, 5))
def test_codes_name_the_digits(count):
    """The code of each digit, by the table of its place."""
    weights = all_weights(2 * count) - chunks(all_weights(2 * count), 2 * count, count)[0].offset
    found = codes(weights, count)
    named = np.array(LOWER)[found]
    named[..., -1] = np.array(HIGHEST)[found[..., -1]]
    assert np.array_equal(named, digits(weights, count))


@pytest.mark.parametrize("count", range(1, 4))
def test_complements_make_up_for_negative_digits(count):
    """A lane adds complements of x and 2 x; with what they lack the sum is the product."""
    rng = np.random.default_rng(count)
    weights = rng.integers(-(1 << 2 * count - 1), 1 << 2 * count - 1, (20, 7))
    x = rng.integers(-128, 128, 7)
    (chunk,) = chunks(weights, 2 * count, count)
    rest = weights - chunk.offset
    found = digits(rest, count)
    selected = np.where(found < 0, ~(np.abs(found) * x[:, None]), found * x[:, None])
    accumulators = chunk.offset * x.sum() + (selected * 4 ** np.arange(count)).sum(axis=(1, 2))
    assert np.array_equal(accumulators + complements(rest, count), weights @ x)


def test_a_weight_beyond_the_digits_is_no_silent_error():
    """Digits of a weight that is too large for them are refused."""
    with pytest.raises(AssertionError):
        digits(np.array([[7]]), 2)
