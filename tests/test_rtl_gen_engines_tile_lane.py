"""A lane alone: every digit and operand, random tiles, and what an accumulator starts with."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from qornn_hw.compiler.engines.tile.digits import chunks, codes, complements
from qornn_hw.rtl_gen.engines.tile.lane import Lane


def accumulated(columns, digits, bits, weights, operands, starts, totals):
    """Return what the accumulator shows behind each word; weights and operands (words, columns)."""
    lane = Lane(columns=columns, digits=digits, operand_bits=bits, accumulator_bits=24)
    latency = 2 + (columns - 1).bit_length() + (digits - 1).bit_length()
    packed = codes(weights, digits).reshape(len(weights), -1)
    seen = []

    async def bench(ctx):
        for cycle in range(len(weights) + latency - 1):
            if cycle < len(weights):
                word = sum(int(c) << 2 * k for k, c in enumerate(packed[cycle]))
                mask = (1 << bits) - 1
                ctx.set(lane.codes, word)
                ctx.set(
                    lane.operands, sum((int(x) & mask) << bits * k for k, x in enumerate(operands[cycle]))
                )
            at = cycle - (latency - 1)
            ctx.set(lane.enable, 0 <= at < len(weights))
            if 0 <= at < len(weights):
                ctx.set(lane.start, int(starts[at]))
                ctx.set(lane.total, int(totals[at]))
            await ctx.tick()
            if at >= 0:
                seen.append(ctx.get(lane.accumulator))

    simulator = Simulator(lane)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("columns", [1, 2, 4, 8])
@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_products_are_added_up(columns, digits):
    """Random weights and operands of every width, with accumulators that start anew now and then."""
    rng, bits, words = np.random.default_rng([columns, digits]), 2 + digits, 60
    weights = rng.integers(-(1 << 2 * digits - 1), 1 << 2 * digits - 1, (words, columns))
    (chunk,) = chunks(weights, 2 * digits, digits)
    rest = chunk.weights - chunk.offset
    operands = rng.integers(-(1 << bits - 1), 1 << bits - 1, (words, columns))
    starts = rng.random(words) < 0.3
    starts[0] = True
    totals = rng.integers(-99, 99, words)
    expected, value = [], 0
    lacking = complements(rest, digits)
    for k in range(words):
        value = (totals[k] if starts[k] else value) + rest[k] @ operands[k] - lacking[k]
        expected.append(value)
    assert accumulated(columns, digits, bits, rest, operands, starts, totals) == expected


def test_every_digit_times_every_operand():
    """Both digits of a weight, all operands of four bits."""
    weights = np.repeat(np.arange(-9, 7), 16)[:, None]
    operands = np.tile(np.arange(-8, 8), 16)[:, None]
    found = accumulated(1, 2, 4, weights, operands, np.ones(256, bool), np.zeros(256, int))
    assert found == (weights[:, 0] * operands[:, 0] - complements(weights, 2)).tolist()
