# amaranth: UnusedElaboratable=no
"""The dot product against NumPy."""

from itertools import product

import numpy as np
import pytest
from component_bench import pipeline_results
from packing import pack_fields, pack_weights

from qornn_hw.compiler.engines.lut.bipolar import bipolar_weights, complement_losses
from qornn_hw.compiler.engines.lut.timing import dot_product_latency
from qornn_hw.ir.formats import bits_for_range
from qornn_hw.rtl_gen.engines.lut.dot_product import PairSelectDotProduct


def weights_of(bits):
    """Return every weight of that many bits."""
    return [-1, 1] if bits == 1 else list(range(-(1 << (bits - 1)), 1 << (bits - 1)))


def pack_pairs(x, operand_bits):
    """Return the sums and differences that an element holds of its operands; 0 beside an odd one."""
    padded = [*x, 0]
    pairs = [(padded[i] + padded[i + 1], padded[i] - padded[i + 1]) for i in range(0, len(x), 2)]
    return pack_fields([v for pair in pairs for v in pair], [operand_bits + 1] * 2 * len(pairs))


def expected(cases, weight_bits):
    """Return the sums that the component's docstring promises."""
    sums = []
    for w, x in cases:
        factors = bipolar_weights(np.array(w), weight_bits)
        sums.append(int(factors @ np.array(x)) - int(complement_losses(np.array(w), weight_bits)))
    return sums


def run(columns, weight_bits, operand_bits, cases, extra_latency=0):
    """Return the component's sums for (weights, operands) pairs."""
    most = columns * (1 << weight_bits) * (1 << (operand_bits - 1)) + columns << weight_bits
    latency = dot_product_latency(columns, weight_bits) + extra_latency
    dut = PairSelectDotProduct(
        columns=columns,
        weight_bits=weight_bits,
        operand_bits=operand_bits,
        sum_bits=bits_for_range(-most, most),
        latency=latency,
    )
    inputs = [
        {
            "weights": pack_weights(np.array(w), weight_bits),
            "pairs": pack_pairs(x, operand_bits),
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
    assert run(columns, weight_bits, operand_bits, cases) == expected(cases, weight_bits)


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
    assert run(columns, weight_bits, operand_bits, cases) == expected(cases, weight_bits)


def test_more_latency_is_plain_delay():
    """A dot product that must wait for wider neighbours gives the same, later."""
    cases = [([3, -4], [x, 7]) for x in range(-8, 8)]
    assert run(2, 3, 4, cases, extra_latency=3) == expected(cases, 3)


@pytest.mark.parametrize("bits", range(1, 9))
def test_planes_of_plus_and_minus_one_make_the_weights(bits):
    """2 w + 1 (w itself at one bit) is the sum of its planes; each negated one lacks 1 of its weight."""
    for w in weights_of(bits):
        code = w + (1 << (bits - 1)) if bits > 1 else (w + 1) // 2
        signs = [1 if code >> b & 1 else -1 for b in range(bits)]
        assert bipolar_weights(np.array([w]), bits)[0] == sum(s << b for b, s in enumerate(signs))
        lost = sum(1 << b for b, s in enumerate(signs) if s < 0)
        # The first of a pair decides about the sign; the second has none of its own.
        assert complement_losses(np.array([w]), bits) == complement_losses(np.array([w, w]), bits) == lost
        assert complement_losses(np.array([w, 1, w]), bits) == 2 * lost


def test_a_narrow_sum_is_right_modulo_its_width():
    """Registers on the way drop what the result has no room for, and nothing else."""
    cases = [([7, -8, 7], [100, -128, 127]), ([-8, 7, 7], [127, -128, 127]), ([0, 0, 0], [1, 1, 1])]
    for sum_bits in (3, 6, 9):
        latency = dot_product_latency(3, 4)
        dut = PairSelectDotProduct(
            columns=3, weight_bits=4, operand_bits=8, sum_bits=sum_bits, latency=latency
        )
        inputs = [{"weights": pack_weights(np.array(w), 4), "pairs": pack_pairs(x, 8)} for w, x in cases]
        got = pipeline_results(dut, inputs, "sum", latency)
        mask = (1 << sum_bits) - 1
        assert [v & mask for v in got] == [v & mask for v in expected(cases, 4)]


def test_too_little_latency_is_refused():
    """Fewer cycles than adder levels cannot be had."""
    with pytest.raises(ValueError, match=r"^latency of 4 columns of 4 bits must be .*4.*, not 3$"):
        PairSelectDotProduct(columns=4, weight_bits=4, operand_bits=8, sum_bits=16, latency=3)
