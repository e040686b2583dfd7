# amaranth: UnusedElaboratable=no
"""The dot product against NumPy."""

from itertools import product

import numpy as np
import pytest
from component_bench import pipeline_results

from qornn_hw.fixed import bits_for_range
from qornn_hw.rom import pack_fields, pack_weights
from qornn_hw.schedule import dot_product_latency
from rtl_gen.dot_product import ShiftAddDotProduct


def weights_of(bits):
    """Return every weight of that many bits."""
    return [-1, 1] if bits == 1 else list(range(-(1 << (bits - 1)), 1 << (bits - 1)))


def run(columns, weight_bits, operand_bits, cases, extra_latency=0):
    """Return the component's sums for (weights, operands) pairs."""
    most = columns * (1 << (weight_bits - 1)) * (1 << (operand_bits - 1))
    latency = dot_product_latency(columns, weight_bits) + extra_latency
    dut = ShiftAddDotProduct(
        columns=columns,
        weight_bits=weight_bits,
        operand_bits=operand_bits,
        sum_bits=bits_for_range(-most, most),
        latency=latency,
    )
    inputs = [
        {
            "weights": pack_weights(np.array(w), weight_bits),
            "operands": pack_fields(list(x), [operand_bits] * columns),
        }
        for w, x in cases
    ]
    return pipeline_results(dut, inputs, "sum", latency)


@pytest.mark.parametrize(
    ("columns", "weight_bits", "operand_bits"),
    [(1, 4, 6), (1, 8, 6), (1, 1, 8), (2, 2, 4), (2, 1, 5), (3, 1, 4)],
)
def test_every_product(columns, weight_bits, operand_bits):
    """Exhaustive where the inputs have at most 16 bits."""
    operands = range(-(1 << (operand_bits - 1)), 1 << (operand_bits - 1))
    cases = list(product(product(weights_of(weight_bits), repeat=columns), product(operands, repeat=columns)))
    assert run(columns, weight_bits, operand_bits, cases) == [
        sum(a * b for a, b in zip(w, x, strict=True)) for w, x in cases
    ]


@pytest.mark.parametrize("weight_bits", range(1, 9))
@pytest.mark.parametrize(("columns", "operand_bits"), [(1, 17), (2, 8), (3, 12), (4, 8), (5, 4), (8, 16)])
def test_random_and_extreme_products(columns, operand_bits, weight_bits):
    """Random and all corners of weights and operands, every number of weight bits."""
    rng = np.random.default_rng(1)
    choices = weights_of(weight_bits)
    low, high = -(1 << (operand_bits - 1)), (1 << (operand_bits - 1)) - 1
    cases = [([w] * columns, [x] * columns) for w in (choices[0], choices[-1]) for x in (low, high, 0)]
    cases += [
        (rng.choice(choices, columns).tolist(), rng.integers(low, high + 1, columns).tolist())
        for _ in range(150)
    ]
    assert run(columns, weight_bits, operand_bits, cases) == [
        sum(a * b for a, b in zip(w, x, strict=True)) for w, x in cases
    ]


def test_more_latency_is_plain_delay():
    """A dot product that must wait for wider neighbours gives the same, later."""
    cases = [([3, -4], [x, 7]) for x in range(-8, 8)]
    assert run(2, 3, 4, cases, extra_latency=3) == [3 * x - 28 for (_, (x, _)) in cases]


def test_too_little_latency_is_refused():
    """Fewer cycles than adder levels cannot be had."""
    with pytest.raises(ValueError, match=r"^latency of 4 columns of 4 bits must be .*4.*, not 3$"):
        ShiftAddDotProduct(columns=4, weight_bits=4, operand_bits=8, sum_bits=16, latency=3)
