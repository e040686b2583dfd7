"""Hadamard terms against the matrix in full, and what they refuse."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops import HadamardTerm, MatVec, Term


def drawn(seed):
    """Return a term of random size, and its random vectors."""
    rng = np.random.default_rng(seed)
    block = 2 ** int(rng.integers(1, 6))
    n = block * int(rng.integers(1, 5))
    term = HadamardTerm("h", rng.choice([-1, 1], n), block, int(rng.integers(0, 8)))
    low, high = sorted(int(v) for v in rng.integers(-3000, 3000, 2))
    return term, rng.integers(low, high + 1, (20, n)), Interval.of(low, high)


@pytest.mark.parametrize("seed", range(40))
def test_butterflies_are_the_matrix(seed):
    """Both evaluations equal the matrix in full; the intervals hold the results and the sums on the way."""
    term, values, interval = drawn(seed)
    wanted = (values @ term.weights.T) << term.shift
    assert np.array_equal(term.product(values), wanted)
    assert np.array_equal(term.prepare(interval)(values), wanted)
    found, inner = term.interval(interval), term.inner(interval)
    assert np.all(wanted >= found.low) and np.all(wanted <= found.high)
    assert found.inside(inner)
    # Each sum of a butterfly is the first entry of a smaller block.
    for size in (1 << k for k in range(1, term.block.bit_length())):
        sums = values.reshape(len(values), -1, size).sum(axis=2).repeat(size, axis=1) << term.shift
        assert np.all(sums <= inner.high) and np.all(sums >= inner.low)


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_is_that_of_the_full_matrix(seed):
    """A term of weights with the same matrix has the same interval."""
    term, _, interval = drawn(seed)
    full = Term("h", term.weights, 2, term.shift)
    found, other = term.interval(interval), full.interval(interval)
    assert np.array_equal(found.low, other.low) and np.array_equal(found.high, other.high)


def test_sizes():
    """A unit has one bit; the full matrix has one bit an entry, two with zeros outside the blocks."""
    one, several = HadamardTerm("h", np.ones(8, dtype=int), 8), HadamardTerm("h", np.ones(8, dtype=int), 2)
    assert (one.rows, one.columns, one.bits, one.stored_bits) == (8, 8, 1, 8)
    assert (several.bits, several.stored_bits) == (2, 8)
    assert Term("h", np.ones((8, 8), dtype=int), 4).stored_bits == 256


@pytest.mark.parametrize("seed", range(5))
def test_every_weight_of_a_changed_term_is_another(seed):
    """So a comparison that leaves out one weight is seen."""
    term, _, _ = drawn(seed)
    kept = term.weights != 0
    assert np.all(term.changed().weights[kept] != term.weights[kept])


def test_the_matrix_is_read_only():
    """Whoever reads it cannot change the network."""
    with pytest.raises(ValueError, match="read-only"):
        HadamardTerm("h", np.array([1, -1]), 2).weights[0, 0] = 5


@pytest.mark.parametrize(
    ("signs", "block", "shift", "message"),
    [
        ([1, 0], 2, 0, "signs must hold only -1 and +1, not 0"),
        ([1, 2], 2, 0, "signs must lie in -1 to 1, not 2"),
        ([1, 1, 1], 2, 0, "the units must be even for a Hadamard matrix, not 3"),
        ([1, 1], 4, 0, "block must be a power of two from 2 to 2, which divides 2 units, not 4"),
        ([1, 1], 1, 0, "block must be an integer from 2 to 4096, not 1"),
        ([1, 1], 8192, 0, "block must be an integer from 2 to 4096, not 8192"),
        ([1, 1], 2, 32, "shift must be an integer from 0 to 31, not 32"),
        ([1, 1], True, 0, "block must be"),
        ([1] * 4098, 2, 0, "the units of a Hadamard matrix must be at most 4096, not 4098"),
    ],
)
def test_refused(signs, block, shift, message):
    """Other values, blocks that do not divide the units, and sizes beyond the limit."""
    with pytest.raises(FormatError) as caught:
        HadamardTerm("h", np.array(signs), block, shift)
    assert message in str(caught.value)


def test_terms_of_other_rows_are_refused():
    """A row has as many accumulators in each term."""
    with pytest.raises(FormatError, match="weights of h"):
        MatVec(
            "acc",
            (Term("x", np.ones((3, 1), dtype=int), 4), HadamardTerm("h", np.array([1, 1]), 2)),
            np.zeros(3, dtype=int),
        )
