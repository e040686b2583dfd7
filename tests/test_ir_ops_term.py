"""Terms of a MatVec: their size, their products both ways, and other weights in their place."""

import numpy as np
import pytest

from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops import Term
from qornn_hw.ir.ops.term import dense_product, product_interval


def drawn(seed, bits, *, one_hot=False):
    """Return a random term."""
    rng = np.random.default_rng([seed, bits])
    rows, columns, shift = (int(v) for v in rng.integers(1, 9, 3))
    low, high = (-1, 1) if bits == 1 else (-(1 << bits - 1), (1 << bits - 1) - 1)
    weights = rng.integers(low, high + 1, (rows, columns))
    return Term("v", np.where(weights == 0, 1, weights) if bits == 1 else weights, bits, shift, one_hot)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("seed", range(5))
def test_products_of_vectors(bits, seed):
    """Both are the shifted product; the interval holds it, and is that of its parts."""
    term = drawn(seed, bits)
    values = np.random.default_rng(seed).integers(-500, 300, (30, term.columns))
    wanted = (values @ term.weights.T) * 2**term.shift
    interval = Interval.of(-500, 299)
    assert np.array_equal(term.product(values), wanted)
    assert np.array_equal(term.prepare(interval)(values), wanted)
    assert np.array_equal(dense_product(term.weights, term.shift, 500)(values), wanted)
    found = term.interval(interval)
    assert np.all(found.low <= wanted) and np.all(wanted <= found.high)
    assert np.array_equal(found.low, product_interval(term.weights, term.shift, interval).low)
    assert found.inside(term.inner(interval))


@pytest.mark.parametrize("bits", [1, 4, 12, 32])
def test_products_of_indices(bits):
    """An index selects a column, and none past the last one; a prepared product may be added to."""
    term = drawn(0, bits, one_hot=True)
    index = np.arange(term.columns + 3)
    found = term.prepare(Interval.of(0, term.columns + 2))(index)
    assert np.array_equal(found[: term.columns], (term.weights << term.shift).T)
    assert not found[term.columns :].any()
    found += 1
    assert np.array_equal(term.product(index), found - 1)


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_stored_bits_and_other_weights(bits):
    """The size is that of all weights; every weight of a changed term is another one of the same bits."""
    term = drawn(1, bits)
    assert term.stored_bits == term.rows * term.columns * bits
    other = term.changed()
    assert other.bits == bits and np.all(other.weights != term.weights)
