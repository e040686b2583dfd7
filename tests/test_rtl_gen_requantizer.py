# amaranth: UnusedElaboratable=no
"""The requantizer against the number rules."""

import random

import numpy as np
import pytest
from component_bench import pipeline_results

from qornn_hw.compiler.memory import Memory
from qornn_hw.ir.formats import Rounding, requantize, saturate
from qornn_hw.rtl_gen.requantizer import Requantizer


def make(value_bits, multiplier, multiplier_bits, shift, rounding, bits, relu=False, table=None):
    """Return a requantizer with the rounding constant that belongs to the shift."""
    return Requantizer(
        value_bits=value_bits,
        multiplier=multiplier,
        multiplier_bits=multiplier_bits,
        constant=1 << (shift - 1) if shift else 0,
        shift=shift,
        rounding=rounding,
        bits=bits,
        relu=relu,
        table=table,
    )


def all_of(bits):
    """Return every signed number of that many bits."""
    return range(-(1 << (bits - 1)), 1 << (bits - 1))


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("shift", [0, 1, 2, 5, 9])
def test_every_value_and_every_multiplier(shift, rounding):
    """Exhaustive: 7-bit values times 4-bit multipliers that come with the row."""
    cases = [(value, m) for value in all_of(7) for m in range(16)]
    dut = make(7, None, 4, shift, rounding, bits=4)
    got = pipeline_results(dut, [{"value": v, "multiplier": m} for v, m in cases], "result", dut.latency)
    assert got == [requantize(v, m, shift, 4, rounding) for v, m in cases]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("multiplier", [1, 77, 128, 255])
def test_every_value_with_a_shared_multiplier(multiplier, rounding):
    """Exhaustive: 12-bit values, one factor for all rows."""
    values = list(all_of(12))
    dut = make(12, multiplier, 8, 10, rounding, bits=8)
    got = pipeline_results(dut, [{"value": v} for v in values], "result", dut.latency)
    assert got == [requantize(v, multiplier, 10, 8, rounding) for v in values]


def test_relu_clamps_below_at_zero():
    """Exhaustive: with relu nothing is below 0, and the rest is as without."""
    values = list(all_of(10))
    dut = make(10, 5, 3, 4, Rounding.HALF_UP, bits=6, relu=True)
    got = pipeline_results(dut, [{"value": v} for v in values], "result", dut.latency)
    assert got == [requantize(max(v, 0), 5, 4, 6) for v in values]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize(
    ("value_bits", "multiplier_bits", "shift", "bits"),
    [(16, 16, 20, 16), (17, 8, 12, 8), (24, 16, 47, 16), (33, 9, 24, 12), (48, 16, 47, 16), (20, 1, 0, 4)],
)
def test_wide_values(value_bits, multiplier_bits, shift, bits, rounding):
    """Random, ends and ties: values wider than one hard multiplier are multiplied in two halves."""
    rng = random.Random(1)
    low, high = -(1 << (value_bits - 1)), (1 << (value_bits - 1)) - 1
    most = (1 << multiplier_bits) - 1
    cases = [(v, m) for v in (low, low + 1, -1, 0, 1, high - 1, high) for m in (1, most)]
    cases += [(rng.randint(low, high), rng.randint(1, most)) for _ in range(500)]
    if shift:
        half = 1 << (shift - 1)
        cases += [(v, 1) for k in range(-9, 9) if low <= (v := (2 * k + 1) * half) <= high]
    # Small values, so that not all saturates.
    cases += [(rng.randint(low, high) >> rng.randrange(value_bits), rng.randint(1, most)) for _ in range(500)]
    dut = make(value_bits, None, multiplier_bits, shift, rounding, bits)
    got = pipeline_results(dut, [{"value": v, "multiplier": m} for v, m in cases], "result", dut.latency)
    assert got == [requantize(v, m, shift, bits, rounding) for v, m in cases]


def test_a_table_takes_the_place_of_the_last_register():
    """Exhaustive: the saturated value is a table index, at no cycle more."""
    entries = [int(v) for v in np.random.default_rng(1).integers(-8, 8, 32)]
    table = Memory.plain("table", 4, tuple(entry & 15 for entry in entries))
    values = list(all_of(9))
    dut = make(9, 3, 2, 2, Rounding.HALF_UP, bits=5, table=table)
    assert dut.latency == make(9, 3, 2, 2, Rounding.HALF_UP, bits=5).latency
    got = pipeline_results(dut, [{"value": v} for v in values], "result", dut.latency)
    assert got == [entries[requantize(v, 3, 2, 5) % 32] for v in values]


def test_results_saturate_at_both_ends():
    """The largest and the smallest value give the ends of the result's range."""
    dut = make(12, 255, 8, 2, Rounding.HALF_UP, bits=8)
    assert pipeline_results(dut, [{"value": 2047}, {"value": -2048}], "result", dut.latency) == [
        saturate(10**6, 8),
        saturate(-(10**6), 8),
    ]
