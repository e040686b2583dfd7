"""Networks and inputs that an export must not spoil, each with the error that it has now.

The error is that of the caller: rms(integer logits x scale - float logits) / std(float logits).
"""

import json
import re

import numpy as np
import pytest

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import WeightBits
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import FormatError
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quantize import export


def rnn(m, n, p, seed=0):
    """Return W, U, V and biases as torch.nn.RNN and Linear are filled: uniform within 1 / sqrt(n)."""
    rng = np.random.default_rng(seed)
    reach = n**-0.5
    shapes = {"w": (n, n), "u": (n, m), "v": (p, n), "bias": (n,), "output_bias": (p,)}
    return {name: rng.uniform(-reach, reach, shape) for name, shape in shapes.items()}


def exported(net, x, **options):
    """Return the checkpoint of an export."""
    biases = {name: net[name] for name in ("bias", "output_bias") if name in net}
    return export(net["w"], net["u"], net["v"], calibration_inputs=x, **biases, **options)


def error(checkpoint, x):
    """Return the error of a checkpoint on real inputs (or indices)."""
    network = checkpoint.network
    found = IntegerModel(network).run(quantize_inputs(network, x).integers).logits * network.scales.output
    _, wanted = run_real(RealNetwork.trained(checkpoint), x)
    return np.sqrt(np.square(found - wanted).mean()) / wanted.std()


def normal(shape, seed=0):
    """Return normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


# 1. Bits of the input.


@pytest.mark.parametrize(
    "scale, inputs, bits, most",
    [
        (1 / 128, lambda rng: rng.uniform(-1, 1, (64, 30, 2)), 9, 0.04),
        (1 / 128, lambda rng: rng.integers(-128, 128, (64, 30, 2)) / 128, 8, 0.04),
        (1 / 4096, lambda rng: rng.integers(0, 4096, (64, 30, 2)) / 4096, 12, 0.1),
        ((1 / 128, 4.0), lambda rng: rng.integers(-128, 128, (64, 30, 2)) * [1 / 128, 4.0], 8, 0.04),
    ],
)
def test_given_scale_has_the_bits_that_hold_the_inputs(scale, inputs, bits, most):
    """With a given scale no calibration input is clipped, whatever the state could take up."""
    x = inputs(np.random.default_rng(0))
    checkpoint = exported(rnn(2, 24, 3), x, activation="relu", weight_bits=8, state_bits=7, input_scale=scale)
    assert checkpoint.network.input_format.bits == bits
    assert not quantize_inputs(checkpoint.network, x).clipped.any()
    assert error(checkpoint, x) < most


def test_given_scale_that_needs_too_many_bits_is_refused():
    """More than 16 bits are refused, with the scale that would do."""
    x = np.random.default_rng(0).uniform(-1, 1, (64, 30, 2))
    message = (
        "input_scale must hold the calibration inputs in at most 16 bits, not 1e-06, with which they are "
        "-999620 to 999132; make it 3.05e-05 or more, or pass input_bits to clip them"
    )
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        exported(rnn(2, 24, 3), x, activation="relu", input_scale=1e-6)
    kept = exported(rnn(2, 24, 3), x, activation="relu", input_scale=3.06e-5)
    assert kept.network.input_format.bits == 16


def taps(m, sigmas=16, seed=0):
    """Return quiet sequences with a few entries of so many standard deviations."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(32, 30, m)) * 0.3
    x[rng.integers(0, 32, 12), rng.integers(0, 30, 12), rng.integers(0, m, 12)] = 0.3 * sigmas
    return x


@pytest.mark.parametrize("gain, state_bits, most", [(0.3, 7, 0.03), (0.3, 8, 0.022), (0.1, 7, 0.023)])
def test_bits_are_not_few_for_their_own_sake(gain, state_bits, most):
    """Taps of 16 sigma, two large weights: the bits are those of least error, and the errors are said."""
    net, x = rnn(3, 48, 4, seed=1), taps(3)
    net["u"] = net["u"] * gain
    net["w"][[0, 1], [1, 2]] = -4, 4
    checkpoint = exported(net, x, activation="relu", weight_bits=8, state_bits=state_bits)
    said = checkpoint.provenance["export"]
    assert said["input_bits"] == checkpoint.network.input_format.bits > 4
    assert said["relrms_by_input_bits"][str(said["input_bits"])] <= 1.01 * min(
        said["relrms_by_input_bits"].values()
    )
    assert error(checkpoint, x) < most
    assert said["relrms"] == pytest.approx(error(checkpoint, x), rel=1e-3)


