# amaranth: UnusedElaboratable=no
"""The queue that its user never overfills: every word, in order, at every pace."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from rtl_gen.queue import Queue


def play(depth, words, write, read):
    """Write words when there is room and ``write(cycle)``, take them when ``read(cycle)``; return them."""
    queue, out = Queue(width=9, depth=depth), []

    async def bench(ctx):
        at = cycle = 0
        while len(out) < len(words):
            there = at < len(words) and at - len(out) < depth and write(cycle)
            ctx.set(queue.w_en, there)
            ctx.set(queue.w_data, words[at] if there else 0x1FF)
            at += there
            ctx.set(queue.o.ready, read(cycle))
            if ctx.get(queue.o.valid) and read(cycle):
                out.append((ctx.get(queue.o.payload), cycle))
            await ctx.tick()
            cycle += 1
            assert cycle < 20 * len(words) + 20

    simulator = Simulator(queue)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return out


@pytest.mark.parametrize("depth", [1, 3, 7, 31])
@pytest.mark.parametrize("writes", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("reads", [1.0, 0.5, 0.2])
def test_every_word_comes_out_once_and_in_order(depth, writes, reads):
    """Full, empty and wrapped around, whatever the pauses on either side."""
    rng = np.random.default_rng(depth)
    words = rng.integers(0, 512, 100).tolist()
    pauses = rng.random((2, 3000))
    found = play(depth, words, lambda c: bool(pauses[0, c] < writes), lambda c: bool(pauses[1, c] < reads))
    assert [word for word, _ in found] == words


def test_word_is_there_two_cycles_later_and_then_one_a_cycle():
    """Latency and throughput are those of the docstring."""
    found = play(7, list(range(20)), lambda c: True, lambda c: True)
    assert [cycle for _, cycle in found] == list(range(2, 22))


def test_depth_of_another_kind_is_refused():
    """One word of a power of two stays free."""
    for depth in (0, 2, 4, 8):
        with pytest.raises(ValueError, match=rf"^depth must be a power of two less one, not {depth}$"):
            Queue(width=4, depth=depth)
