"""The element-wise operations against their formulas in Python integers, and their intervals.

One table for Diagonal, Requantize, Table, PiecewiseLinear, ModRelu, Multiply, Add and Answer, since all of
them are judged alike.
"""

import numpy as np
import pytest
from operations import clamp, judge, rounded

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.kinds import OutputKind
from qornn_hw.ir.ops import (
    Add,
    Answer,
    Diagonal,
    Factor,
    ModRelu,
    Multiply,
    PiecewiseLinear,
    Requantize,
    Summand,
    Table,
)

S4, S8, S12, U8 = IntFormat(4, True), IntFormat(8, True), IntFormat(12, True), IntFormat(8, False)
ROUNDINGS = pytest.mark.parametrize("rounding", list(Rounding))


@ROUNDINGS
@pytest.mark.parametrize("bias", [None, np.array([-900, 0, 12345])])
@pytest.mark.parametrize("shift", [0, 1, 7])
def test_requantize(shift, bias, rounding):
    """Products with a factor a unit, of either sign, and a bias."""
    m = np.array([77, -3, 65535])
    op = Requantize("q", (Factor("a", m),), shift, S8, rounding, bias)

    def formula(i, a):
        return clamp(rounded(a * int(m[i]) + (0 if bias is None else int(bias[i])), shift, rounding), 8)

    judge(op, formula, [(-(1 << 30), 1 << 30)], 3)
    judge(op, formula, [(-150, 150)], 3, exact=True)
    same = Requantize("q", (Factor("a", np.array([5, 5, 5])),), shift, U8, rounding, bias)

    def shared(i, a):
        return clamp(rounded(a * 5 + (0 if bias is None else int(bias[i])), shift, rounding), 8, signed=False)

    judge(same, shared, [(-999, 999)], 3)


@ROUNDINGS
def test_requantize_two_factors(rounding):
    """Two accumulators with a factor each are added before the one rounding."""
    m, k, bias = np.array([3, 100]), np.array([7, -1]), np.array([5, -6])
    op = Requantize("q", (Factor("a", m), Factor("b", k)), 4, S4, rounding, bias)

    def formula(i, a, b):
        return clamp(rounded(a * int(m[i]) + b * int(k[i]) + int(bias[i]), 4, rounding), 4)

    judge(op, formula, [(-20, 20), (-6, 9)], 2, exact=True)
    assert op.inner(Interval.of(0, 10), Interval.of(0, 10)).high.tolist() == [113, 1008]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("offset", [0, 128])
def test_table(offset, signed):
    """The entry at the index, in ascending order, and the offset."""
    entries = np.random.default_rng(0).integers(-128, 128, 16)
    low, high = (-8, 7) if signed else (0, 15)
    op = Table("t", "i", entries, signed, offset)
    judge(op, lambda i, v: int(entries[v - low]) + offset, [(low, high)], 2, exact=True)
    judge(op, lambda i, v: int(entries[v - low]) + offset, [(low + 3, high - 2)], 2, exact=True)
    domain = op.domain()
    assert (domain.least, domain.most) == (low, high)


def test_sigmoid_from_the_table_of_tanh():
    """256 entries of tanh with an offset of 128 are a sigmoid of steps twice as large, to one unit."""
    tanh = np.round(128 * np.tanh(np.arange(-128, 128) / 32)).astype(int).clip(-127, 127)
    found = Table("z", "i", tanh, offset=128).evaluate(np.arange(-128, 128)[None])[0]
    assert np.abs(found - 256 / (1 + np.exp(-np.arange(-128, 128) / 16))).max() < 1
    assert (found.min(), found.max()) == (1, 255)


@ROUNDINGS
def test_piecewise_linear(rounding):
    """Random pieces that do not meet, of either slope."""
    rng = np.random.default_rng(1)
    for k in (1, 2, 5):
        knots = np.sort(rng.choice(np.arange(-40, 40), k, replace=False))
        factors, shifts = rng.integers(-15, 16, k + 1), rng.integers(0, 4, k + 1)
        offsets, shift = rng.integers(-200, 200, k + 1), int(rng.integers(0, 5))
        op = PiecewiseLinear("f", "v", knots, factors, shifts, offsets, shift, S8, rounding)

        def formula(i, v, knots=knots, factors=factors, shifts=shifts, offsets=offsets, shift=shift):
            piece = sum(v >= t for t in knots.tolist())
            total = int(factors[piece]) * v * 2 ** int(shifts[piece]) + int(offsets[piece])
            return clamp(rounded(total, shift, rounding), 8)

        judge(op, formula, [(-50, 50)], 1, exact=True)
        judge(op, formula, [(-7, 30)], 1, exact=True)
        judge(op, formula, [(-(1 << 40), 1 << 40)], 2)


