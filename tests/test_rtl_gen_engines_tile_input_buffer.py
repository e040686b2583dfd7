"""The input of a step: two banks, flags of the right step, nothing taken that has no place."""

import random

import pytest
from amaranth.sim import Simulator

from qornn_hw.ir.formats import IntFormat
from qornn_hw.rtl_gen.engines.tile.input_buffer import InputBuffer


@pytest.mark.parametrize("words", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_words_flags_and_banks(words, seed):
    """A random user: the words of a bank are those of its step until it is done."""
    buffer = InputBuffer(form=IntFormat(8, signed=True), words=words)
    choose, steps = random.Random(seed), 30
    firsts = [choose.random() < 0.3 for _ in range(steps)]
    lasts = [choose.random() < 0.3 for _ in range(steps)]
    used = []

    async def bench(ctx):
        sent, memory, busy, started, later = 0, {}, False, 0, False
        for _ in range(40 * steps * words):
            step, word = divmod(sent, words)
            offered = step < steps and choose.random() < 0.7
            if offered:
                ctx.set(buffer.i.payload, {"data": sent % 100, "first": firsts[step], "last": lasts[step]})
            ctx.set(buffer.i.valid, offered)
            blocked = later
            ctx.set(buffer.blocked_next, later := choose.random() < 0.2)
            done = busy and choose.random() < 0.1
            ctx.set(buffer.done, done)
            ctx.set(buffer.busy, busy)
            taken = ctx.get(buffer.write)
            assert not (taken and blocked)
            if taken:
                assert ctx.get(buffer.index) == word
                memory[ctx.get(buffer.fill), word] = sent
                sent += 1
            full, first, last, use = (
                ctx.get(s) for s in (buffer.full, buffer.first, buffer.last, buffer.use)
            )
            if busy:
                bank = [memory[use, k] for k in range(words)]
                assert bank == [(started - 1) * words + k for k in range(words)]
            await ctx.tick()
            if done:
                busy = False
            elif not busy and full and choose.random() < 0.5:
                used.append((first, last))
                busy, started = True, started + 1
            if started == steps:
                return

    simulator = Simulator(buffer)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    # The first step behind a reset begins a sequence, whatever it says.
    assert used == list(zip([True, *firsts[1:]], lasts, strict=True))
