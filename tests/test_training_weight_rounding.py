"""Rounded weights with learned steps."""

import numpy as np
import pytest
import torch

from qornn_hw.quantization.grids import quantize_weights
from qornn_hw.training.weight_rounding import rounded_weights


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_rounded_weights_are_the_integers_times_the_step(bits):
    """Training rounds as the export does, by row and with one step."""
    generator = torch.Generator().manual_seed(bits)
    weight = torch.randn(6, 9, generator=generator)
    for step in (torch.rand(6, 1, generator=generator) + 0.05, torch.tensor(0.3)):
        integers = quantize_weights(weight.double().numpy(), bits, step.double().numpy())
        expected = torch.from_numpy(integers * step.double().numpy()).float()
        torch.testing.assert_close(rounded_weights(weight, step, bits), expected)


def test_the_gradient_of_a_weight_passes_unless_it_is_clipped():
    """With two bits and a step of 1 the range is -2.5 to 1.5."""
    weight = torch.tensor([[-3.0, -2.4, 0.2, 1.4, 1.6]], requires_grad=True)
    rounded_weights(weight, torch.ones(1, 1), 2).sum().backward()
    assert weight.grad.tolist() == [[0.0, 1.0, 1.0, 1.0, 0.0]]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_gradient_of_a_step_is_that_of_the_rounded_weights(bits):
    """With the rounding held, d(step * clip(w / step + held)) / d step."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 50, generator=generator)
    step = torch.full((3, 1), 0.2, requires_grad=True)
    outer = torch.randn(3, 50, generator=generator)
    (rounded_weights(weight, step, bits) * outer).sum().backward()
    held_step = torch.full((3, 1), 0.2, requires_grad=True)
    ratio = weight / held_step
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    held = (ratio.round() - ratio).detach()
    inside = (ratio >= low - 0.5) & (ratio <= high + 0.5)
    integers = torch.where(inside, ratio + held, ratio.detach().clamp(low, high).round())
    (integers * held_step * outer).sum().backward()
    scale = (50 * max(high, 1)) ** -0.5
    torch.testing.assert_close(step.grad, held_step.grad * scale, rtol=1e-4, atol=1e-5)


def test_a_step_is_learned():
    """Gradient descent on the step alone reaches the least error that a search finds."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(1, 400, generator=generator)
    logarithm = torch.tensor([[np.log(0.9)]], dtype=torch.float32, requires_grad=True)
    optimizer = torch.optim.Adam([logarithm], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        loss = (rounded_weights(weight, logarithm.exp(), 3) - weight).square().mean()
        loss.backward()
        optimizer.step()
    grid = torch.linspace(0.1, 1.5, 281)
    best = min(float((rounded_weights(weight, d, 3) - weight).square().mean()) for d in grid)
    assert float(loss.detach()) < 1.05 * best


def test_the_gradient_of_one_bit_is_clipped():
    """A weight of more than two steps is not pushed further; the step's gradient is the sum of the signs."""
    weight = torch.tensor([[-3.0, -0.5, 0.5, 1.9, 2.1]], requires_grad=True)
    step = torch.ones(1, 1, requires_grad=True)
    (rounded_weights(weight, step, 1) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])).sum().backward()
    assert weight.grad.tolist() == [[0.0, 2.0, 3.0, 4.0, 0.0]]
    torch.testing.assert_close(step.grad, torch.tensor([[(-1 - 2 + 3 + 4 + 5) / 5**0.5]]))
