"""The feeder behind a list of bytes: words, marks and acknowledges of steps, stalls and resets included."""

import random

import pytest
from component_bench import run_bench

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import LinkFormat, StepFlag
from qornn_hw.rtl_gen.links.step_feeder import StepFeeder

FORMS = [
    LinkFormat(1, IntFormat(4, signed=False), 1, 8),
    LinkFormat(5, IntFormat(8, signed=True), 3, 20),
    LinkFormat(3, IntFormat(14, signed=True), 1, 9),
    LinkFormat(2, IntFormat(17, signed=False), 1, 9),
]


def steps_of(form, count, seed):
    """Return random (flags, words) of steps."""
    rng, word = random.Random(seed), form.word_format
    return [
        (rng.randrange(8), [rng.randint(word.min, word.max) for _ in range(form.words_per_step)])
        for _ in range(count)
    ]


def stored(form, step):
    """Return a step as the receiver keeps it."""
    flags, words = step
    sizes = {"length": form.word_bytes, "byteorder": "little", "signed": form.word_format.signed}
    return [0x10 | flags, *(b for word in words for b in word.to_bytes(**sizes))]


def expected_words(steps):
    """Return (data, first, last) of every word."""
    return [
        (
            word,
            int(bool(flags & StepFlag.FIRST) and at == 0),
            int(bool(flags & StepFlag.LAST) and at == len(words) - 1),
        )
        for flags, words in steps
        for at, word in enumerate(words)
    ]


def feed(form, steps, *, stall=0.0, seed=0, reset_at=None):
    """Return the words that the core takes, the number of acknowledges, and the cycles of the transfers.

    With ``reset_at`` everything is dropped in that cycle, and the steps come again from the start.
    """
    dut, rng = StepFeeder(form=form), random.Random(seed)
    words, acknowledges, times = [], [], []
    content = [byte for step in steps for byte in stored(form, step)]

    async def bench(ctx):
        at, quiet = 0, 0
        for cycle in range(100_000):
            ctx.set(dut.reset, cycle == reset_at)
            ctx.set(dut.buffer.available, at < len(content))
            ctx.set(dut.o.ready, rng.random() >= stall)
            if ctx.get(dut.acknowledge):
                acknowledges.append(cycle)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready) and cycle != reset_at:
                word = dut.o.payload
                words.append((ctx.get(word.data), ctx.get(word.first), ctx.get(word.last)))
                times.append(cycle)
            # The byte at the position of the cycle before.
            byte = content[at] if at < len(content) else 0xEE
            at += ctx.get(dut.buffer.next)
            if cycle == reset_at:
                at = 0
                words.clear()
                acknowledges.clear()
            quiet = 0 if ctx.get(dut.busy) or at < len(content) else quiet + 1
            if quiet > 20:
                break
            await ctx.tick()
            ctx.set(dut.buffer.data, byte)

    run_bench(dut, bench)
    return words, len(acknowledges), times


@pytest.mark.parametrize("stall", [0.0, 0.6])
@pytest.mark.parametrize("form", FORMS)
def test_words_of_steps(form, stall):
    """Every word comes once, in order, with its marks, and each step with ACKNOWLEDGE is told."""
    steps = steps_of(form, 12, 1)
    words, acknowledges, times = feed(form, steps, stall=stall)
    assert words == expected_words(steps)
    assert acknowledges == sum(bool(flags & StepFlag.ACKNOWLEDGE) for flags, _ in steps)
    if not stall:
        assert times[0] == 3 + 2 * form.word_bytes
        if form.words_per_step > 1:
            assert times[1] - times[0] == 2 * form.word_bytes


@pytest.mark.parametrize("form", FORMS[1:3])
def test_a_reset_drops_the_step_in_progress(form):
    """In whatever cycle a reset comes, only words of the steps after it follow."""
    steps = steps_of(form, 2, 2)
    for reset_at in range(0, 40, 3):
        words, _, _ = feed(form, steps, stall=0.3, seed=reset_at, reset_at=reset_at)
        assert words == expected_words(steps), reset_at


def test_swapped_bytes_are_noticed():
    """Planted fault: words stored with the high byte first come out wrong."""
    form = FORMS[2]
    steps = steps_of(form, 2, 3)
    swapped = [
        (flags, [int.from_bytes((w & 0xFFFF).to_bytes(2, "big"), "little", signed=True) for w in words])
        for flags, words in steps
    ]
    words, _, _ = feed(form, swapped)
    assert words != expected_words(steps)
