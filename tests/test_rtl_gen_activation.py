"""Activations at the accumulator's precision, against their definition."""

import random

import pytest
from component_bench import pipeline_results

from qornn_hw.ir.formats import bits_for_range
from qornn_hw.rtl_gen.activation import ModRelu


def modrelu(z, bias):
    """Return ``sgn(z) max(|z| + b, 0)``."""
    sign = (z > 0) - (z < 0)
    return sign * max(abs(z) + bias, 0)


def run(value_bits, bias_bits, cases):
    """Return the component's results."""
    reach = (1 << (value_bits - 1)) + (1 << (bias_bits - 1))
    dut = ModRelu(
        value_bits=value_bits, bias_bits=bias_bits, result_bits=bits_for_range(-reach - 1, reach + 1)
    )
    return pipeline_results(dut, [{"z": z, "bias": b} for z, b in cases], "result", ModRelu.LATENCY)


@pytest.mark.parametrize(("value_bits", "bias_bits"), [(6, 6), (8, 4), (3, 8), (1, 3)])
def test_modrelu_of_every_value_and_bias(value_bits, bias_bits):
    """Exhaustive at small widths, zero and the smallest value included."""
    values = range(-(1 << (value_bits - 1)), 1 << (value_bits - 1))
    biases = range(-(1 << (bias_bits - 1)), 1 << (bias_bits - 1))
    cases = [(z, b) for z in values for b in biases]
    assert run(value_bits, bias_bits, cases) == [modrelu(z, b) for z, b in cases]


def test_modrelu_of_wide_values():
    """Random at 32 bits."""
    rng = random.Random(1)
    cases = [(rng.randint(-(2**31), 2**31 - 1), rng.randint(-(2**30), 2**30 - 1)) for _ in range(1000)]
    assert run(32, 31, cases) == [modrelu(z, b) for z, b in cases]
