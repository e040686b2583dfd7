"""Which rows are transforms, and the timetable of a transform, against the full matrix."""

import numpy as np
import pytest
from tile_designs import design_of, quantized_cells

from qornn_hw.compiler.engines.tile.layout import Shape
from qornn_hw.compiler.engines.tile.transform import BANKS, LATENCY, Transform, transformed_rows
from qornn_hw.ir.formats import bits_for_range
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
    transform = Transform("h", size, block, -99, 98)
    values = rng.integers(-99, 99, size)  # up to 98
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


@pytest.mark.parametrize(("least", "most"), [(-4, 3), (-3, 3), (0, 5), (2, 5), (-7, -2), (0, 0)])
def test_bits_are_the_narrowest(least, most):
    """Behind any levels the widest sums need them, and none needs more."""
    transform = Transform("h", 16, 16, least, most)
    for levels in range(5):
        matrix = HadamardTerm("h", np.ones(1 << levels, dtype=int), 1 << levels).weights if levels else [[1]]
        plus = [np.where(np.array(row) > 0, most, least) @ row for row in matrix]
        minus = [np.where(np.array(row) > 0, least, most) @ row for row in matrix]
        assert transform.bits_after(levels) == bits_for_range(int(min(minus)), int(max(plus)))
    assert transform.level_bits == tuple(transform.bits_after(k) for k in range(1, 5))


@pytest.mark.parametrize(("size", "block"), SIZES)
def test_no_pass_has_more_bits_than_the_last_one(size, block):
    """The registers of a level hold the sums of every pass, and the banks what goes back to them."""
    transform = Transform("h", size, block, -128, 127)
    done = 0
    for number, one in enumerate(transform.passes):
        for level, bits in zip(one.levels, transform.level_bits[1:], strict=True):
            done += level
            assert transform.bits_after(done) <= bits
        if number < len(transform.passes) - 1:
            assert transform.bits_after(done) <= transform.level_bits[0]
    assert transform.bits == transform.level_bits[-1]
    assert (transform.passes[-1].base, transform.bits_after(0) <= transform.level_bits[0]) == (0, True)


@pytest.mark.parametrize(("size", "block"), SIZES)
def test_no_entry_is_read_before_it_is_there(size, block):
    """A pass begins as early as that allows, and never while another one reads."""
    transform = Transform("h", size, block, -99, 98)
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


@pytest.mark.parametrize(("size", "cycles"), [(8, 7), (64, 23), (128, 40), (512, 136)])
def test_cycles(size, cycles):
    """Of the passes before the last one, and of the way of a group through the last one."""
    assert Transform("h", size, size, -128, 127).cycles == cycles


def test_a_transform_is_faster_than_the_matrix():
    """64 units: two passes of 8 groups instead of 64 * 64 products."""
    network = quantized_cells([("hadamard", 64)], 1, weight_bits=4, state_bits=8, output_mode="last_step")
    design = design_of(network, Shape(columns=1, lanes=4, interval=1, multipliers=4))
    assert design.schedule.cycles_per_step < 64 + 60
    assert sum("transform" in memory.name for memory in design.memories) == BANKS
