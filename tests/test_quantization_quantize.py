"""Export: quantized weights, one accumulator scale, calibration; the fake-quantized forward is the model."""

import re

import numpy as np
import pytest
import torch
from real_networks import arrays
from torch.nn.utils import parametrize

from qornn_hw.cells.activations.registry import BOUNDED
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, WeightBits
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import QornnError
from qornn_hw.importers.torch_import import export_torch_rnn
from qornn_hw.quantization.float_model import (
    RealNetwork,
    dequantized,
    dequantized_inputs,
    run_fake_quantized,
    run_real,
)
from qornn_hw.quantization.quantize import (
    export,
    weight_step,
)
from qornn_hw.training.bjorck import Bjorck
from qornn_hw.training.quantizer import Quantize, step_of

ACTIVATIONS = [str(a) for a in Activation]
HOMOGENEOUS = ["identity", "relu", "modrelu"]


@pytest.mark.sampled(16)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("input", ["one_hot", "vector"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"state_bits": 12, "weight_bits": 6, "rounding": "half_even", "multiplier_bits": 16},
        {
            "state_bits": 4,
            "weight_bits": WeightBits(2, 3, 8),
            "multiplier_bits": 1,
            "output_mode": "last_step",
        },
        {"weight_bits": 1, "initial_state": np.linspace(-1, 1, 12), "multiplier_bits": 4},
    ],
)
def test_fake_quantized_forward_is_the_integer_model(activation, input, options):
    """Real arithmetic on rounded weights, inputs and states gives the integer model's states, all of them."""
    weights, rest = arrays(input=input)
    network = export(*weights, activation=activation, **(rest | options)).network
    x = quantize_inputs(network, rest["calibration_inputs"]).integers
    trace = IntegerModel(network).run(x)
    states, logits = run_fake_quantized(network, x)
    in_units = states / network.scales.state
    np.testing.assert_allclose(in_units, np.rint(in_units), atol=1e-6)
    np.testing.assert_array_equal(np.rint(in_units), trace.states)
    np.testing.assert_array_equal(np.rint(logits / network.scales.output), trace.logits)
    assert len(np.unique(trace.states)) > 3


