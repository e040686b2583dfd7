"""The number rules against exact fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import (
    IntFormat,
    Rounding,
    bits_for_range,
    requantize,
    round_shift,
    saturate,
    scale_to_multiplier,
)

ROUNDINGS = list(Rounding)
values = st.integers(-(1 << 47), 1 << 47)
shifts = st.integers(0, 40)


def round_exactly(value, shift, rounding):
    """Round a fraction by the words of docs/numerics.md, without a shift."""
    exact = Fraction(value, 1 << shift)
    if rounding is Rounding.HALF_EVEN:
        return round(exact)
    return floor(exact + Fraction(1, 2))


@given(values, shifts, st.sampled_from(ROUNDINGS))
def test_round_shift_is_the_nearest_integer(value, shift, rounding):
    """Rounding gives the nearest integer and settles ties as named."""
    assert round_shift(value, shift, rounding) == round_exactly(value, shift, rounding)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shift", [0, 1, 2, 7])
def test_round_shift_exhaustive(rounding, shift):
    """All 12-bit values round right, as integers and as an array."""
    every = np.arange(-2048, 2048)
    expected = [round_exactly(int(v), shift, rounding) for v in every]
    assert [round_shift(int(v), shift, rounding) for v in every] == expected
    assert round_shift(every, shift, rounding).tolist() == expected


@given(values, st.integers(1, 20))
def test_saturate_clamps(value, bits):
    """Saturation moves a value to the nearest one in range and leaves those in range alone."""
    form = IntFormat(bits, signed=True)
    result = saturate(value, bits)
    assert form.min <= result <= form.max
    assert result == value or result in (form.min, form.max)
    assert (result == value) == (form.min <= value <= form.max)


@given(
    st.lists(st.integers(-(1 << 30), 1 << 30), min_size=1, max_size=20),
    st.integers(1, 65535),
    st.integers(0, 47),
    st.integers(2, 16),
    st.sampled_from(ROUNDINGS),
)
def test_requantize_is_the_same_for_integers_and_arrays(numbers, multiplier, shift, bits, rounding):
    """Arrays and Python integers give the same integers."""
    one_by_one = [requantize(v, multiplier, shift, bits, rounding) for v in numbers]
    array = requantize(np.array(numbers, dtype=np.int64), multiplier, shift, bits, rounding)
    assert array.tolist() == one_by_one


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 40), 1 << 40))
def test_bits_for_range_is_the_narrowest(a, b):
    """The format found holds both ends, and one bit less does not."""
    low, high = min(a, b), max(a, b)
    form = IntFormat(bits_for_range(low, high), signed=True)
    assert form.min <= low and high <= form.max
    if form.bits > 1:
        narrower = IntFormat(form.bits - 1, signed=True)
        assert low < narrower.min or high > narrower.max


@given(st.floats(1e-6, 1000), st.integers(10, 16))
def test_scale_to_multiplier_is_close(scale, bits):
    """A scale is met to half a unit of the multiplier's last place."""
    multiplier, shift = scale_to_multiplier(scale, bits, 47)
    assert 1 <= multiplier < 1 << bits
    assert abs(multiplier / 2**shift / scale - 1) <= 2.0 ** -(bits - 1)


@pytest.mark.parametrize(
    ("bits", "signed", "expected"), [(1, False, 2), (8, False, 9), (1, True, 1), (8, True, 8)]
)
def test_signed_bits(bits, signed, expected):
    """An unsigned number needs a bit for the sign."""
    assert IntFormat(bits, signed).signed_bits == expected


@pytest.mark.parametrize(
    ("scale", "multiplier", "shift"),
    [
        (1.0, 1, 0),
        (2.0, 2, 0),
        (3.0, 3, 0),
        (64.0, 64, 0),
        (128.0, 128, 0),
        (255.0, 255, 0),
        (0.5, 1, 1),
        (1.5, 3, 1),
        (127.5, 255, 1),
        (254.5, 254, 0),
        (2**-10, 1, 10),
        (2**-11 + 2**-13, 1, 10),
    ],
)
def test_scale_to_multiplier_removes_factors_of_two(scale, multiplier, shift):
    """Down to no shift at all; a shift is at most 10 here, and a multiplier has at most 8 bits."""
    assert scale_to_multiplier(scale, 8, 10) == (multiplier, shift)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (0.0, "a requantization scale must be positive and finite, not 0.0"),
        (-1.0, "a requantization scale must be positive and finite, not -1.0"),
        (float("nan"), "a requantization scale must be positive and finite, not nan"),
        (1e9, "a requantization scale must be at most 255 for a 8-bit multiplier, not 1000000000.0"),
        (1e-9, "a requantization scale must not vanish in 10 bits, as 1e-09 does"),
    ],
)
def test_scale_to_multiplier_refuses(scale, message):
    """A scale that no multiplier gives is refused with its value."""
    with pytest.raises(FormatError) as error:
        scale_to_multiplier(scale, 8, 10)
    assert str(error.value) == message


def test_format_needs_a_bit():
    """A format without bits is refused."""
    with pytest.raises(FormatError, match=r"^an integer format must have at least 1 bit, not 0$"):
        IntFormat(0, signed=True)