def test_relu_and_clip():
    """Relu and hard tanh are pieces, exactly."""
    judge(PiecewiseLinear.relu("f", "v"), lambda i, v: max(v, 0), [(-9, 9)], 2, exact=True)
    judge(PiecewiseLinear.relu("f", "v"), lambda i, v: max(v, 0), [(-(1 << 46), 1 << 46)], 2)
    judge(PiecewiseLinear.clip("f", "v", -4, 6), lambda i, v: min(max(v, -4), 6), [(-9, 9)], 1, exact=True)
    narrow = PiecewiseLinear(
        "f", "v", np.array([0]), np.array([0, 1]), np.zeros(2, int), np.zeros(2, int), 0, S4
    )
    judge(narrow, lambda i, v: min(max(v, 0), 7), [(-20, 20)], 1, exact=True)


def test_modrelu():
    """The magnitude moves by the bias and never through zero; the interval holds |v| + b too."""
    bias = np.array([-3, 2, 0])
    op = ModRelu("f", "v", bias)

    def formula(i, v):
        return (v > 0) * max(abs(v) + int(bias[i]), 0) - (v < 0) * max(abs(v) + int(bias[i]), 0)

    judge(op, formula, [(-12, 9)], 3)
    found = op.interval(Interval.of(-12, 9))
    assert found.high.tolist() == [9, 14, 12] and found.low.tolist() == [-9, -14, -12]
    assert op.interval(Interval.of(0, 1)).high.tolist() == [3, 3, 1]  # |0| - 3 is formed on the way


@ROUNDINGS
def test_multiply(rounding):
    """Products are rounded once and saturated; all pairs."""
    for shift, form in ((0, S12), (3, S4), (4, U8)):
        op = Multiply("p", "a", "b", shift, form, rounding)

        def formula(i, a, b, shift=shift, form=form):
            return clamp(rounded(a * b, shift, rounding), form.bits, form.signed)

        judge(op, formula, [(-20, 17), (-5, 30)], 1, exact=True)
        judge(op, formula, [(3, 17), (-30, -5)], 1, exact=True)
        judge(op, formula, [(-(1 << 20), 1 << 20), (-(1 << 20), 1 << 20)], 2)


def test_square():
    """The interval of a square does not go below zero."""
    op = Multiply("p", "a", "a", 0, S12)
    assert repr(op.interval(Interval.of(-5, 3), Interval.of(-5, 3))) == "0..25"
    assert repr(op.interval(Interval.of(2, 3), Interval.of(2, 3))) == "4..9"


@ROUNDINGS
@pytest.mark.parametrize("bias", [0, -7, np.array([100, -3])])
def test_add(bias, rounding):
    """Shifted summands of either sign, a bias, one rounding."""
    summands = (Summand("a"), Summand("b", 3, negative=True), Summand("c", 1))
    op = Add("s", summands, S4, bias, 2, rounding)

    def formula(i, a, b, c):
        extra = int(bias if isinstance(bias, int) else bias[i])
        return clamp(rounded(a - 8 * b + 2 * c + extra, 2, rounding), 4)

    judge(op, formula, [(-5, 5), (-2, 3), (0, 4)], 2, exact=True)
    judge(op, formula, [(-(1 << 30), 1 << 30), (-(1 << 30), 9), (0, 1 << 30)], 2)


def test_diagonal():
    """A weight a unit, shifted, on top of the accumulator."""
    d = np.array([-2048, 2047, 1])
    op = Diagonal("s", "a", "h", d, 12, 3)
    judge(op, lambda i, a, h: a + 8 * int(d[i]) * h, [(-4, 3), (-8, 7)], 3, exact=True)
    inner = op.inner(Interval.of(0, 0), Interval.of(-1, 1))
    assert (inner.least, inner.most) == (-2048 * 8, 2048 * 8)


def test_answer():
    """The lowest of equal logits, or one logit against a threshold."""
    logits = np.array([[1, 5, 5], [-1, -1, -2]])
    assert Answer("a", "y", OutputKind.BOTH).evaluate(logits).tolist() == [[1], [0]]
    op = Answer("a", "y", OutputKind.ARGMAX, threshold=-3)
    assert op.evaluate(np.array([[-4], [-3], [-2]])).tolist() == [[0], [0], [1]]
    assert op.size(1) == 1
    with pytest.raises(FormatError, match=r"^a: y must have 1 entry for a threshold, not 2$"):
        op.size(2)


