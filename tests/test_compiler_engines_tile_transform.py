"""Which rows are transforms, and the timetable of a transform, against the full matrix."""

import numpy as np
import pytest
from tile_designs import design_of, quantized_cells

from qornn_hw.compiler.engines.tile.layout import Shape
from qornn_hw.compiler.engines.tile.transform import BANKS, LATENCY, Transform, transformed_rows
from qornn_hw.ir.ops import HadamardTerm

SIZES = [(8, 2), (8, 4), (8, 8), (16, 16), (24, 8), (48, 16), (64, 64), (96, 32), (128, 128), (512, 512)]


def bank_of(index):
    """Return the exclusive or of the digits of an index in base 8."""
    found = 0
    while index:
        found, index = found ^ (index & 7), index >> 3
    return found


@pytest.mark.parametrize(("size", "block"), SIZES)
def test_passes_are_the_transform(size, block):
    """Along the bits of each pass, group by group from different banks: the product with the full matrix."""
    rng = np.random.default_rng(size + block)
    transform = Transform("h", size, block, 32)
    values = rng.integers(-99, 99, size)
    wanted = HadamardTerm("h", np.ones(size, dtype=int), block).product(values[None])[0]
    for one in transform.passes:
        for group in range(transform.groups):
            own = [i for i in range(size) if one.group(i) == group]
            assert sorted(bank_of(i) for i in own) == list(range(BANKS))
            for bit in range(one.base, one.base + 3):
                if one.levels[bit % 3]:
                    for low in (i for i in own if not i >> bit & 1):
                        a, b = values[low], values[low | 1 << bit]
                        values[low], values[low | 1 << bit] = a + b, a - b
    assert np.array_equal(values, wanted)


@pytest.mark.parametrize(("size", "block"), SIZES)
def test_no_entry_is_read_before_it_is_there(size, block):
    """A pass begins as early as that allows, and never while another one reads."""
    transform = Transform("h", size, block, 32)
    for one, other, distance in zip(
        transform.passes, transform.passes[1:], transform.distances, strict=False
    ):
        slack = [distance + other.group(i) - one.group(i) - LATENCY for i in range(size)]
        assert min(slack) >= 0 and distance >= transform.groups
        assert min(slack) == 0 or distance == transform.groups


def test_rows_that_are_transforms():
    """A Hadamard row of a layer's own state that begins with zeros and fills the banks."""
    for units, found in ((8, 1), (12, 0), (64, 1)):
        network = quantized_cells([("hadamard", units)], 3, weight_bits=4, state_bits=8)
        assert len(transformed_rows(network)) == found
    two = quantized_cells([("hadamard", 8), ("gru", 3), ("hadamard", 16)], 3, weight_bits=4, state_bits=8)
    assert [term.rows for term in transformed_rows(two).values()] == [8, 16]


def test_a_transform_is_faster_than_the_matrix():
    """64 units: two passes of 8 groups instead of 64 * 64 products."""
    network = quantized_cells([("hadamard", 64)], 1, weight_bits=4, state_bits=8, output_mode="last_step")
    design = design_of(network, Shape(columns=1, lanes=4, interval=1, multipliers=4))
    assert design.schedule.cycles_per_step < 64 + 60
    assert sum("transform" in memory.name for memory in design.memories) == BANKS
