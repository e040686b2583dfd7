"""Export with a step for each row of W: the fake-quantized forward is the model here, too."""

import numpy as np
import pytest
import torch
from real_networks import arrays

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, WeightBits
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import FormatError
from qornn_hw.quantization.float_model import (
    RealNetwork,
    accumulator_scales,
    dequantized,
    dequantized_inputs,
    run_fake_quantized,
    run_real,
)
from qornn_hw.quantization.grids import quantize_weights, weight_step
from qornn_hw.quantization.quantize import export

ACTIVATIONS = [str(a) for a in Activation]
HOMOGENEOUS = ["identity", "relu", "modrelu"]


def rows_apart(n=12, seed=0):
    """Return a recurrent matrix whose rows have their largest entries at quite different sizes."""
    w = np.random.default_rng(seed).normal(size=(n, n))
    w /= np.abs(w).max(axis=1, keepdims=True)
    return w * np.linspace(0.08, 0.35, n)[:, None]


@pytest.mark.sampled(12)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("input", ["one_hot", "vector"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "state_bits": 12,
            "weight_bits": WeightBits(5, 8, 8),
            "rounding": "half_even",
            "multiplier_bits": 16,
        },
        {"state_bits": 5, "weight_bits": WeightBits(2, 3, 8), "multiplier_bits": 5},
        {"weight_bits": 1, "initial_state": np.linspace(-1, 1, 12), "multiplier_bits": 6},
    ],
)
def test_steps_by_row(activation, input, options):
    """A step for each row never makes the answers worse; real arithmetic is the integer model here, too."""
    (_, u, v), rest = arrays(input=input)
    weights = rows_apart(), u * np.linspace(0.08, 0.35, 12)[:, None], v
    arguments = {"weight_bits": 4, "activation": activation} | rest | options
    one, rows = (export(*weights, per_row=per_row, **arguments) for per_row in (False, True))
    said = rows.provenance["export"]
    assert said["relrms"] <= one.provenance["export"]["relrms"]
    network = rows.network
    by_row = len(np.unique(network.multiplier)) > 1
    assert said["steps"] == ("by row" if by_row else "one")
    # With many bits the gain is sure; with few, chance decides.
    # Straight pieces err by more than steps by row save.
    assert by_row or network.state_bits < 12 or network.pieces is not None
    x = quantize_inputs(network, rest["calibration_inputs"]).integers
    trace = IntegerModel(network).run(x)
    states, logits = run_fake_quantized(network, x)
    np.testing.assert_array_equal(np.rint(states / network.scales.state), trace.states)
    np.testing.assert_array_equal(np.rint(logits / network.scales.output), trace.logits)
    assert len(np.unique(trace.states)) > 3
    # Each row of W is on the grid of its own step, nearest to the real one, or clipped.
    d = accumulator_scales(network)[:, None] / network.scales.state
    bits = network.weight_bits.recurrent
    np.testing.assert_array_equal(network.recurrent_weight, quantize_weights(weights[0], bits, d))
    if not Activation(activation).shape.indexed:
        factors = network.multiplier / 2.0**network.shift
        np.testing.assert_allclose(d[:, 0], factors, rtol=1e-12)


# Straight pieces are further from the function than the states' 14 bits.
@pytest.mark.parametrize("activation", [a for a in ACTIVATIONS if not Activation(a).shape.pieces])
@pytest.mark.parametrize("input", ["one_hot", "vector"])
def test_steps_by_row_are_nearer(activation, input):
    """Rows of different sizes keep more of W, and the answers come nearer to the real network's."""
    (_, u, v), rest = arrays(input=input)
    u = u * np.linspace(0.08, 0.35, 12)[:, None]
    w = rows_apart()
    errors, bits = [], WeightBits(4, 8, 8)
    for per_row in (False, True):
        checkpoint = export(
            w, u, v, activation=activation, per_row=per_row, weight_bits=bits, state_bits=14, **rest
        )
        network = checkpoint.network
        x = quantize_inputs(network, rest["calibration_inputs"]).integers
        got = IntegerModel(network).run(x).logits * network.scales.output
        _, near = run_real(dequantized(network), dequantized_inputs(network, x))
        assert np.abs(got - near).max() < 5e-3 * np.abs(near).max()
        _, real = run_real(RealNetwork.trained(checkpoint), rest["calibration_inputs"])
        errors.append(np.linalg.norm(dequantized(network).recurrent_weight - w))
        errors.append(np.abs(got - real).mean())
    assert errors[2] < 0.9 * errors[0]
    assert errors[3] < errors[1]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("input", ["one_hot", "vector"])
@pytest.mark.parametrize("tied", [True, False])
def test_given_steps_by_row(activation, input, tied):
    """Weights of a training with steps by row are taken over exactly, U's where they follow W's."""
    (_, u, v), rest = arrays(input=input)
    w = rows_apart()
    d_w = snapped_rows(np.abs(w).max(axis=1) / 8)
    d_u = 2.5 * d_w if tied else weight_step(u, 4)
    d_v = weight_step(v, 4)
    q_u = quantize_weights(u, 4, np.reshape(d_u, (-1, 1)))
    steps = (torch.tensor(d_w)[:, None], d_u, d_v)
    trained = (
        quantize_weights(w, 4, d_w[:, None]) * d_w[:, None],
        q_u * np.reshape(d_u, (-1, 1)),
        quantize_weights(v, 4, d_v) * d_v,
    )
    homogeneous = activation in HOMOGENEOUS
    arguments = rest | {"activation": activation, "weight_steps": steps, "state_bits": 12}
    if homogeneous and input == "vector" and not tied:
        message = (
            r"^weight_steps\[1\] must be one number times weight_steps\[0\], by row, for vector inputs of an "
            f"{activation} network, which share W's accumulator; they differ by more than 1%$"
        )
        with pytest.raises(FormatError, match=message):
            export(*trained, **arguments)
        return
    network = export(*trained, **arguments).network
    real = dequantized(network)
    np.testing.assert_allclose(real.recurrent_weight, trained[0], rtol=1e-3)
    if homogeneous and tied:
        np.testing.assert_allclose(real.input_weight, trained[1], rtol=1e-3)
        np.testing.assert_array_equal(network.input_weight, q_u)
        assert network.weight_bits.input == 4
    elif input == "one_hot":
        # Columns at the accumulator's precision.
        assert np.abs(real.input_weight - trained[1]).max() <= 0.51 * accumulator_scales(network).max()
    x = quantize_inputs(network, rest["calibration_inputs"]).integers
    states, _ = run_fake_quantized(network, x)
    np.testing.assert_array_equal(np.rint(states / network.scales.state), IntegerModel(network).run(x).states)


def snapped_rows(steps):
    """Return the steps as multiples of 2**-14."""
    return np.rint(steps * 2**14) / 2**14


def test_equal_steps_by_row_are_one_step():
    """Steps by row that are all the same give the network of the one step."""
    weights, rest = arrays()
    steps = [weight_step(a, 4) for a in weights]
    one = export(*weights, activation="relu", weight_steps=tuple(steps), **rest).network
    many = (np.full(12, steps[0]), np.full(12, steps[1]), steps[2])
    same = export(*weights, activation="relu", weight_steps=many, **rest).network
    for name in ("recurrent_weight", "input_weight", "output_weight", "bias", "multiplier", "shift"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert one.input_shift == same.input_shift
    assert same.scales.accumulator == pytest.approx(one.scales.accumulator, rel=1e-12)
