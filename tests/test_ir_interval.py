"""Intervals of integers of any size."""

import numpy as np

from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval


def test_ends_of_all_entries():
    """Least, most, magnitude, bits and hull are those of all entries together."""
    one = Interval.of_values(np.array([-5, 3, 100]))
    assert (one.least, one.most, one.magnitude, one.bits) == (-5, 100, 100, 8)
    assert repr(one.hull) == "-5..100" and len(one.hull.low) == 1
    assert Interval.of(-9, -3).magnitude == 9


def test_integers_stay_exact():
    """Ends of 200 bits are Python integers, whatever they were made of."""
    big = Interval.of(-(1 << 200), 1 << 200).monotone(lambda v: v * 3 + 1)
    assert big.most == 3 * (1 << 200) + 1 and big.bits == 203
    assert all(type(v) is int for v in Interval.of_values(np.array([1, 2], dtype=np.int64)).low)


def test_union_inside_clamp():
    """A union holds both, inside compares entry by entry, clamp saturates both ends."""
    one, other = Interval.of(-3, 4), Interval.of_values(np.array([0, 9]))
    both = one.union(other)
    assert both.low.tolist() == [-3, -3] and both.high.tolist() == [4, 9]
    assert one.inside(both) and other.inside(both) and not both.inside(one)
    assert not Interval.of(-4, 0).inside(one) and not Interval.of(0, 5).inside(one)
    assert repr(Interval.of(-100, 100).clamp(IntFormat(4, signed=True))) == "-8..7"
    assert repr(Interval.of_format(IntFormat(4, signed=False))) == "0..15"
