"""Formats, scales and offsets of vector inputs."""

import numpy as np
import pytest
from export_searches import arguments_of
from real_networks import arrays

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.calibration import InputRange
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.input_grids import InputForm, InputGrids, index_grid, plain_or_tuple

LOW, HIGH = np.array([-4.0, -0.1, 0.0, 99.0, -7.0]), np.array([3.0, 0.2, 6.0, 101.0, -7.0])
ONES = np.ones(5)


def grids(activation="tanh", low=LOW, high=HIGH, **options):
    """Return the grids of inputs of given ranges."""
    weights, rest = arrays()
    return InputGrids(
        arguments_of(*weights, activation=activation, **(rest | options)), InputRange(low, high)
    )


def test_integers_and_clipping():
    """Integers are the nearest, ties to even, within the format; clipping leaves what the format holds."""
    grid = InputGrid(IntFormat(3, signed=True), np.array([0.5, 2.0]), np.array([0.0, 10.0]))
    x = np.array([[0.25, 10.0], [0.75, 13.0], [9.0, -9.0], [-9.0, 99.0]])
    assert grid.integers(x).tolist() == [[0, 0], [2, 2], [3, -4], [-4, 3]]
    assert grid.clip(x).tolist() == [[0.25, 10.0], [0.75, 13.0], [1.5, 2.0], [-2.0, 16.0]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("form", list(InputForm))
@pytest.mark.parametrize("offset", [False, True])
def test_every_form_holds_the_range(bits, form, offset):
    """No form clips an input within the range, but for the one bit that has no positive number."""
    grid = grids(input_bits=bits).grid(bits, form, offset, np.array([1.0, 50.0, 2.0, 0.0, 1.0]))
    assert grid.format == IntFormat(bits, signed=True) and np.all(grid.scale > 0)
    for ends in (LOW, HIGH):
        found = grid.clip(ends)
        if bits > 1:
            np.testing.assert_allclose(found, ends, atol=1e-12)
    assert bool(grid.offset.any()) is offset
    # A channel that never moves has no middle of its own.
    assert grid.offset[4] == 0


def test_forms_of_the_scales():
    """One: the largest range; channel: its own; even: coarser by what the channel moves less."""
    found = grids(low=-np.array([1, 2, 4, 8, 8.0]), high=np.array([1, 2, 4, 8, 8.0]))
    weight = np.array([8.0, 8.0, 2.0, 1.0, 0.5])
    scale = {form: found.grid(8, form, False, weight).scale * 127 for form in InputForm}
    np.testing.assert_allclose(scale[InputForm.ONE], 8)
    np.testing.assert_allclose(scale[InputForm.CHANNEL], [1, 2, 4, 8, 8])
    np.testing.assert_allclose(scale[InputForm.EVEN], [2, 2, 8, 16, 32])
    np.testing.assert_allclose(scale[InputForm.HALF_EVEN] ** 2, scale[InputForm.EVEN] * [1, 2, 4, 8, 8])
    assert found.forms(weight) == list(InputForm)


@pytest.mark.parametrize(
    "options, high, weight, forms",
    [
        ({}, [1, 1, 1, 1, 1.9], ONES, [InputForm.ONE]),
        ({}, [1, 1, 1, 1, 2.1], ONES, list(InputForm)),
        ({}, [1, 1, 1, 1, 2.1], [1, 1, 1, 1, 0.5], [InputForm.ONE, InputForm.CHANNEL]),
        ({}, [1, 1, 1, 1, 1], [1, 1, 1, 1, 9], [InputForm.ONE, InputForm.HALF_EVEN, InputForm.EVEN]),
        ({}, [1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [InputForm.ONE]),
        ({"input_scale": 0.1}, [1, 1, 1, 1, 9], ONES, [InputForm.ONE]),
        ({"weight_steps": (1, 1, 1), "activation": "relu"}, [1, 1, 1, 1, 9], ONES, [InputForm.ONE]),
    ],
)
def test_forms_that_are_tried(options, high, weight, forms):
    """Scales by channel are tried where the channels differ twofold, and where nothing forbids them."""
    high = np.array(high, dtype=float)
    assert grids(low=-high, high=high, **options).forms(np.array(weight, dtype=float)) == forms


@pytest.mark.parametrize(
    "low, high, options, helps",
    [
        (-1, 1, {}, False),
        (0, 1, {}, False),
        (0.4, 1, {}, True),
        (-1, 0, {}, True),
        (-1, 9, {}, True),
        (-1, 9, {"activation": "modrelu"}, False),
        (0.4, 1, {"input_signed": False}, False),
        (0.4, 1, {"input_offset": 0.0}, False),
        (0.4, 1, {"input_scale": 0.1}, False),
        (5, 5, {}, False),
    ],
)
def test_offsets_that_are_tried(low, high, options, helps):
    """An offset is tried where it makes a range half as large again smaller, and where nothing forbids it."""
    assert grids(low=low * ONES, high=high * ONES, **options).offsets_help() is helps


@pytest.mark.parametrize(
    "scale, offset, signed, bits",
    [
        (0.1, 0.0, None, 11),
        (1.0, 0.0, None, 8),
        (2.0**-9, 0.0, None, 16 + 1),
        (1.0, 50.0, None, 7),
        (1.0, -7.0, False, 7),
        ([1, 0.01, 1, 50, 1], 0.0, None, 6),
    ],
)
def test_bits_that_hold_the_inputs(scale, offset, signed, bits):
    """A given scale has the fewest bits whose format holds the range; more than 16 are refused."""
    options = {"input_scale": scale, "input_offset": offset, "input_signed": signed}
    if bits > 16:
        with pytest.raises(
            FormatError, match=r"^input_scale must hold the calibration inputs in at most 16 "
        ):
            grids(**options)
        return
    found = grids(**options)
    assert found.bits == (bits,)
    grid = found.grid(bits, InputForm.ONE, False, ONES)
    for narrower, fits in ((0, True), (1, False)):
        form = IntFormat(bits - narrower, grid.format.signed)
        ends = np.concatenate([(end - grid.offset) / grid.scale for end in (LOW, HIGH)])
        assert bool(np.all((np.rint(ends) >= form.min) & (np.rint(ends) <= form.max))) is fits


def test_given_bits_and_scale_clip():
    """With bits and scale given, what the format cannot say is clipped before anything is calibrated."""
    found = grids(input_bits=4, input_scale=0.5)
    x = np.array([[-100.0, 0.1, 3.3, 3.6, 100.0]])
    np.testing.assert_array_equal(found.clip(x), [[-4.0, 0.1, 3.3, 3.5, 3.5]])
    assert grids(input_bits=4).clip(x) is not None and np.all(grids(input_bits=4).clip(x) == x)
    np.testing.assert_array_equal(grids(calibration_percentile=99).clip(x), np.clip(x, LOW, HIGH))


def test_negative_inputs_of_an_unsigned_format_are_refused():
    """Unsigned inputs are not negative, above their offset."""
    with pytest.raises(
        FormatError, match=r"^calibration_inputs must not be negative for unsigned inputs, not -7"
    ):
        grids(input_signed=False)
    assert grids(input_signed=False, input_offset=-7.0).signed is False


def test_index_grid_and_numbers():
    """A one-hot input has entries of 0 and 1; equal numbers are stored as one."""
    grid = index_grid(IntFormat(3, signed=False), 5)
    assert grid.scale.tolist() == [1] * 5 and not grid.offset.any()
    assert plain_or_tuple(np.array([0.5, 0.5])) == 0.5
    assert plain_or_tuple(np.array([0.5, 0.25])) == (0.5, 0.25)
