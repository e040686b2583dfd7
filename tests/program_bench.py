"""A core of the simple engine in Amaranth's simulator, compared with the interpreter of networks."""

import random
from dataclasses import dataclass, field

import numpy as np
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.kinds import OutputMode
from qornn_hw.sim.addresses import check_addresses

__all__ = ["Segment", "check", "expected", "play", "run_cycles", "sequences_of_words"]


@dataclass
class Segment:
    """What went in and out between two resets.

    Attributes:
        words: the input's that were taken: data, first, last.
        states: the words of the state port.
        answers: the words of answers: data, last.
        taken_at, answered_at: the cycles of the words and of the answers' words.
        complete: whether no reset cut it off.
    """

    words: list = field(default_factory=list)
    states: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    taken_at: list = field(default_factory=list)
    answered_at: list = field(default_factory=list)
    complete: bool = True


def sequences_of_words(network, lengths, seed):
    """Return the words of sequences of random inputs, of the given lengths in steps."""
    rng, form = np.random.default_rng(seed), network.input.format
    per_step = 1 if network.input.one_hot else network.input.size
    words = []
    for steps in lengths:
        values = rng.integers(form.min, form.max + 1, steps * per_step).tolist()
        words += [(v, int(k == 0), int(k == len(values) - 1)) for k, v in enumerate(values)]
    return words


def expected(network, words):
    """Return the words of states and answers that follow from words of the input."""
    model, form = Interpreter(network), network.readout.answer.kind
    per_step = 1 if network.input.one_hot else network.input.size
    every = network.readout.mode is OutputMode.EVERY_STEP
    state, states, answers = model.initial_state(1), [], []
    for at in range(0, len(words) - per_step + 1, per_step):
        step = words[at : at + per_step]
        data, last = [word[0] for word in step], step[-1][2]
        if step[0][1]:
            state = model.initial_state(1)
        state, values = model.step(state, np.array(data if network.input.one_hot else [data]))
        states += [int(v) for name in network.states for v in state[name][0]]
        if every or last:
            logits = model.logits(values)
            found = logits[0].tolist() if form.has_logits else []
            found += [int(model.classes(logits)[0])] if form.has_argmax else []
            answers += [(v, int(last and k == len(found) - 1)) for k, v in enumerate(found)]
    return states, answers


def play(core, words, *, idle=0.0, block=0.0, resets=(), seed=0, cycles=None, rest=3):
    """Play words; begin anew after a reset in each of the given cycles; return the segments.

    Args:
        core: the component.
        words: data, first, last.
        idle: share of the cycles in which no word is offered.
        block: share of the cycles in which no answer is taken.
        resets: cycles.
        seed: of the pauses.
        cycles: the end; where None, when nothing has happened for a while.
        rest: cycles in which nothing happens behind the last word while the core is ready for another.
    """
    choose, reset = random.Random(seed), Signal()
    segments = [Segment()]

    async def bench(ctx):
        at, quiet, offered, cycle = 0, 0, False, 0
        while quiet < 20_000 and (cycles is None or cycle < cycles):
            now = segments[-1]
            offered = at < len(words) and (offered or choose.random() >= idle)
            ready = choose.random() >= block
            if offered:
                data, first, last = words[at]
                ctx.set(core.i.payload, {"data": data, "first": first, "last": last})
            ctx.set(core.i.valid, offered)
            ctx.set(core.o.ready, ready)
            ctx.set(reset, cycle in resets)
            _, _, taken, given, answer, end, new, state = await ctx.tick().sample(
                core.i.ready,
                core.o.valid,
                core.o.payload.data,
                core.o.payload.last,
                core.state.valid,
                core.state.data,
            )
            quiet += 1
            if cycle in resets:
                now.complete = False
                segments.append(Segment())
                at, offered, quiet = 0, False, 0
                cycle += 1
                continue
            if offered and taken:
                now.words.append(words[at])
                now.taken_at.append(cycle)
                at, offered, quiet = at + 1, False, 0
            if given and ready:
                now.answers.append((answer, end))
                now.answered_at.append(cycle)
                quiet = 0
            if new:
                now.states.append(state)
                quiet = 0
            cycle += 1
            if at == len(words) and taken and not given and quiet > rest and cycle > max(resets, default=0):
                return

    simulator = Simulator(check_addresses(ResetInserter(reset)(core)))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return segments


def check(network, segments):
    """Assert that every segment is what the interpreter gives; return the integers that were compared."""
    compared = 0
    for segment in segments:
        states, answers = expected(network, segment.words)
        if segment.complete:
            assert segment.states == states and segment.answers == answers
        else:
            assert segment.states == states[: len(segment.states)]
            assert segment.answers == answers[: len(segment.answers)]
        compared += len(segment.states) + len(segment.answers)
    return compared


def run_cycles(component, cycles, output):
    """Return what a member shows in each cycle, before its end.

    Args:
        component: with a clock.
        cycles: the members that change, by name; those of a record as a dict.
        output: the member.
    """
    seen = []

    async def bench(ctx):
        for changes in cycles:
            for name, value in changes.items():
                ctx.set(getattr(component, name), value)
            seen.append(ctx.get(getattr(component, output)))
            await ctx.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return seen