# 2. Rows of unequal size.


@pytest.mark.sampled(10)
@pytest.mark.parametrize("activation", ["tanh", "hardtanh", "relu", "identity", "modrelu"])
@pytest.mark.parametrize(
    "rows, factor, of",
    [([0], 0.01, "w"), (range(8), 0.001, "w"), ([5], 0.0, "w"), ([3], 30.0, "u"), ([2, 9], 0.0, "u")],
)
def test_rows_of_unequal_size(activation, rows, factor, of):
    """A step for each row is never worse than one for all, whatever the sizes of the rows of W and U."""
    net, x = rnn(6, 32, 4, seed=2), normal((32, 20, 6))
    net[of][list(rows)] *= factor
    one, by_row = (
        exported(net, x, activation=activation, weight_bits=8, state_bits=10, per_row=per_row)
        for per_row in (False, True)
    )
    assert error(by_row, x) <= error(one, x) * (1 + 1e-9)
    assert error(by_row, x) < (0.08 if activation == "modrelu" else 0.03)
    said = by_row.provenance["export"]
    other = "relrms_of_one_step" if said["steps"] == "by row" else "relrms_of_steps_by_row"
    assert said["relrms"] <= said[other]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("zeros, most", [([0], 0.5), ([0, 7, 8], 0.55), (slice(None), 0.012)])
def test_zero_rows_of_one_bit(activation, per_row, zeros, most):
    """One bit has no zero; a row of W of zeros adds next to nothing, and neither does a W of zeros."""
    net, x = rnn(6, 32, 4, seed=2), normal((32, 20, 6))
    net["w"][zeros] = 0
    bits = WeightBits(1, 8, 8)
    checkpoint = exported(net, x, activation=activation, weight_bits=bits, state_bits=10, per_row=per_row)
    assert error(checkpoint, x) < most


@pytest.mark.parametrize("matrix", ["u", "v"])
def test_zero_matrices_of_one_bit(matrix):
    """A U or a V of zeros in one bit adds nothing either."""
    net, x = rnn(6, 32, 4, seed=2), normal((32, 20, 6))
    net["bias"] = normal(32) * 0.3
    net[matrix] = np.zeros_like(net[matrix])
    bits = WeightBits(8, 1, 8) if matrix == "u" else WeightBits(8, 8, 1)
    checkpoint = exported(net, x, activation="tanh", weight_bits=bits, state_bits=10)
    network = checkpoint.network
    found = IntegerModel(network).run(quantize_inputs(network, x).integers).logits * network.scales.output
    _, wanted = run_real(RealNetwork.trained(checkpoint), x)
    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


@pytest.mark.parametrize("rows", [[0], slice(None)])
@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "hardtanh"])
def test_tiny_rows_of_one_hot_networks(rows, per_row, activation):
    """The columns of U keep a width that there is, also where a row of W, or all of it, is tiny."""
    net = rnn(6, 32, 4, seed=2)
    net["w"][rows] *= 1e-6
    x = np.random.default_rng(0).integers(0, 6, (32, 20))
    options = {"weight_bits": 8, "state_bits": 16, "per_row": per_row, "input": "one_hot"}
    checkpoint = exported(net, x, activation=activation, **options)
    assert checkpoint.network.weight_bits.input <= 32
    assert error(checkpoint, x) < 0.02


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_tiny_recurrent_matrix(activation):
    """A W that is next to nothing beside U is held as finely as is of use."""
    net, x = rnn(6, 32, 4, seed=2), normal((32, 20, 6))
    net["w"] = net["w"] * 1e-9
    assert error(exported(net, x, activation=activation, weight_bits=8, state_bits=10), x) < 0.02


# 4. Channels of different size.

SIZES = np.array([500, 0.3, 0.3, 0.3, 5, 200.0])
MIDDLES = SIZES * [3, -5, 0, 8, 1, 20]


def channels(offset, seed=3):
    """Return a network with the normalisation of its inputs folded into U and b, and the raw inputs."""
    net = rnn(6, 32, 4, seed)
    net["u"] = net["u"] / SIZES
    x = normal((32, 20, 6)) * SIZES
    if offset:
        net["bias"] = net["bias"] - net["u"] @ MIDDLES
        x = x + MIDDLES
    return net, x


