"""The answer queue alone: argmax, flags, and room that is there when it says so."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from qornn_hw.design import compile_network
from qornn_hw.network import OutputKind
from rtl_gen.answer import Answer
from sim.stimuli import random_network


def play(design, answers, ready):
    """Launch each answer as soon as there is room; return the words that come out and when launches were."""
    answer = Answer(design)
    out, launches = [], []
    words = len(answers) * design.answer_words

    async def bench(ctx):
        pending, logits, cycle = list(enumerate(answers)), [], 0
        while len(out) < words:
            launch = bool(pending) and not logits and ctx.get(answer.room)
            ctx.set(answer.launch, launch)
            # A bubble behind each answer, as the sequencer leaves it.
            valid = bool(logits) and logits[0] is not None
            ctx.set(answer.valid, valid)
            if valid:
                value, last = logits[0]
                ctx.set(answer.logit, int(value))
                ctx.set(answer.last, last)
            logits = logits[1:]
            if launch:
                index, values = pending.pop(0)
                launches.append(cycle)
                logits = [None, *((v, index == len(answers) - 1) for v in values), None]
            ctx.set(answer.o.ready, ready(cycle))
            if ctx.get(answer.o.valid) and ready(cycle):
                out.append((ctx.get(answer.o.p.data), ctx.get(answer.o.p.last)))
            await ctx.tick()
            cycle += 1
            assert cycle < 5000

    simulator = Simulator(answer)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return out, launches


def expected(design, answers):
    """Return the words that should come out."""
    kind, words = design.network.output_kind, []
    for values in answers:
        words += [int(v) for v in values] if kind.has_logits else []
        words += [int(np.argmax(values))] if kind.has_argmax else []
    return [(word, int(at == len(words) - 1)) for at, word in enumerate(words)]


READY = {
    "always": lambda cycle: True,
    "seldom": lambda cycle: cycle % 7 == 3,
    "late": lambda cycle: cycle > 90,
}


@pytest.mark.parametrize("ready", READY)
@pytest.mark.parametrize("kind", list(OutputKind))
@pytest.mark.parametrize("p", [1, 2, 5])
def test_every_word_comes_out_in_order(p, kind, ready):
    """Logits and argmax of many answers, ties and extremes among them, however slow the reader."""
    network = random_network(seed=1, hidden_size=4, input_size=2, output_size=p, output_kind=kind)
    design = compile_network(network, columns_per_element=2, elements=2)
    limit = 1 << (design.schedule.accumulator_bits - 1)
    rng = np.random.default_rng(1)
    low, high = (-limit, limit) if kind is OutputKind.ARGMAX else (-limit // 4, limit // 4)
    answers = [rng.integers(low, high, p) for _ in range(6)] + [np.full(p, 3), np.full(p, low), np.arange(p)]
    out, _ = play(design, answers, READY[ready])
    assert out == expected(design, answers)


def test_there_is_room_for_two_answers():
    """With a reader that waits, two answers are launched and the third only when one has left."""
    network = random_network(seed=1, hidden_size=4, input_size=2, output_size=3)
    design = compile_network(network, columns_per_element=2, elements=2)
    answers = [np.array([1, 2, 3])] * 4
    _, launches = play(design, answers, lambda cycle: cycle > 60)
    assert launches[1] < 20
    assert launches[2] > 60
