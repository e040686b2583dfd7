"""The cocotb bench of the core: plays input words, records everything that goes in and comes out.

Runs inside the simulator on the harness of :mod:`qornn_hw.sim.core_simulation`; what it recorded is judged
there. One Python call a clock cycle: at the falling edge it reads what the harness sampled at the rising edge
before, and sets what the core will see at the next one.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

from qornn_hw.sim.pauses import pauses
from qornn_hw.sim.plan import PLAN_VARIABLE

__all__ = ["run_core"]

# One, as the link does it: a longer reset would hide a register that needs a second cycle.
RESET_CYCLES = 1


@cocotb.test()
async def run_core(dut: Any) -> None:
    """Play the plan and write the record."""
    plan = json.loads(Path(os.environ[PLAN_VARIABLE]).read_text())
    word_bits: int = plan["word_bits"]
    ready_bit, valid_bit, reset_bit = 1 << word_bits, 2 << word_bits, 4 << word_bits
    idle = pauses(plan["idle"], seed=plan["seed"])
    block = pauses(plan["back_pressure"], seed=plan["seed"] + 1)
    quiet_cycles, flush_cycles = plan["quiet_cycles"], plan["flush_cycles"]

    drive, fired, word, answer, unit = dut.drive, dut.fired, dut.word, dut.answer, dut.unit
    # Before the first edge of the clock: of an undefined input Icarus makes undefined registers.
    dut.clk.value, drive.value = 0, reset_bit
    await Timer(1, "ns")
    Clock(dut.clk, 10, unit="ns").start()
    edge = FallingEdge(dut.clk)
    cycle = 0
    record: dict[str, Any] = {"segments": [], "undefined": None}
    try:
        for segment in plan["segments"]:
            words: list[int] = segment["words"]
            units_wanted, answers_wanted = segment["units"], segment["answers"]
            seen_words: list[int] = []
            units: list[int] = []
            unit_cycles: list[int] = []
            answers: list[int] = []
            record["segments"].append(
                {"words": seen_words, "units": units, "unit_cycles": unit_cycles, "answers": answers}
            )
            drive.value = reset_bit
            for _ in range(RESET_CYCLES):
                await edge
            next_word = 0
            offered = False
            quiet = flush = 0
            driven = None
            while True:
                if not offered and next_word < len(words) and not idle():
                    offered = True
                new = (valid_bit | words[next_word] if offered else 0) | (0 if block() else ready_bit)
                if new != driven:
                    drive.value = driven = new
                await edge
                cycle += 1
                events = fired.value.to_unsigned()
                if events:
                    quiet = 0
                    if events & 1:
                        seen_words.append(word.value.to_unsigned())
                        next_word += 1
                        offered = False
                    if events & 2:
                        answers.append(answer.value.to_unsigned())
                    if events & 4:
                        units.append(unit.value.to_signed())
                        unit_cycles.append(cycle)
                else:
                    quiet += 1
                    if quiet > quiet_cycles:
                        break
                if len(units) > plan["most_units"] or len(answers) > plan["most_answers"]:
                    break
                if len(units) >= units_wanted and len(answers) >= answers_wanted:
                    flush += 1
                    if flush > (0 if segment["cut"] else flush_cycles):
                        break
    except ValueError as error:  # of to_unsigned: x or z
        record["undefined"] = f"cycle {cycle}: {error}"
    record["cycles"] = cycle
    Path(plan["record"]).write_text(json.dumps(record))