@pytest.mark.parametrize("activation", ["tanh", "hardtanh", "relu", "identity"])
@pytest.mark.parametrize("offset", [False, True])
def test_channels_of_different_size(activation, offset):
    """Each channel gets its own scale, and its own offset where its values are far from zero."""
    net, x = channels(offset)
    checkpoint = exported(net, x, activation=activation, weight_bits=8, state_bits=10)
    said, scales = checkpoint.provenance["export"], checkpoint.network.scales
    assert said["input_scales"] == "by channel" and len(scales.input) == 6
    assert said["offsets"] is offset and bool(np.any(scales.input_offset)) is offset
    assert error(checkpoint, x) < 0.02


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_channels_of_different_size_with_few_bits(bits):
    """Scales by channel give the columns of U steps of their own: as good as the same network normalised."""
    net, x = channels(False)
    options = {"activation": "tanh", "weight_bits": WeightBits(8, bits, 8), "state_bits": 10}
    raw = exported(net, x, **options)
    normalised = exported(net | {"u": net["u"] * SIZES}, x / SIZES, **options)
    assert error(raw, x) < 1.5 * error(normalised, x / SIZES)


@pytest.mark.parametrize("activation", ["tanh", "relu", "modrelu"])
def test_one_scale_is_kept_where_it_is_as_good(activation):
    """Channels alike have one scale and no offset."""
    net, x = rnn(6, 32, 4, seed=3), normal((32, 20, 6))
    scales = exported(net, x, activation=activation, weight_bits=8, state_bits=10).network.scales
    assert isinstance(scales.input, float) and scales.input_offset == 0


def test_modrelu_has_no_offsets():
    """The bias of modrelu cannot take an offset up: none is chosen, and a given one is refused."""
    net, x = channels(False)
    x = x + MIDDLES
    network = exported(net, x, activation="modrelu", weight_bits=8, state_bits=10).network
    assert network.scales.input_offset == 0 and len(network.scales.input) == 6
    with pytest.raises(FormatError, match=r"^input_offset must be 0 for modrelu, not 1\.5: its bias is not"):
        exported(net, x, activation="modrelu", input_offset=1.5)


def test_offset_of_a_narrow_range():
    """A single channel of 1000 +- 1, as of an air pressure, keeps what it says."""
    net = rnn(1, 24, 3)
    x = 1000 + np.random.default_rng(0).uniform(-1, 1, (32, 20, 1))
    net["bias"] = net["bias"] - 1000 * net["u"][:, 0]
    for activation in ("tanh", "relu"):
        checkpoint = exported(net, x, activation=activation, weight_bits=8, state_bits=10)
        assert checkpoint.network.scales.input_offset == pytest.approx(1000, abs=0.1)
        assert error(checkpoint, x) < 0.02


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_given_scales_and_offsets_are_kept(activation):
    """Scales and offsets of the caller go into the network as they are."""
    net, x = channels(True)
    scale, offset = SIZES / 30, MIDDLES + 0.1 * SIZES
    options = {"activation": activation, "weight_bits": 8, "state_bits": 10}
    checkpoint = exported(net, x, input_scale=scale, input_offset=offset, **options)
    assert checkpoint.network.scales.input == pytest.approx(tuple(scale), rel=1e-15)
    assert checkpoint.network.scales.input_offset == pytest.approx(tuple(offset), rel=1e-15)
    assert error(checkpoint, x) < 0.03
    only = exported(net, x, input_offset=offset, **options)
    assert only.network.scales.input_offset == pytest.approx(tuple(offset), rel=1e-15)
    assert error(only, x) < 0.03


# 5. Calibration on what the hardware sees.


@pytest.mark.parametrize("activation", ["relu", "identity", "tanh"])
@pytest.mark.parametrize("wrong", [9999.0, -1e6])
def test_values_that_the_hardware_clips_set_no_range(activation, wrong):
    """One wrong entry, which a given 8-bit format clips, costs nothing."""
    net, x = rnn(6, 32, 4, seed=4), normal((32, 20, 6))
    with_it = x.copy()
    with_it[3, 7, 2] = wrong
    options = {"activation": activation, "weight_bits": 8, "state_bits": 10}
    checkpoint = exported(net, with_it, input_bits=8, input_scale=4 / 127, **options)
    assert error(checkpoint, x) < 0.012


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_percentile_leaves_outliers_out(activation):
    """With a percentile the few largest entries set neither the input's scale nor the state's range."""
    net, x = rnn(6, 32, 4, seed=4), normal((32, 20, 6))
    with_them = x.copy()
    with_them[[3, 20], [7, 9], [2, 5]] = 9999, -5e5
    options = {"activation": activation, "weight_bits": 8, "state_bits": 10, "calibration_percentile": 99}
    assert error(exported(net, with_them, **options), x) < 0.05
    with pytest.raises(
        FormatError, match=r"^calibration_percentile must be above 50 and at most 100, not 50"
    ):
        exported(net, x, activation=activation, calibration_percentile=50)


