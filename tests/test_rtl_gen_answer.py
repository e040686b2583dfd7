"""The answer queue alone: argmax, flags, and room that is there when it says so."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from qornn_hw.cells.elman_network import OutputKind
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.engines.lut.timing import LutTiming
from qornn_hw.rtl_gen.answer import Answer
from qornn_hw.sim.addresses import check_addresses
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import random_network, random_sequences


def play(design, answers, ready):
    """Launch each answer as soon as there is room; return the words that come out and when launches were."""
    answer = Answer.of_design(design)
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

    simulator = Simulator(check_addresses(answer))
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
    limit = 1 << (design.schedule.widths.accumulator_bits - 1)
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


@pytest.mark.parametrize(
    ("sizes", "chain", "spare"),
    [
        ((1, 1, 1), (1, 1, 1), 1),
        ((1, 1, 1), (1, 2, 1), 1),
        ((2, 1, 2), (1, 3, 2), 1),
        ((8, 1, 4), (4, 3, 4), 1),
        ((6, 1, 1), (1, 7, 1), 1),
        ((5, 1, 2), (1, 3, 0), 0),
        ((16, 1, 2), (8, 3, 0), 0),
    ],
)
def test_answers_held_are_those_under_way_and_one(sizes, chain, spare, monkeypatch):
    """Steps keep their pace with that many, one less beside a readout, and lose it with fewer."""
    hidden, inputs, outputs = sizes
    columns, elements, lanes = chain
    network = random_network(seed=3, hidden_size=hidden, input_size=inputs, output_size=outputs)
    design = compile_network(network, columns_per_element=columns, elements=elements, readout_lanes=lanes)
    s = design.schedule
    sequences = random_sequences(network, batch=1, steps=14, seed=0)

    def pace(held):
        monkeypatch.setattr(LutTiming, "answers_held", held)
        return simulate_core_in_python(design, sequences).cycles_per_step

    enough = s.timing.answers_held - spare
    assert pace(enough) == s.cycles_per_step
    assert pace(enough - 1) > s.cycles_per_step
