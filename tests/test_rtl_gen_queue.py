# amaranth: UnusedElaboratable=no
"""Queues that their user never overfills: every word, in order, at every pace."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from qornn_hw.rtl_gen.queue import Queue, RegisterQueue
from qornn_hw.sim.addresses import check_addresses


def play(queue, depth, words, write, read):
    """Write words when there is room and ``write(cycle)``, take them when ``read(cycle)``; return them."""
    out = []

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

    simulator = Simulator(check_addresses(queue))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return out


@pytest.mark.parametrize(
    ("kind", "depth"), [*((Queue, n) for n in (1, 3, 7, 31)), *((RegisterQueue, n) for n in (1, 2, 3, 11))]
)
@pytest.mark.parametrize("writes", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("reads", [1.0, 0.5, 0.2])
def test_every_word_comes_out_once_and_in_order(kind, depth, writes, reads):
    """Full, empty and wrapped around, whatever the pauses on either side."""
    rng = np.random.default_rng(depth)
    words = rng.integers(0, 512, 100).tolist()
    pauses = rng.random((2, 3000))
    queue = kind(width=9, depth=depth)
    write, read = (lambda c: bool(pauses[0, c] < writes)), (lambda c: bool(pauses[1, c] < reads))
    found = play(queue, depth, words, write, read)
    assert [word for word, _ in found] == words


@pytest.mark.parametrize("kind", [Queue, RegisterQueue])
def test_word_is_there_two_cycles_later_and_then_one_a_cycle(kind):
    """Latency and throughput are those of the docstrings."""
    found = play(kind(width=9, depth=7), 7, list(range(20)), lambda c: True, lambda c: True)
    assert [cycle for _, cycle in found] == list(range(2, 22))


def test_depth_of_another_kind_is_refused():
    """One word of a power of two stays free; registers may be any, but some."""
    for depth in (0, 2, 4, 8):
        with pytest.raises(ValueError, match=rf"^depth must be a power of two less one, not {depth}$"):
            Queue(width=4, depth=depth)
    with pytest.raises(ValueError, match=r"^depth must be at least 1, not 0$"):
        RegisterQueue(width=4, depth=0)