def test_initial_state_is_rounded_half_up():
    """The first state is the nearest of the grid, of two as near the larger one, as everywhere."""
    weights, rest = arrays(n=5)
    # Given steps leave one step of the state, whatever the first state is.
    steps = {"weight_steps": (1 / 8, 1 / 4, 1 / 4), "input_scale": 1 / 16}
    options = {"state_range": 8.0, "state_bits": 4, **steps, **rest}
    wanted = np.array([0.5, -0.5, 1.5, -1.5, 0.49])
    step = export(*weights, activation="relu", **options).network.scales.state
    network = export(*weights, activation="relu", initial_state=wanted * step, **options).network
    np.testing.assert_array_equal(network.initial_state, [1, 0, 2, -1, 0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("input", ["one_hot", "vector"])
def test_fine_network_approaches_the_real_one(activation, input):
    """With many bits the integers times their scales come near the trained network in real numbers."""
    weights, rest = arrays(input=input, gain=0.8)
    checkpoint = export(
        *weights,
        activation=activation,
        weight_bits=8,
        state_bits=14,
        multiplier_bits=16,
        input_bits=8,
        **rest,
    )
    network = checkpoint.network
    x = quantize_inputs(network, rest["calibration_inputs"]).integers
    got = IntegerModel(network).run(x).logits * network.scales.output
    _, near = run_real(dequantized(network), dequantized_inputs(network, x))
    _, real = run_real(RealNetwork.trained(checkpoint), rest["calibration_inputs"])
    scale = np.abs(real).max()
    # modrelu with a positive bias jumps at 0, so that a state near it may fall to the other side.
    share = 0.99 if activation == "modrelu" else 1.0
    assert np.quantile(np.abs(got - near), share) < 2e-3 * scale
    assert np.abs(got - real).max() < 0.08 * scale


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("input", ["one_hot", "vector"])
def test_scales_belong_together(activation, input):
    """The accumulator's unit is that of W g and, shifted, of U x; the requantizer leads on to the state's."""
    weights, rest = arrays(input=input)
    network = export(*weights, activation=activation, weight_bits=5, **rest).network
    s = network.scales
    w, u = dequantized(network).recurrent_weight, dequantized(network).input_weight
    assert np.abs(w - weights[0]).max() < 2.02 * weight_step(weights[0], 5)
    assert np.abs(u - weights[1]).max() < 2.02 * weight_step(weights[1], 5)
    factor = network.multiplier[0] / 2.0**network.shift
    if activation == "tanh":
        top = (len(network.table) // 2) * s.accumulator / factor
        assert top == pytest.approx(4.0, rel=1e-3)
    elif not Activation(activation).shape.indexed:
        assert factor == pytest.approx(s.accumulator / s.state, rel=1e-12)
    if activation in BOUNDED:
        assert s.state == 2.0**-7


def test_already_quantized_export():
    """An export of dequantized weights gives the same integers."""
    weights, rest = arrays()
    first = export(*weights, activation="relu", **rest).network
    real = dequantized(first)
    again = export(
        real.recurrent_weight,
        real.input_weight,
        real.output_weight,
        activation="relu",
        already_quantized=True,
        **rest,
    ).network
    for name in ("recurrent_weight", "input_weight", "output_weight", "multiplier"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("activation", HOMOGENEOUS)
def test_state_range(activation):
    """A given range fits the state, within a factor of two; the calibrated one gives near logits."""
    weights, rest = arrays()
    for reach in (1.0, 7.0, 100.0):
        network = export(
            *weights, activation=activation, state_range=reach, **(rest | {"state_bits": 12})
        ).network
        full = network.scales.state * 2**11
        assert reach <= full * (1 + 1e-9) and full < 2 * reach
    chosen = export(*weights, activation=activation, **rest).network
    x = quantize_inputs(chosen, rest["calibration_inputs"]).integers
    _, wanted = run_real(dequantized(chosen), dequantized_inputs(chosen, x))
    got = IntegerModel(chosen).run(x).logits * chosen.scales.output
    assert np.abs(got - wanted).mean() < 0.15 * np.abs(wanted).mean()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("state_bits", [4, 8, 14])
def test_input_bits_are_those_of_least_error(state_bits):
    """By default a vector has 4 to 8 bits, and no number of them that is given gives a much smaller error."""
    weights, rest = arrays()
    rest |= {"activation": "relu", "state_bits": state_bits}
    chosen = export(*weights, **rest)
    said = chosen.provenance["export"]
    assert said["input_bits"] == chosen.network.input_format.bits in range(4, 9)
    assert list(said["relrms_by_input_bits"]) == ["4", "5", "6", "7", "8"]
    for bits in range(4, 9):
        kept = export(*weights, input_bits=bits, **rest)
        assert kept.network.input_format.bits == bits
        assert said["relrms"] <= 1.1 * kept.provenance["export"]["relrms"]


def test_unsigned_inputs():
    """Inputs without negative values are unsigned with full scale at the largest; the caller may fix both."""
    weights, rest = arrays()
    x = np.abs(rest["calibration_inputs"])
    rest["calibration_inputs"] = x
    network = export(*weights, activation="tanh", **rest).network
    assert (network.input_format.bits, network.input_format.signed) == (8, False)
    assert network.scales.input == pytest.approx(x.max() / 255)
    assert quantize_inputs(network, x).integers.max() == 255
    fixed = export(*weights, activation="tanh", input_scale=0.25, input_signed=True, **rest).network
    assert fixed.scales.input == 0.25 and fixed.input_format.signed


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("bias", [True, False])
def test_torch_rnn(nonlinearity, bias):
    """An exported torch.nn.RNN with its readout answers as torch does, up to its rounding."""
    torch.manual_seed(0)
    rnn = torch.nn.RNN(4, 10, nonlinearity=nonlinearity, bias=bias, batch_first=True)
    readout = torch.nn.Linear(10, 3, bias=bias)
    x = torch.rand(20, 15, 4)
    with torch.no_grad():
        wanted = readout(rnn(x)[0]).numpy()
    checkpoint = export_torch_rnn(rnn, readout, x, input="vector", weight_bits=8, state_bits=14)
    assert checkpoint.network.activation == nonlinearity
    _, real = run_real(RealNetwork.trained(checkpoint), x.numpy())
    np.testing.assert_allclose(real, wanted, atol=1e-5)
    network = checkpoint.network
    model = IntegerModel(network).run(quantize_inputs(network, x.numpy()).integers)
    assert np.abs(model.logits * network.scales.output - wanted).max() < 0.03


@pytest.mark.parametrize("options", [{}, {"per_row": True}, {"norm_preserving": True}])
def test_torch_rnn_trained_with_parametrizations(options):
    """A torch.nn.RNN with Björck and q_k on its recurrent weight is exported as it computes."""
    torch.manual_seed(0)
    rnn, readout = torch.nn.RNN(5, 16, batch_first=True), torch.nn.Linear(16, 3)
    quantizer = Quantize(4, **options)
    parametrize.register_parametrization(rnn, "weight_hh_l0", Bjorck(16))
    parametrize.register_parametrization(rnn, "weight_hh_l0", quantizer)
    x = torch.rand(10, 12, 5)
    rnn(x)[0].sum().backward()
    rnn.eval()
    with torch.no_grad():
        worth = quantizer.worth(
            rnn.parametrizations.weight_hh_l0[0](rnn.parametrizations.weight_hh_l0.original)
        )
        wanted = rnn.weight_hh_l0.numpy()
    steps = (worth, step_of(rnn.weight_ih_l0, 4), step_of(readout.weight, 4))
    network = export_torch_rnn(rnn, readout, x, weight_bits=4, state_bits=10, weight_steps=steps).network
    # The requantizer's 12 bits are what the step is held in.
    np.testing.assert_allclose(dequantized(network).recurrent_weight, wanted, rtol=1e-3, atol=1e-6)


def test_input_is_inferred():
    """Three dimensions are vectors, two of integers are indices, in both exports."""
    torch.manual_seed(0)
    module, readout = torch.nn.RNN(5, 10, batch_first=True), torch.nn.Linear(10, 3)
    vectors = torch.rand(64, 10, 5)
    indices = torch.randint(0, 5, (64, 10))
    for x, kind in ((vectors, "vector"), (indices, "one_hot"), ((vectors * 9).int(), "vector")):
        found = export_torch_rnn(module, readout, x, weight_bits=4, state_bits=8).network
        assert found.input_kind == kind
        assert found.scales == export_torch_rnn(module, readout, x, input=kind).network.scales
    for input in ("vector", "one_hot"):
        weights, rest = arrays(input=input)
        assert rest.pop("input") == export(*weights, activation="relu", **rest).network.input_kind


def test_bits_may_be_numpy_integers():
    """Bits out of an array are as good as Python's."""
    weights, rest = arrays()
    rest |= {"weight_bits": np.int64(5), "state_bits": np.int8(9)}
    network = export(*weights, activation="relu", **rest).network
    assert network.weight_bits == WeightBits(5, 5, 5) and type(network.state_bits) is int


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"activation": "gelu"},
            f"activation must be one of {', '.join(Activation)}, not 'gelu'",
        ),
        ({"input": "pixels"}, "input must be one of one_hot, vector, not 'pixels'"),
        ({"output_mode": "first"}, "output_mode must be one of every_step, last_step, not 'first'"),
        ({"output_kind": "max"}, "output_kind must be one of logits, argmax, both, not 'max'"),
        ({"rounding": "floor"}, "rounding must be one of half_up, half_even, not 'floor'"),
        ({"weight_bits": 0}, "weight_bits.recurrent must be 1 to 8, not 0"),
        ({"weight_bits": WeightBits(4, 4, 9)}, "weight_bits.output must be 1 to 8, not 9"),
        ({"state_bits": 3}, "state_bits must be 4 to 16, not 3"),
        ({"multiplier_bits": 17}, "multiplier_bits must be 1 to 16, not 17"),
        ({"input_bits": 17}, "input_bits must be 1 to 16, not 17"),
        ({"input_bits": 4.0}, "input_bits must be 1 to 16, not 4.0"),
        ({"index_bits": 15}, "index_bits must be 2 to 14, not 15"),
        (
            {"weight_bits": "x"},
            (
                "weight_bits must be an integer from 1 to 8, or WeightBits(recurrent, input, output) of "
                "qornn_hw.cells.elman_network, not 'x'"
            ),
        ),
        (
            {"weight_bits": (4, 8, 8)},
            (
                "weight_bits must be an integer from 1 to 8, or WeightBits(recurrent, input, output) of "
                "qornn_hw.cells.elman_network, not (4, 8, 8)"
            ),
        ),
        ({"weight_bits": WeightBits(4, "x", 4)}, "weight_bits.input must be 1 to 8, not 'x'"),
        ({"weight_bits": True}, "weight_bits.recurrent must be 1 to 8, not True"),
        ({"state_bits": "x"}, "state_bits must be 4 to 16, not 'x'"),
        ({"multiplier_bits": None}, "multiplier_bits must be 1 to 16, not None"),
        ({"input_scale": 0.0}, "input_scale must be a positive and finite number, not 0.0"),
        ({"state_range": "x"}, "state_range must be a positive and finite number, not 'x'"),
        (
            {"per_row": True, "already_quantized": True},
            (
                "per_row must be unset where the weights are quantized already; pass steps by row in "
                "weight_steps"
            ),
        ),
        (
            {"weight_steps": (np.ones(3), 0.5, 0.5)},
            "weight_steps[0] must be a number or have shape (12,), not (3,)",
        ),
        (
            {"weight_steps": (np.zeros(12), 0.5, 0.5)},
            "weight_steps[0] must be positive and finite numbers, not 0.0",
        ),
        (
            {"weight_steps": (0.5, 0.5, np.ones(12))},
            "weight_steps[2] must be a positive and finite number, not array",
        ),
        ({"weight_steps": 0.5}, "weight_steps must be three numbers, those of W, U and V, not 0.5"),
        (
            {"weight_steps": (0.5, float("nan"), 1)},
            "weight_steps[1] must be a positive and finite number, not nan",
        ),
        ({"bias": [[1.0], [1.0, 2.0]]}, "bias must be an array of real numbers, not list: "),
        ({"recurrent_weight": np.zeros((3, 4))}, "recurrent_weight must have shape (3, 3), not (3, 4)"),
        ({"recurrent_weight": np.zeros(3)}, "recurrent_weight must have shape (any, any), not (3,)"),
        ({"recurrent_weight": np.zeros((0, 0))}, "recurrent_weight must have shape (any, any), not (0, 0)"),
        ({"input_weight": np.zeros((3, 4))}, "input_weight must have shape (12, any), not (3, 4)"),
        ({"output_weight": np.zeros((3, 4))}, "output_weight must have shape (any, 12), not (3, 4)"),
        ({"bias": np.zeros(3)}, "bias must have shape (12), not (3,)"),
        ({"bias": np.full(12, np.nan)}, "bias must be finite, but has 12 NaN or infinite entries"),
        ({"bias": ["a"] * 12}, "bias must hold real numbers, not <U1"),
        ({"output_bias": np.zeros(3)}, "output_bias must have shape (4), not (3,)"),
        ({"initial_state": np.zeros(3)}, "initial_state must have shape (12), not (3,)"),
        (
            {"calibration_inputs": np.zeros((3, 4))},
            "calibration_inputs must have shape (any, any, 5), not (3, 4)",
        ),
        (
            {"calibration_inputs": np.full((3, 4), 5), "input": "one_hot"},
            "calibration_inputs must be indices from 0 to 4, not 5",
        ),
        (
            {"calibration_inputs": np.full((3, 4), 0.5), "input": "one_hot"},
            "calibration_inputs must be indices from 0 to 4, not 0.5",
        ),
        (
            {"calibration_inputs": np.full((3, 4), 0.5), "input": None},
            (
                "calibration_inputs must be vectors (batch, steps, inputs) or integer indices "
                "(batch, steps), not "
                "float64 of shape (3, 4); say which is meant with input='vector' or input='one_hot'"
            ),
        ),
        (
            {"calibration_inputs": np.arange(4), "input": None},
            (
                "calibration_inputs must be vectors (batch, steps, inputs) or integer indices "
                "(batch, steps), not "
                "int64 of shape (4,); say which"
            ),
        ),
        ({"input_signed": False}, "calibration_inputs must not be negative for unsigned inputs, not -"),
        (
            {"calibration_inputs": np.zeros((1, 2, 5)), "activation": "tanh"},
            (
                "calibration_inputs must not be all zero: they set the scales of input and state; "
                "pass inputs like those of use"
            ),
        ),
        (
            {"input_weight": np.zeros((12, 5)), "bias": None, "activation": "relu"},
            "the largest state on the calibration inputs must be positive and finite, not 0.0; check",
        ),
        (
            {
                "recurrent_weight": 2e4 * np.eye(12),
                "activation": "identity",
                "calibration_inputs": np.ones((1, 100, 5)),
            },
            "the largest state on the calibration inputs must be positive and finite, not nan; check",
        ),
        ({"bias": np.full(12, 1e30), "activation": "tanh"}, "bias must lie in -549755813888 to 549755813887"),
    ],
)
def test_export_errors(changes, message):
    """Each wrong argument is named in one line."""
    (w, u, v), rest = arrays()
    arguments = {
        "recurrent_weight": w,
        "input_weight": u,
        "output_weight": v,
        "activation": "relu",
        **rest,
        **changes,
    }
    with pytest.raises(QornnError, match=f"^{re.escape(message)}") as caught:
        export(**arguments)
    assert "\n" not in str(caught.value)
