"""The core in Amaranth's own simulator: no Verilog, no external tool."""

import time
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from numpy.typing import ArrayLike

from qornn_hw.compiler.design import Design
from qornn_hw.errors import MismatchError
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.sim.addresses import check_addresses
from qornn_hw.sim.core_simulation import Play, SimulationResult
from qornn_hw.sim.pauses import pauses

__all__ = ["simulate_core_in_python"]

# One, as the link does it: a longer reset would hide a register that needs a second cycle.
RESET_CYCLES = 1


def simulate_core_in_python(
    design: Design,
    sequences: Sequence[ArrayLike],
    *,
    idle: str = "none",
    back_pressure: str = "none",
    reset_after: int | None = None,
    seed: int = 0,
) -> SimulationResult:
    """Do what :func:`qornn_hw.sim.core_simulation.simulate_core` does in ``amaranth.sim``; same arguments.

    Raises:
        MismatchError: the first integer that differs, or a memory that is accessed beyond its words.
        FormatError: a sequence does not fit the network's input.
    """
    start = time.perf_counter()
    play = Play.of(design, sequences, idle, back_pressure, reset_after, seed)
    core = make_core(design, preloaded=True)
    reset = Signal()
    record: dict[str, Any] = {"segments": [], "undefined": None, "cycles": 0}

    async def bench(ctx: Any) -> None:
        for segment in play.plan["segments"]:
            seen: dict[str, list[int]] = {"words": [], "units": [], "unit_cycles": [], "answers": []}
            record["segments"].append(seen)
            ctx.set(reset, 1)
            await ctx.tick().repeat(RESET_CYCLES)
            ctx.set(reset, 0)
            await _play_segment(ctx, core, play.plan, segment, seen, record)

    simulator = Simulator(check_addresses(ResetInserter(reset)(core)))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    built = time.perf_counter() - start
    try:
        simulator.run()
    except AssertionError as error:  # of check_addresses
        raise MismatchError(str(error).removeprefix("Assertion violated: ")) from error
    return play.judge(record, simulator="amaranth", build_seconds=built, start=start)


async def _play_segment(
    ctx: Any,
    core: Any,
    plan: dict[str, Any],
    segment: dict[str, Any],
    seen: dict[str, list[int]],
    record: dict[str, Any],
) -> None:
    """Play until all is out and for a while longer, or until nothing happens any more."""
    idle, block = pauses(plan["idle"], plan["seed"]), pauses(plan["back_pressure"], plan["seed"] + 1)
    words = segment["words"]
    i_payload, o_payload = core.i.payload.as_value(), core.o.payload.as_value()
    offered = False
    at = quiet = flush = 0
    while quiet <= plan["quiet_cycles"]:
        if not offered and at < len(words) and not idle():
            offered = True
        ready = not block()
        ctx.set(core.i.valid, offered)
        ctx.set(core.o.ready, ready)
        if offered:
            ctx.set(i_payload, words[at])
        _, _, taken, word, given, answer, new, unit = await ctx.tick().sample(
            core.i.ready, i_payload, core.o.valid, o_payload, core.state.valid, core.state.data
        )
        record["cycles"] += 1
        quiet += 1
        if offered and taken:
            seen["words"].append(word)
            offered, at, quiet = False, at + 1, 0
        if given and ready:
            seen["answers"].append(answer)
            quiet = 0
        if new:
            seen["units"].append(unit)
            seen["unit_cycles"].append(record["cycles"])
            quiet = 0
        if len(seen["units"]) > plan["most_units"] or len(seen["answers"]) > plan["most_answers"]:
            return
        if len(seen["units"]) >= segment["units"] and len(seen["answers"]) >= segment["answers"]:
            flush += 1
            if flush > (0 if segment["cut"] else plan["flush_cycles"]):
                return