# 6. The largest positive weight.


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("bits, most", [(8, 0.04), (4, 0.06), (3, 0.06), (2, 0.06)])
def test_largest_positive_weight_is_not_clipped(activation, bits, most):
    """0.99 times the identity keeps its memory, at any number of bits."""
    rng = np.random.default_rng(0)
    net = {"w": 0.99 * np.eye(16), "u": rng.normal(size=(16, 3)), "v": rng.normal(size=(4, 16))}
    x = rng.normal(size=(32, 100, 3))
    checkpoint = exported(net, x, activation=activation, weight_bits=WeightBits(bits, 8, 8), state_bits=14)
    assert checkpoint.network.recurrent_weight.max() == 2 ** (bits - 1) - 1
    assert error(checkpoint, x) < most


@pytest.mark.parametrize("matrix", ["u", "v"])
def test_largest_positive_weight_of_input_and_output(matrix):
    """Weights of U, or V, that are all equal and positive are held in two bits."""
    rng = np.random.default_rng(0)
    net = rnn(1, 16, 1)
    net[matrix] = np.full_like(net[matrix], 0.7)
    x = rng.normal(size=(32, 30, 1))
    bits = WeightBits(8, 2, 8) if matrix == "u" else WeightBits(8, 8, 2)
    checkpoint = exported(net, x, activation="tanh", weight_bits=bits, state_bits=12)
    assert error(checkpoint, x) < 0.03


# Sequences of different lengths, and what is said of the choice.


def test_sequences_of_different_lengths():
    """A list of equal sequences gives the network of the array; different lengths are judged together."""
    net, x = rnn(6, 32, 4, seed=4), normal((32, 20, 6))
    options = {"activation": "relu", "weight_bits": 8, "state_bits": 10}
    one, listed = (exported(net, given, **options) for given in (x, list(x)))
    for name in ("recurrent_weight", "input_weight", "output_weight", "bias", "multiplier"):
        np.testing.assert_array_equal(getattr(one.network, name), getattr(listed.network, name))
    assert one.network.scales == listed.network.scales
    cut = [row[: 3 + i % 17] for i, row in enumerate(x)]
    checkpoint = exported(net, cut, **options)
    assert max(error(checkpoint, row[None]) for row in cut if len(row) > 8) < 0.04


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("per_row", [False, True])
def test_what_was_chosen_is_said(activation, per_row):
    """The provenance holds the choice and the errors behind it, in plain numbers."""
    net, x = rnn(6, 32, 4, seed=4), normal((32, 20, 6))
    old = {"export": {"relrms": 9}, "command": "mine"}
    checkpoint = exported(net, x, activation=activation, per_row=per_row, weight_bits=8, provenance=old)
    said = json.loads(json.dumps(checkpoint.provenance))["export"]
    assert checkpoint.provenance["command"] == "mine"
    assert said["relrms"] == pytest.approx(error(checkpoint, x), rel=1e-3)
    assert said["judged_on"] == {"sequences": 32, "of": 32, "steps": 20}
    assert 5 < said["networks_tried"] < 250
    network = checkpoint.network
    assert said["input_bits"] == network.input_format.bits and said["input_scales"] == "one"
    assert said["relrms_by_input_bits"][str(said["input_bits"])] <= 1.01 * said["relrms"]
    assert ("steps" in said) is per_row


def test_choice_of_a_bounded_sample_holds_for_all(monkeypatch):
    """Candidates that are judged on a few of many sequences do as well on the others."""
    monkeypatch.setattr("qornn_hw.quantization.calibration.SAMPLE_STATES", 32 * 20 * 10)
    net, x = rnn(6, 32, 4, seed=4), normal((300, 20, 6))
    checkpoint = exported(net, x, activation="relu", weight_bits=8, state_bits=10)
    said = checkpoint.provenance["export"]
    assert said["judged_on"]["sequences"] == 10 and said["judged_on"]["of"] == 300
    assert error(checkpoint, x) < 1.2 * said["relrms"]
