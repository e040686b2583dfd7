"""The total of the operands, whatever the passes."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_network import WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.rtl_gen.engines.lut.operand_total import OperandTotal


def totals(design, steps):
    """Play the words of steps, rubbish between the passes; return the totals after each step."""
    s = design.schedule
    dut = OperandTotal(design)
    found = []

    async def play(ctx, word, start=0, first=0):
        operands = [int(v) for v in word] + [0]
        ctx.set(dut.start, start)
        ctx.set(dut.first_pass, first)
        for i in range(0, len(word), 2):
            ctx.set(dut.bus.pairs[i // 2].sum, operands[i] + operands[i + 1])
        await ctx.tick()

    async def bench(ctx):
        rubbish = np.full(s.chain.columns_per_element, 77)
        for words in steps:
            for q in range(s.placement.passes):
                for e in range(s.chain.elements):
                    await play(ctx, words[q * s.chain.elements + e], start=e == 0, first=q == 0)
                for _ in range(5):
                    await play(ctx, rubbish)
                ctx.set(dut.take, 1)
                await play(ctx, rubbish)
                ctx.set(dut.take, 0)
            found.append(ctx.get(dut.total))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize(
    ("bits", "changes"), [((4, 4, 4), {}), ((1, 4, 1), {}), ((2, 4, 1), one_hot_fields(3))]
)
@pytest.mark.parametrize(("columns", "elements"), [(1, 1), (2, 2), (3, 2), (4, 3), (8, 1)])
def test_the_total_is_that_of_the_words_of_a_step(columns, elements, changes, bits):
    """Every pass counts once, rubbish never, nor words that meet one-bit weights; each step starts afresh."""
    rng = np.random.default_rng(1)
    n, m = 13, 3
    net = make_network(
        n=n,
        m=m,
        weight_bits=WeightBits(*bits),
        recurrent_weight=rng.choice([-1, 1], (n, n)),
        output_weight=rng.choice([-1, 1], (2, n)),
        **changes,
    )
    design = compile_network(net, columns_per_element=columns, elements=elements)
    s = design.schedule
    steps = []
    for _ in range(3):
        words = np.zeros((s.placement.passes * s.chain.elements, columns), dtype=np.int64)
        for word in range(s.placement.words):
            high = 16 << net.input_shift if word < s.placement.input_words else 128
            low = 0 if word < s.placement.input_words else -128
            words[word, : len(s.placement.columns(word))] = rng.integers(
                low, high, len(s.placement.columns(word))
            )
        steps.append(words)
    counted = [
        w.reshape(s.placement.passes, s.chain.elements, columns)[:, : s.placement.total_elements].sum()
        for w in steps
    ]
    assert totals(design, steps) == [int(v) for v in counted]
