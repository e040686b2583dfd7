"""The weight quantizer: q_k per tensor and per row, powers of two, the norm, and the state's rounding."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import parametrize

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import scale_to_multiplier
from qornn_hw.quantization.quantize import quantize_weights, weight_step
from qornn_hw.training.quantizer import Quantize, norm_gain, quantize, round_state, snapped, step_of


def matrix(n=40, m=30, seed=0, dtype=torch.float64):
    """Return a matrix of normal numbers whose rows differ in size."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, m, generator=generator, dtype=torch.float64) * torch.linspace(0.1, 3, n)[:, None]
    ).to(dtype)


@pytest.mark.parametrize("bits", range(1, 9))
def test_quantizer_is_the_exports(bits):
    """Training and export round weights to the same integers with the same step."""
    weight = torch.randn(40, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(bits))
    step = step_of(weight, bits)
    assert step == pytest.approx(weight_step(weight.numpy(), bits), rel=1e-15)
    integers = quantize_weights(weight.numpy(), bits, step)
    np.testing.assert_allclose(quantize(weight, bits).numpy(), integers * step, rtol=1e-12, atol=1e-12)
    assert len(np.unique(integers)) <= 2**bits


@settings(deadline=None)
@given(
    st.integers(2, 8),
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30).filter(lambda v: any(v)),
)
def test_quantizer_is_the_formula(bits, values):
    """q_k is (alpha / c) clip(round(W c / alpha), -c, c - 1), for random weights."""
    w = torch.tensor(values, dtype=torch.float64)
    alpha, c = w.abs().max(), 2 ** (bits - 1)
    wanted = alpha / c * torch.clamp(torch.round(w / (alpha / c)), -c, c - 1)
    torch.testing.assert_close(quantize(w, bits), wanted, rtol=1e-12, atol=1e-12 * float(alpha))
    error = (quantize(w, bits) - w).abs()
    clipped = w >= alpha * (1 - 0.5 / c)
    assert error[~clipped].numel() == 0 or error[~clipped].max() <= alpha / c / 2 * (1 + 1e-9)
    assert error[clipped].numel() == 0 or error[clipped].max() <= alpha / c * (1 + 1e-9)


@pytest.mark.parametrize("per_row", [False, True])
def test_quantizer_gradient_is_the_identity(per_row):
    """The gradient passes straight through q_k, also where the largest entry is clipped."""
    weight = torch.randn(5, 5, requires_grad=True)
    coefficients = torch.randn(5, 5)
    step = step_of(weight, 3, per_row=per_row)
    (quantize(weight, 3, step, norm_gain(weight, 3, step)) * coefficients).sum().backward()
    torch.testing.assert_close(weight.grad, coefficients)


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize(
    "options", [{}, {"per_row": True}, {"power_of_two": True}, {"norm_preserving": True}]
)
def test_zero_weights_are_finite(bits, options):
    """A weight of zeros quantizes to zero (with one bit: to a step), not to NaN."""
    q = Quantize(bits, **options)(torch.zeros(3, 3))
    assert torch.equal(q, torch.full((3, 3), 0.0 if bits > 1 else float(q[0, 0])))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("power_of_two", [False, True])
def test_rows_are_quantized_apart(bits, power_of_two):
    """With steps by row each row equals q_k of this row."""
    weight = matrix()
    weight[3] = 0
    steps = step_of(weight, bits, per_row=True, power_of_two=power_of_two)
    assert steps.shape == (40, 1) and steps.dtype == torch.float64
    alone = [step_of(row, bits, power_of_two=power_of_two) for row in weight]
    assert steps.flatten().tolist() == pytest.approx(alone, rel=1e-15)
    quantized = quantize(weight, bits, steps)
    for row, step, got in zip(weight, alone, quantized, strict=True):
        torch.testing.assert_close(got, quantize(row, bits, step), rtol=1e-12, atol=1e-15)


def test_steps_by_row_have_the_weights_dtype():
    """Steps are float32 for float32 and half precision; a vector has no rows."""
    assert step_of(matrix(dtype=torch.float32), 4, per_row=True).dtype == torch.float32
    assert step_of(matrix(dtype=torch.float16), 4, per_row=True).dtype == torch.float32
    with pytest.raises(
        FormatError, match=r"^a weight with a step for each row must have 2 dimensions, not 1$"
    ):
        step_of(torch.ones(3), 4, per_row=True)


@pytest.mark.parametrize("bits", range(1, 9))
def test_steps_of_powers_of_two(bits):
    """A power of two is one of the neighbours of the step, and the better of the two."""
    for seed in range(20):
        weight = matrix(seed=seed)
        step, plain = step_of(weight, bits, power_of_two=True), step_of(weight, bits)
        assert np.log2(step) == round(np.log2(step)) and plain / 2 < step <= 2 * plain
        other = step * 2 if step <= plain else step / 2
        if other != plain:
            errors = [float((quantize(weight, bits, d) - weight).norm()) for d in (step, other)]
            assert errors[0] <= errors[1]


@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("bits", range(1, 9))
def test_norm_is_preserved(bits, per_row):
    """With the gain q_k(W) has the Frobenius norm of W, by row where steps are; the integers stay."""
    weight = matrix(seed=bits)
    module = Quantize(bits, per_row=per_row, norm_preserving=True)
    q, worth = module(weight), module.worth(weight)
    torch.testing.assert_close(q.norm(), weight.norm())
    if per_row:
        torch.testing.assert_close(q.norm(dim=1), weight.norm(dim=1))
    integers = quantize(weight, bits, step_of(weight, bits, per_row=per_row))
    integers = integers / step_of(weight, bits, per_row=per_row)
    torch.testing.assert_close(q / worth, torch.round(integers), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize("per_row", [False, True])
def test_module_is_a_parametrization(bits, per_row):
    """Registered on a layer, the layer computes with q_k and its stored weight learns."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 4)
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Quantize(bits, per_row=per_row))
    torch.testing.assert_close(layer.weight, quantize(before, bits, step_of(before, bits, per_row=per_row)))
    layer(torch.randn(3, 6)).square().sum().backward()
    stored = layer.parametrizations.weight.original
    assert torch.equal(stored, before) and stored.grad.abs().min() > 0
    layer.weight = 2 * before
    assert torch.equal(stored, 2 * before)
    assert f"bits={bits}" in repr(layer) and ("per_row" in repr(layer)) is per_row


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0,), "bits must be 1 to 8, not 0"),
        ((9,), "bits must be 1 to 8, not 9"),
        (
            (4, False, True, True),
            "norm_preserving must be False if power_of_two is True, not True",
        ),
    ],
)
def test_module_errors(arguments, message):
    """Invalid options are refused."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        Quantize(*arguments)


def test_round_state():
    """States go to their grid half up and saturate; beyond the saturation no gradient passes."""
    state = torch.tensor([-9.0, -1.5, -0.5, 0.5, 0.9, 3.4, 9.0], requires_grad=True)
    rounded = round_state(state, 1.0, 3)
    assert rounded.tolist() == [-4.0, -1.0, 0.0, 1.0, 1.0, 3.0, 3.0]
    rounded.sum().backward()
    assert state.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_snapped_step_is_a_multiplier():
    """A snapped step is M / 2**s with M of the given bits, within its precision."""
    for step in (0.3, 0.0123, 1.7):
        near = snapped(step, 8)
        multiplier, shift = scale_to_multiplier(near, 8, 47)
        assert near == multiplier / 2**shift
        assert near == pytest.approx(step, rel=2**-8)
