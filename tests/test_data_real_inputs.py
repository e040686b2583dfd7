"""Real inputs become integers by the scales of the network, and clipped entries are counted."""

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, Scales
from qornn_hw.data.real_inputs import clipped_text, quantize_inputs
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.float_model import dequantized, dequantized_inputs, run_fake_quantized, run_real


def per_channel(**changes):
    """Return a network of two channels, the second 100 times coarser and shifted by 7."""
    fields = {
        "scales": Scales((0.01, 1.0), 1.0, 1.0, 1.0, (0.0, 7.0)),
        "input_format": IntFormat(4, signed=True),
    }
    return make_network(**(fields | changes))


def test_every_integer_comes_back():
    """The real number of an integer gives that integer again, for every integer of the format."""
    network = per_channel()
    x = np.array([[[i, j] for i in range(-8, 8) for j in range(-8, 8)]])
    found = quantize_inputs(network, dequantized_inputs(network, x))
    np.testing.assert_array_equal(found.integers, x)
    assert not found.clipped.any() and clipped_text(network, found) is None


def test_channels_have_their_own_scale_and_offset():
    """Each channel is divided by its step behind its offset; ties go to even."""
    found = quantize_inputs(per_channel(), [[0.025, 9.5], [0.035, 8.49]])
    np.testing.assert_array_equal(found.integers, [[2, 2], [4, 1]])


def test_clipped_entries_are_counted_by_channel():
    """Entries beyond the format saturate, and are counted where they are."""
    network = per_channel()
    found = quantize_inputs(network, [[[0.07, 14.4], [0.5, 15.0], [-0.08, -9.0]]])
    np.testing.assert_array_equal(found.integers, [[[7, 7], [7, 7], [-8, -8]]])
    np.testing.assert_array_equal(found.clipped, [1, 2])
    assert found.entries == 3 and found.share == 0.5
    assert clipped_text(network, found) == (
        "3 of 6 input entries lay outside the input's format and were clipped, most of them in channel 1 "
        "(2 of 3), which takes -1 to 14"
    )


def test_indices_stay():
    """Indices of a one-hot network are checked and stay as they are."""
    network = make_network(m=5, **one_hot_fields(5))
    np.testing.assert_array_equal(quantize_inputs(network, [[0.0, 4.0]]).integers, [[0, 4]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0, 3.0]], r"inputs must have 2 channels in their last dimension, not shape \(1, 3\)"),
        ([[1.0, np.nan]], r"inputs must be finite, not nan at \[0, 1\]"),
        ([["a", "b"]], "inputs must hold real numbers"),
    ],
)
def test_wrong_vectors_are_refused(values, message):
    """A wrong number of channels, NaN and text are refused with their place."""
    with pytest.raises(FormatError, match=message):
        quantize_inputs(make_network(), values)


@pytest.mark.parametrize("value", [-1, 5, 0.5, np.nan])
def test_wrong_indices_are_refused(value):
    """An index outside the symbols is refused."""
    with pytest.raises(FormatError, match="inputs must be indices from 0 to 4, not"):
        quantize_inputs(make_network(m=5, **one_hot_fields(5)), [[0, value]])


@pytest.mark.parametrize("activation", [Activation.IDENTITY, Activation.RELU, Activation.HARDTANH])
def test_scales_by_channel_keep_the_recurrence(activation):
    """With scales and offsets by channel, real arithmetic on the grid gives the integers of the model."""
    rng = np.random.default_rng(3)
    scales = Scales((0.25, 3.0, 1000.0), 0.125, 2.0**-9, 2.0**-7, (0.0, -40.0, 1e4))
    network = make_network(
        n=5, m=3, seed=4, activation=activation, scales=scales, input_format=IntFormat(6, signed=True),
        multiplier=np.full(5, 200), bias=rng.integers(-500, 500, 5),
    )  # fmt: skip
    x = rng.integers(-32, 32, (4, 9, 3))
    trace = IntegerModel(network).run(x)
    states, logits = run_fake_quantized(network, x)
    np.testing.assert_array_equal(states, trace.states * scales.state)
    np.testing.assert_array_equal(logits, trace.logits * scales.output)


def test_the_dequantized_network_takes_the_users_numbers():
    """The dequantized network's accumulator, fed with real inputs, is the integer one times its scale."""
    scales = Scales((0.25, 3.0), 1.0, 0.5, 1.0, (2.0, -40.0))
    network = make_network(n=4, m=2, scales=scales, multiplier=np.full(4, 1), shift=1)
    x = np.random.default_rng(0).integers(0, 16, (6, 1, 2))
    states, _ = run_real(dequantized(network), dequantized_inputs(network, x))
    z = IntegerModel(network).step(np.tile(network.initial_state, (6, 1)), x[:, 0]).accumulator
    np.testing.assert_allclose(states[:, 0], z * 0.5, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"scales": Scales((1.0, 1.0, 1.0), 1, 1, 1)},
            "scales.input must be one number or one for each of the 2",
        ),
        ({"scales": Scales(1.0, 1, 1, 1, (1.0,))}, "scales.input_offset must be one number or one for each"),
        (
            {"scales": Scales(1.0, 1, 1, 1, 3.0), "activation": Activation.MODRELU},
            "scales.input_offset must be 0 for modrelu",
        ),
        ({"scales": Scales((1.0, 1.0), 1, 1, 1), **one_hot_fields(2)}, "scales.input of a one-hot input"),
        (
            {"scales": Scales(1.0, 1, 1, 1, 3.0), **one_hot_fields(2)},
            "input_offset of a one-hot input must be 0",
        ),
    ],
)
def test_scales_that_do_not_fit_are_refused(changes, message):
    """Scales of another number of channels, and offsets where none can be, are refused."""
    with pytest.raises(FormatError, match=message):
        make_network(**changes)


@pytest.mark.parametrize(
    "values", [{"input": (1.0, 0.0)}, {"input": (1.0, -1.0)}, {"input_offset": (0.0, np.inf)}]
)
def test_each_number_of_the_scales_is_checked(values):
    """A scale of a channel must be positive, an offset finite."""
    with pytest.raises(FormatError, match=r"scales\.input.* must be (positive and )?finite"):
        Scales(**({"input": 1.0, "state": 1.0, "accumulator": 1.0, "output": 1.0} | values))
