"""How long an idle core takes from the last word of a step's input to the answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from qornn_hw.compiler.design import Design
from qornn_hw.data.inference import answer_words
from qornn_hw.errors import MismatchError
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.sim.core_simulation import Play
from qornn_hw.sim.stimuli import random_sequences

__all__ = ["AnswerLatency", "measure_answer_latency"]

STEPS = 2


@dataclass(frozen=True)
class AnswerLatency:
    """Cycles from the transfer of a step's last input word.

    Attributes:
        first: until the first word of the answer is offered.
        last: until its last word is, its reader always ready.
    """

    first: int
    last: int


def measure_answer_latency(design: Design, *, steps: int = STEPS, seed: int = 0) -> AnswerLatency:
    """Simulate a core that gets each step when it has nothing else to do.

    The steps are far enough apart for each to be computed and its answer to be read. After its answer a core
    of the dsp engine is busy for the rest of a pass; that wait is no part of the latency.

    Args:
        design: a compiled network.
        steps: of a sequence; a sequence of one step follows it, whose answer an engine may give later.
        seed: of the random inputs.

    Returns:
        The longest of the latencies of all answers.

    Raises:
        MismatchError: an answer is not the integer model's, or does not come.
    """
    lengths = (steps, 1)
    sequences = [random_sequences(design.network, batch=1, steps=n, seed=seed)[0] for n in lengths]
    words = Play.of(design, sequences, "none", "none", None, 0).plan["segments"][0]["words"]
    schedule = design.schedule
    # Far more than a step and its answer take.
    quiet = 2 * (schedule.longest_step + schedule.answer_end_latency) + 100
    each = len(words) // sum(lengths)
    lasts = set(np.cumsum(lengths) - 1)
    core = make_core(design, preloaded=True)
    reset = Signal()
    found: list[AnswerLatency] = []
    answers: list[list[int]] = []

    async def bench(ctx: Any) -> None:
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        ctx.set(core.o.ready, 1)
        for step in range(sum(lengths)):
            await _send(ctx, core, words[step * each : (step + 1) * each])
            if design.every_step or step in lasts:
                got, latency = await _receive(ctx, core, design.answer_words, quiet)
                answers.append(got)
                found.append(latency)
            else:
                await ctx.tick().repeat(quiet)

    simulator = Simulator(ResetInserter(reset)(core))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    if not np.array_equal(answers, np.concatenate(answer_words(design.network, sequences))):
        raise MismatchError(
            "the core must give the integer model's answers when each is awaited, and does not"
        )
    return AnswerLatency(max(one.first for one in found), max(one.last for one in found))


async def _send(ctx: Any, core: Any, words: list[int]) -> None:
    """Send the words of a step; return in the cycle behind the transfer of the last."""
    payload = core.i.payload.as_value()
    ctx.set(core.i.valid, 1)
    for word in words:
        ctx.set(payload, word)
        await ctx.tick().until(core.i.ready)
    ctx.set(core.i.valid, 0)


async def _receive(ctx: Any, core: Any, count: int, quiet: int) -> tuple[list[int], AnswerLatency]:
    """Return the words of an answer, and when they came."""
    words: list[int] = []
    cycles: list[int] = []
    for cycle in range(1, quiet):
        if ctx.get(core.o.valid):
            words.append(ctx.get(core.o.payload.data))
            cycles.append(cycle)
            if len(words) == count:
                await ctx.tick().repeat(quiet)
                return words, AnswerLatency(cycles[0], cycles[-1])
        await ctx.tick()
    raise MismatchError(f"the core must answer within {quiet} cycles, and gave {len(words)} of {count} words")