ONE, TWO = np.array([1]), np.array([1, 1])
PIECES = (np.array([0, 5]), np.zeros(3, int), np.zeros(3, int), np.zeros(3, int))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Requantize("q", (), 0, S8), "q: factors must hold at least one, not none"),
        (
            lambda: Requantize("q", (Factor("a", ONE), Factor("b", TWO)), 0, S8),
            "q: multiplier of b must have 1 entries, not 2",
        ),
        (lambda: Factor("a", ONE << 16), "multiplier must lie in -65535 to 65535, not 65536 at [0]"),
        (
            lambda: Requantize("q", (Factor("a", ONE),), 48, S8),
            "q: shift must be an integer from 0 to 47, not 48",
        ),
        (
            lambda: Requantize("q", (Factor("a", ONE),), 0, IntFormat(49, True)),
            "q: format.bits must be an integer from 1 to 48, not 49",
        ),
        (
            lambda: Requantize("q", (Factor("a", ONE),), 0, S8, "half_up"),
            "q: rounding must be half_up or half_even, not 'half_up'",
        ),
        (
            lambda: Requantize("q", (Factor("a", ONE),), 0, S8, bias=TWO),
            "q: bias must have shape (1,), not (2,)",
        ),
        (
            lambda: Table("t", "i", np.zeros(12, int)),
            "t: entries must be 2 to 16384, a power of two, not of shape (12,)",
        ),
        (
            lambda: Table("t", "i", np.array([0, 1 << 17])),
            "t: entries must lie in -131072 to 131071, not 131072 at [1]",
        ),
        (lambda: Table("t", "i", TWO, signed=1), "t: signed must be true or false, not 1"),
        (
            lambda: PiecewiseLinear("f", "v", np.array([5, 5]), *PIECES[1:], 0, S8),
            "f: knots[1] must be an integer from 6 to 140737488355327, not 5",
        ),
        (
            lambda: PiecewiseLinear("f", "v", np.arange(65), *PIECES[1:], 0, S8),
            "f: number of knots must be an integer from 1 to 64, not 65",
        ),
        (
            lambda: PiecewiseLinear("f", "v", PIECES[0], np.array([0, 16, 0]), *PIECES[2:], 0, S8),
            "f: factors must lie in -15 to 15, not 16 at [1]",
        ),
        (
            lambda: PiecewiseLinear("f", "v", PIECES[0], PIECES[1][:2], *PIECES[2:], 0, S8),
            "f: factors must have shape (3,), not (2,)",
        ),
        (
            lambda: ModRelu("f", "v", ONE << 39),
            "f: bias must lie in -549755813888 to 549755813887, not 549755813888 at [0]",
        ),
        (lambda: Multiply("p", "a", "b", -1, S8), "p: shift must be an integer from 0 to 47, not -1"),
        (lambda: Add("s", (), S8), "s: summands must hold at least one, not none"),
        (lambda: Summand("a", 32), "shift must be an integer from 0 to 31, not 32"),
        (lambda: Summand("a", 0, 1), "negative must be true or false, not 1"),
        (
            lambda: Add("s", (Summand("a"),), S8, True),
            "s: bias must be an integer from -549755813888 to 549755813887, not True",
        ),
        (lambda: Add("s", (Summand("a"),), S8, TWO).size(1), "s: a must have 2 entries, not 1"),
        (
            lambda: Diagonal("d", "a", "h", ONE << 11, 12),
            "d: weights must lie in -2048 to 2047, not 2048 at [0]",
        ),
        (lambda: Diagonal("d", "a", "h", ONE, 13), "d: bits must be an integer from 2 to 12, not 13"),
        (lambda: Diagonal("d", "a", "h", ONE, 8).size(1, 2), "d: h must have 1 entries, not 2"),
        (lambda: Answer("a", "y", "both"), "a: kind must be logits, argmax or both, not 'both'"),
        (
            lambda: Answer("a", "y", OutputKind.BOTH, threshold=1 << 47),
            "a: threshold must be an integer from -140737488355328 to 140737488355327, not 140737488355328",
        ),
    ],
)
def test_errors(make, message):
    """Each field out of its rule is named with the rule."""
    with pytest.raises(FormatError) as error:
        make()
    assert str(error.value) == message
