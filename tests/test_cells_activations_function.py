"""What every activation has: a real function, its parts, its torch form, and its operations."""

import numpy as np
import pytest

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.quantization.float_model import dequantized, run_fake_quantized
from qornn_hw.sim.stimuli import random_network, random_sequences

REAL = {
    "identity": lambda z, b: z + b,
    "relu": lambda z, b: max(z + b, 0.0),
    "modrelu": lambda z, b: np.sign(z) * max(abs(z) + b, 0.0),
    "hardtanh": lambda z, b: min(max(z + b, -1.0), 1.0),
    "tanh": lambda z, b: np.tanh(z + b),
}


@pytest.mark.parametrize("activation", REAL)
def test_real_function(activation):
    """Each entry is the function of its sum and its unit's bias."""
    rng = np.random.default_rng(0)
    z, bias = rng.normal(scale=2.0, size=(40, 6)), rng.normal(size=6)
    found = Activation(activation).function.evaluate(z, bias)
    wanted = [[REAL[activation](v, b) for v, b in zip(row, bias, strict=True)] for row in z]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", Activation)
def test_homogeneous_unless_bounded(activation):
    """``act(k z, k b) = k act(z, b)`` holds for those whose step of the state is free, and for no other."""
    rng = np.random.default_rng(1)
    z, bias = rng.normal(scale=2.0, size=(40, 6)), rng.normal(size=6)
    evaluate = activation.function.evaluate
    assert np.allclose(evaluate(3 * z, 3 * bias), 3 * evaluate(z, bias)) is not activation.function.bounded
    assert not activation.function.bounded or np.abs(evaluate(9 * z, bias)).max() <= 1


@pytest.mark.parametrize("activation", Activation)
def test_torch_form(activation):
    """The form for training computes the same, and its gradients are those of differences."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    function = activation.function
    z, bias = rng.normal(scale=0.8, size=(30, 4)), rng.normal(scale=0.2, size=4)
    if function.linear:
        bias[:] = 0.0
    h, scratch = torch.from_numpy(z.copy()), torch.empty(30, 4, dtype=torch.float64)
    function.activate(h, torch.from_numpy(bias), scratch)
    np.testing.assert_allclose(h.numpy(), function.evaluate(z, bias), rtol=1e-12, atol=1e-12)
    outer, step = rng.normal(size=z.shape), 1e-6
    d, by_bias = torch.from_numpy(outer.copy()), torch.zeros(30, 4, dtype=torch.float64)
    function.differentiate(d, h, by_bias, scratch)
    slope = (function.evaluate(z + step, bias) - function.evaluate(z - step, bias)) / (2 * step)
    np.testing.assert_allclose(d.numpy(), outer * slope, atol=1e-6)
    if not function.linear:
        slope = (function.evaluate(z, bias + step) - function.evaluate(z, bias - step)) / (2 * step)
        np.testing.assert_allclose(by_bias.numpy(), outer * slope, atol=1e-6)


@pytest.mark.parametrize("activation", Activation)
def test_states_of_the_integers(activation):
    """The operations give the states that the real function on the grid gives."""
    network = random_network(seed=3, hidden_size=5, input_size=3, output_size=2, activation=activation)
    inputs = np.stack(random_sequences(network, batch=4, steps=9, seed=4))
    states = IntegerModel(network).run(inputs).states
    np.testing.assert_array_equal(states * network.scales.state, run_fake_quantized(network, inputs)[0])
    assert dequantized(network).activation is activation
    low, high = activation.function.state_ends(network)
    assert low <= states.min() and states.max() <= high
