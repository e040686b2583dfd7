# amaranth: UnusedElaboratable=no
"""The operand memory: states, initial states and two inputs, each at its word."""

import pytest
from amaranth.sim import Simulator

from qornn_hw.cells.elman_network import InputKind
from qornn_hw.compiler.design import compile_network
from qornn_hw.rtl_gen.operand_memory import OperandMemory
from qornn_hw.sim.addresses import check_addresses
from qornn_hw.sim.stimuli import random_network


def run(dut, bench):
    """Run one testbench."""
    simulator = Simulator(check_addresses(dut))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


async def read(ctx, dut, words, initial=0):
    """Return the operands of some words, one read a cycle, and check the pairs beside them."""
    ctx.set(dut.initial, initial)
    operands = []
    words = list(words)
    for cycle in range(len(words) + 1):
        if cycle < len(words):
            ctx.set(dut.word, words[cycle])
        await ctx.tick()
        if cycle:
            word = list(ctx.get(dut.bus.operands))
            operands += word
            padded = [*word, 0]
            for i, pair in enumerate(ctx.get(dut.bus.pairs)):
                a, b = padded[2 * i : 2 * i + 2]
                assert (pair.sum, pair.difference) == (a + b, a - b)
    return operands


async def put(ctx, dut, words):
    """Send input words (data, first, last)."""
    for value, first, last in words:
        ctx.set(dut.i.payload, {"data": value, "first": first, "last": last})
        ctx.set(dut.i.valid, 1)
        await ctx.tick().until(dut.i.ready)
    ctx.set(dut.i.valid, 0)


async def write_states(ctx, dut, states):
    """Write a new unit a cycle."""
    for state in states:
        ctx.set(dut.state, state)
        ctx.set(dut.state_valid, 1)
        await ctx.tick()
    ctx.set(dut.state_valid, 0)


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_states_replace_each_other_and_the_initial_state_stays(columns):
    """Units are written in their order, word by word; the initial state is there for the next sequence."""
    network = random_network(seed=1, hidden_size=7, input_size=3, output_size=2)
    design = compile_network(network, columns_per_element=columns, elements=2)
    s = design.schedule
    words = range(s.placement.input_words, s.placement.words)
    padding = [0] * (len(words) * columns - 7)

    async def bench(ctx):
        for states in ([1, -2, 3, -4, 5, -6, 7], [-128, 127, 0, 9, 8, 7, 6]):
            await write_states(ctx, dut, states)
            await ctx.tick()
            assert await read(ctx, dut, words) == states + padding
            assert await read(ctx, dut, words, initial=1) == network.initial_state.tolist() + padding

    dut = OperandMemory(design)
    run(dut, bench)


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_the_next_input_arrives_while_one_is_used(columns):
    """Two inputs fit, shifted to the state's grid; the third waits until the first is taken."""
    network = random_network(seed=1, hidden_size=3, input_size=3, output_size=2)
    design = compile_network(network, columns_per_element=columns, elements=1)
    words = range(design.schedule.placement.input_words)

    def shifted(values):
        return [v << network.input_shift for v in values]

    async def bench(ctx):
        assert not ctx.get(dut.input_ready)
        await put(ctx, dut, [(1, 1, 0), (2, 0, 0), (3, 0, 0)])
        await ctx.tick()
        assert ctx.get(dut.input_ready)
        assert (ctx.get(dut.input_first), ctx.get(dut.input_last)) == (1, 0)
        await put(ctx, dut, [(4, 0, 0), (5, 0, 0), (15, 0, 1)])
        assert not ctx.get(dut.i.ready)
        assert (await read(ctx, dut, words))[:3] == shifted([1, 2, 3])
        ctx.set(dut.input_taken, 1)
        await ctx.tick()
        ctx.set(dut.input_taken, 0)
        assert (ctx.get(dut.input_ready), ctx.get(dut.i.ready)) == (1, 0)
        await ctx.tick()
        assert ctx.get(dut.i.ready)
        assert (ctx.get(dut.input_first), ctx.get(dut.input_last)) == (0, 1)
        assert (await read(ctx, dut, words))[:3] == shifted([4, 5, 15])

    dut = OperandMemory(design)
    run(dut, bench)


def test_a_new_state_goes_before_an_input():
    """In the cycle of a new unit the input stream waits, and neither is lost."""
    network = random_network(seed=1, hidden_size=2, input_size=2, output_size=1)
    design = compile_network(network, columns_per_element=2, elements=1)

    async def bench(ctx):
        ctx.set(dut.i.payload, {"data": 9, "first": 1, "last": 0})
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.state, -7)
        ctx.set(dut.state_valid, 1)
        assert not ctx.get(dut.i.ready)
        await ctx.tick()
        ctx.set(dut.state, 5)
        await ctx.tick()
        ctx.set(dut.state_valid, 0)
        assert ctx.get(dut.i.ready)
        await put(ctx, dut, [(9, 1, 0), (8, 0, 1)])
        await ctx.tick()
        assert await read(ctx, dut, [0]) == [v << network.input_shift for v in (9, 8)]
        assert await read(ctx, dut, [1]) == [-7, 5]

    dut = OperandMemory(design)
    run(dut, bench)


def test_symbols_are_kept_in_two_banks():
    """A one-hot input is its index; the next one waits beside it."""
    network = random_network(seed=1, hidden_size=3, input_size=6, output_size=2, input_kind=InputKind.ONE_HOT)
    design = compile_network(network, columns_per_element=2, elements=2)

    async def bench(ctx):
        await put(ctx, dut, [(5, 1, 0), (3, 0, 1)])
        await ctx.tick()
        assert not ctx.get(dut.i.ready)
        assert (ctx.get(dut.symbol), ctx.get(dut.input_first), ctx.get(dut.input_last)) == (5, 1, 0)
        ctx.set(dut.input_taken, 1)
        await ctx.tick()
        ctx.set(dut.input_taken, 0)
        assert ctx.get(dut.symbol) == 5
        await ctx.tick()
        assert (ctx.get(dut.symbol), ctx.get(dut.input_first), ctx.get(dut.input_last)) == (3, 0, 1)

    dut = OperandMemory(design)
    run(dut, bench)
