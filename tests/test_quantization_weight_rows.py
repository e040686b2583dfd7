"""Rows of weights in integers, each with its own step."""

import numpy as np
import pytest

from qornn_hw.quantization.grids import quantize_weights, weight_limit
from qornn_hw.quantization.weight_rows import quantized_rows


@pytest.mark.parametrize("bits", range(1, 9))
def test_no_step_is_better(bits):
    """The errors of the rows are near those of a finer search."""
    rng = np.random.default_rng(bits)
    weight, moments = rng.normal(size=(5, 40)), rng.uniform(0.1, 2, 40)
    rows = quantized_rows(weight, bits, moments)

    def error(step):
        low, high = (-1, 1) if bits == 1 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        q = np.where(weight < 0, -1, 1) if bits == 1 else np.clip(np.rint(weight / step), low, high)
        return (np.square(q * step - weight) * moments).sum(axis=1)

    best = np.min([error(rows.step[:, None] * f) for f in np.linspace(0.5, 2, 301)], axis=0)
    ratio = error(rows.step[:, None]) / best
    assert ratio.max() < 1.5
    assert ratio.mean() < (1.05 if bits <= 4 else 1.25)


def test_large_operands_count_more():
    """The weight of an operand that is always 0 does not set the step."""
    weight = np.array([[2.0, 0.7, -0.25]])
    steps = [quantized_rows(weight, 3, np.array(m)).step.item() for m in ([1.0, 1.0, 1.0], [0.0, 1.0, 1.0])]
    assert steps[1] < steps[0] / 1.5


def test_rows_of_zeros_have_zero_integers():
    """A row of zeros is zero, and its step is positive."""
    rows = quantized_rows(np.zeros((2, 3)), 4, np.ones(3))
    assert not rows.integers.any()
    assert np.all(rows.step > 0)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_step_for_all_rows(bits):
    """All rows have one step; no other of those that are tried has a smaller error."""
    rng = np.random.default_rng(bits)
    weight, moments = rng.normal(size=(6, 5)), rng.uniform(0.5, 2.0, 5)
    rows = quantized_rows(weight, bits, moments, one_step=True)
    assert len(set(rows.step.tolist())) == 1

    def error(step):
        return float((np.square(quantize_weights(weight, bits, step) * step - weight) * moments).sum())

    if 1 < bits < 16:
        steps = np.abs(weight).max() / weight_limit(bits) * 2.0 ** (-np.arange(-8, 65) / 32)
        assert error(rows.step[0]) == min(error(step) for step in steps)
