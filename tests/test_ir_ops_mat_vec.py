"""MatVec against Python integers, and its intervals."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops import MatVec, Term
from qornn_hw.ir.ops.term import exact_float


def random_weights(rng, rows, columns, bits):
    """Return weights of ``bits`` bits."""
    if bits == 1:
        return rng.integers(0, 2, (rows, columns)) * 2 - 1
    return rng.integers(-(1 << bits - 1), 1 << bits - 1, (rows, columns))


def in_python(op, i, values):
    """Return accumulator i with loops over Python integers."""
    total = int(op.bias[i])
    for term, value in zip(op.terms, values, strict=True):
        row = [int(w) for w in term.weights[i]]
        if term.one_hot:
            total += (row[value] if value < len(row) else 0) * 2**term.shift
        else:
            total += sum(w * int(v) for w, v in zip(row, value, strict=True)) * 2**term.shift
    return total


@pytest.mark.parametrize("seed", range(40))
def test_random(seed):
    """Random terms, bits and shifts: both evaluations are Python's, the intervals hold."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 9))
    terms, values, ranges = [], [], []
    for k in range(int(rng.integers(1, 4))):
        one_hot = bool(rng.integers(0, 2)) and k == 0
        columns, shift = int(rng.integers(1, 12)), int(rng.integers(0, 10))
        bits = int(rng.integers(1, 33 if one_hot else 9))
        terms.append(Term(f"v{k}", random_weights(rng, rows, columns, bits), bits, shift, one_hot))
        low, high = (
            (0, columns + 3) if one_hot else sorted(int(v) for v in rng.integers(-(1 << 15), 1 << 15, 2))
        )
        values.append(rng.integers(low, high + 1, 30 if one_hot else (30, columns)))
        ranges.append(Interval.of(low, high))
    op = MatVec("acc", tuple(terms), rng.integers(-(1 << 20), 1 << 20, rows))
    wanted = [[in_python(op, i, [v[b] for v in values]) for i in range(rows)] for b in range(30)]
    assert op.evaluate(*values).tolist() == wanted
    assert op.prepare(*ranges)(*values).tolist() == wanted
    found, inner = op.interval(*ranges), op.inner(*ranges)
    assert np.all(np.min(wanted, axis=0) >= found.low) and np.all(np.max(wanted, axis=0) <= found.high)
    assert found.inside(inner)


@pytest.mark.parametrize("seed", range(10))
def test_interval_is_reached(seed):
    """Vectors of the ends that each weight's sign asks for reach both ends of every accumulator."""
    rng = np.random.default_rng(seed)
    op = MatVec("acc", (Term("h", rng.integers(-8, 8, (5, 7)), 4, 3),), rng.integers(-9, 9, 5))
    found = op.interval(Interval.of(-3, 12))
    for i in range(5):
        positive = op.terms[0].weights[i] > 0
        top, bottom = np.where(positive, 12, -3), np.where(positive, -3, 12)
        assert op.evaluate(top[None])[0, i] == found.high[i]
        assert op.evaluate(bottom[None])[0, i] == found.low[i]


def test_one_hot_interval():
    """An index past the last column adds nothing, so 0 belongs to the interval."""
    op = MatVec("acc", (Term("x", np.array([[3, 5], [-4, -2]]), 4, 1, one_hot=True),), np.array([10, 10]))
    found = op.interval(Interval.of(0, 1))
    assert (found.low.tolist(), found.high.tolist()) == ([10, 2], [20, 10])
    assert op.evaluate(np.array([0, 1, 2, 3]))[:, 0].tolist() == [16, 20, 10, 10]


def test_partial_sums():
    """The inner interval holds a partial sum that the whole sum never has again."""
    one, minus = np.array([[7]]), np.array([[-8]])
    op = MatVec("acc", (Term("a", one, 4, 20), Term("b", minus, 4, 20)), np.array([0]))
    inner = op.inner(Interval.of(100, 100), Interval.of(87, 87))
    assert inner.most == 700 << 20 and inner.least == -(696 << 20)


def test_exact_at_the_limits_of_float():
    """Sums at the last integers of float32 and float64 come out exactly."""
    for count, bits, kind in ((1040, 8, np.float32), (1050, 8, np.float64), (60000, 16, np.float64)):
        largest = (1 << bits - 1) - 1
        weights = np.full((2, count), 127)
        weights[1] = -127
        assert exact_float(weights, largest) is kind
        op = MatVec("acc", (Term("h", weights, 8, 5),), np.array([1, 1]))
        values = np.full((1, count), largest)
        wanted = 127 * count * largest * 32
        found = op.prepare(Interval.of(-largest, largest))(values)
        assert found.tolist() == [[wanted + 1, 1 - wanted]]


W = np.array([[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Term("h", W * 8, 4), "weights must lie in -8 to 7, not 8 at [0, 0]"),
        (lambda: Term("h", W - 1, 1), "weights must lie in -1 to 1, not 2 at [1, 0]"),
        (lambda: Term("h", W * 0, 1), "weights of 1 bit must hold only -1 and +1, not 0"),
        (lambda: Term("h", W[0], 4), "weights must have shape (1 or more, 1 or more), not (2,)"),
        (lambda: Term("h", W, 9), "bits must be an integer from 1 to 8, not 9"),
        (lambda: Term("x", W, 33, one_hot=True), "bits must be an integer from 1 to 32, not 33"),
        (lambda: Term("h", W, 4, 32), "shift must be an integer from 0 to 31, not 32"),
        (lambda: Term("h", W, 4, 0, 1), "one_hot must be true or false, not 1"),
        (lambda: MatVec("a", (), np.array([1])), "a: terms must hold at least one, not none"),
        (
            lambda: MatVec("a", (Term("h", W, 4), Term("x", W[:1], 4)), np.array([1, 1])),
            "a: weights of x must have shape (2, 2), not (1, 2)",
        ),
        (lambda: MatVec("a", (Term("h", W, 4),), np.array([1])), "a: bias must have shape (2,), not (1,)"),
        (
            lambda: MatVec("a", (Term("h", W, 4),), np.array([1, 1 << 39])),
            "a: bias must lie in -549755813888 to 549755813887, not 549755813888 at [1]",
        ),
        (
            lambda: MatVec("a", (Term("h", W, 4),), np.array([1, 1])).size(3),
            "a: h must have 2 entries, not 3",
        ),
    ],
)
def test_errors(make, message):
    """Each field out of its rule is named with the rule."""
    with pytest.raises(FormatError) as error:
        make()
    assert str(error.value) == message
