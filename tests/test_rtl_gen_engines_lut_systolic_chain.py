"""The chain alone: rows in, sums out, a fixed number of cycles later."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from packing import pack_fields

from qornn_hw.cells.elman_bounds import input_range, state_range
from qornn_hw.cells.elman_network import WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.rtl_gen.engines.lut.systolic_chain import SystolicChain
from qornn_hw.sim.addresses import check_addresses
from qornn_hw.sim.stimuli import random_network


def pack_bus(word, bits):
    """Return the bits of the operand bus for a word of operands."""
    padded = [*word, 0]
    pairs = [(padded[i] + padded[i + 1], padded[i] - padded[i + 1]) for i in range(0, len(word), 2)]
    fields = [*word, *(v for pair in pairs for v in pair)]
    return pack_fields(fields, [bits] * len(word) + [bits + 1] * 2 * len(pairs))


def sums_of_a_step(design, operands):
    """Send every row of every pass through the chain; return the sums of the last pass, by row."""
    s = design.schedule
    chain = SystolicChain(design)
    period = s.timing.period(s.placement.rows)
    words = [pack_bus([int(v) for v in w], s.placement.operand_bits) for w in operands]
    sums = {}

    async def bench(ctx):
        for cycle in range(s.placement.passes * period + s.timing.chain_latency + 1):
            q, row = divmod(cycle, period)
            there = q < s.placement.passes and row < s.placement.rows
            token = {"start": there and row == 0, "valid": there}
            ctx.set(chain.i_token, token)
            ctx.set(chain.i_addr, q * s.placement.rows + row if there else 0)
            ctx.set(chain.i_row, row if there else 0)
            ctx.set(chain.i_first, q == 0)
            if q < s.placement.passes and row < s.chain.elements:
                ctx.set(chain.bus.as_value(), words[q * s.chain.elements + row])
            out_q, out_row = divmod(cycle - s.timing.chain_latency, period)
            out = 0 <= out_q < s.placement.passes and out_row < s.placement.rows
            ctx.set(chain.o_row, out_row if out else 0)
            ctx.set(chain.o_store, out and out_q < s.placement.passes - 1)
            if out and out_q == s.placement.passes - 1:
                sums[out_row] = ctx.get(chain.o_sum)
            await ctx.tick()

    simulator = Simulator(check_addresses(chain))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return [sums[row] for row in range(s.placement.rows)]


@pytest.mark.parametrize("bits", [(1, 1, 1), (4, 4, 4), (2, 8, 5)])
@pytest.mark.parametrize(
    ("n", "m", "columns", "elements"), [(5, 3, 2, 5), (5, 3, 2, 2), (9, 4, 4, 2), (7, 1, 1, 3), (3, 2, 8, 1)]
)
def test_sums_are_the_products_of_the_matrices(n, m, columns, elements, bits):
    """Sums, row constants and total give W g + (U x << e) + b and V g + c, for random and extreme x, g."""
    network = random_network(
        seed=1, hidden_size=n, input_size=m, output_size=3, weight_bits=WeightBits(*bits)
    )
    design = compile_network(network, columns_per_element=columns, elements=elements)
    s = design.schedule
    rng = np.random.default_rng(1)
    for ends in (False, True):
        g_range, x_range = state_range(network), input_range(network)
        g = rng.choice(g_range, n) if ends else rng.integers(g_range[0], g_range[1] + 1, n)
        x = rng.choice(x_range, m) if ends else rng.integers(x_range[0], x_range[1] + 1, m)
        operands = np.zeros((s.placement.passes * s.chain.elements, columns), dtype=np.int64)
        for word in range(s.placement.words):
            held = x << network.input_shift if word < s.placement.input_words else g
            operands[word, : len(s.placement.columns(word))] = held[list(s.placement.columns(word))]
        total = int(
            operands.reshape(s.placement.passes, s.chain.elements, columns)[
                :, : s.placement.total_elements
            ].sum()
        )
        expected = [
            *(
                network.recurrent_weight @ g
                + (network.input_weight @ x << network.input_shift)
                + network.bias
            ),
            *(network.output_weight @ g + network.output_bias),
        ]
        sums = sums_of_a_step(design, operands)
        mask = (1 << s.sum_bits) - 1
        assert [v + k - total & mask for v, k in zip(sums, s.placement.row_constants, strict=True)] == [
            s.placement.scale * int(v) & mask for v in expected
        ]
