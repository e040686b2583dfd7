"""What a network would take on a board, and what fits where: from the schedule, without any FPGA tool."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from boards.board import Board
from boards.report import RESOURCE_NAMES
from qornn_hw.design import Design
from qornn_hw.device import Resources
from qornn_hw.dsp_planner import design_memory_blocks, estimate_design, plan_engine
from qornn_hw.engine import Engine
from qornn_hw.errors import CapacityError
from qornn_hw.network import IntegerNetwork

__all__ = [
    "board_facts",
    "boards_table",
    "estimate_report",
    "estimate_table",
    "estimate_whole",
    "plan_for",
]


def plan_for(
    network: IntegerNetwork,
    board: Board,
    lanes: int | None = None,
    engine: Engine | None = None,
    *,
    room: bool = False,
) -> Design:
    """Return the design of ``network`` for ``board``; see :func:`qornn_hw.dsp_planner.plan_engine`."""
    return plan_engine(
        network, board.for_core, name=board.name, lanes=lanes, engine=engine, family=board.family, room=room
    )


def estimate_whole(design: Design, board: Board) -> Resources:
    """Return what the whole design takes, the board's own logic included; flip-flops are not estimated."""
    return estimate_design(design, board.family) + Resources(
        lut=board.surroundings.lut, bram=board.surroundings.bram
    )


def estimate_report(design: Design, board: Board, *, clock_mhz: float | None = None) -> dict[str, Any]:
    """Return the estimate with the report's keys, as far as they are known before a build.

    ``cycles_per_step`` is the schedule's, exact but for networks whose input takes longer than their rows,
    where it is a lower bound; ``bram`` and ``memories`` (block RAMs of each) are exact; ``lut`` is a model;
    ``step_us`` needs a clock.
    """
    net, s = design.network, design.schedule
    cycles = s.cycles_per_step
    resources: dict[str, int | None] = dict(asdict(estimate_whole(design, board)))
    resources["ff"] = None
    return {
        "board": board.name,
        "family": board.family.name,
        "engine": str(design.engine),
        "lanes": design.lanes,
        "model": {
            "hidden_size": net.hidden_size,
            "input_size": net.input_size,
            "output_size": net.output_size,
            "weight_bits": net.weight_bits.recurrent,
            "state_bits": net.state_bits,
            "activation": str(net.activation),
        },
        "macs_per_step": net.macs_per_step,
        "cycles_per_step": cycles,
        "utilisation": round(net.macs_per_step / (design.lanes * cycles), 4),
        "clock_mhz": clock_mhz,
        "step_us": None if clock_mhz is None else round(cycles / clock_mhz, 4),
        "resources": resources,
        "available": asdict(board.available),
        "memories": design_memory_blocks(design, board.family) | {"link": board.surroundings.bram},
        "accumulator_bits": s.accumulator_bits,
        "design_digest": design.digest,
    }


def estimate_table(estimate: Mapping[str, Any]) -> Table:
    """Return an estimate as a table for people."""
    table = Table(
        title=f"{estimate['board']}: {estimate['engine']} engine, {estimate['lanes']} lanes, estimated"
    )
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("of", justify="right")
    for key, name in RESOURCE_NAMES.items():
        if (value := estimate["resources"][key]) is not None:
            table.add_row(name, str(value), str(estimate["available"][key]))
    step = "" if estimate["step_us"] is None else f"{estimate['step_us']:g} us"
    table.add_row("step", f"{estimate['cycles_per_step']} cycles", step)
    table.add_row("lanes at work", f"{100 * estimate['utilisation']:.1f} %", "100 %")
    table.add_row("accumulator", f"{estimate['accumulator_bits']} bits", "")
    return table


def board_facts(board: Board, network: IntegerNetwork | None = None) -> dict[str, Any]:
    """Return what a user asks of a board, and with a network what of it fits."""
    facts: dict[str, Any] = {
        "board": board.name,
        "description": board.description,
        "family": board.family.name,
        "device": board.device,
        "package": board.package,
        "available": asdict(board.available),
        "oscillator_mhz": board.oscillator_hz / 1e6,
        "clock_source": board.clock_source.value,
        "link": board.link,
        "baud_rates": list(board.baud_rates),
        "programmer": board.programmer,
    }
    if network is None:
        return facts
    try:
        design = plan_for(network, board)
    except CapacityError as error:
        return facts | {"fits": False, "reason": str(error)}
    return facts | {
        "fits": True,
        "lanes": design.lanes,
        "cycles_per_step": design.schedule.cycles_per_step,
        "resources": {
            key: value for key, value in asdict(estimate_whole(design, board)).items() if key != "ff"
        },
    }


def boards_table(facts: Sequence[Mapping[str, Any]]) -> Table:
    """Return the facts of boards as a table for people."""
    fitted = any("fits" in f for f in facts)
    table = Table()
    ends: tuple[str, ...] = ("lanes", "cycles a step", "cells")
    if not fitted:
        ends = ("cells", "RAMs", "multipliers", "MHz in", "link")
    for column in ("board", "device", *ends):
        words = column in ("board", "device", "link")
        table.add_column(column, justify="left" if words else "right", no_wrap=column == "board")
    for f in facts:
        row = [f["board"], f["device"]]
        there = f["available"]
        if not fitted:
            row += [str(there[key]) for key in ("lut", "bram", "dsp")]
            row += [f"{f['oscillator_mhz']:g}", f["link"]]
        elif f["fits"]:
            used = f["resources"]["lut"]
            share = 100 * used / there["lut"]
            row += [str(f["lanes"]), str(f["cycles_per_step"]), f"{used} of {there['lut']} ({share:.0f} %)"]
        else:
            row += ["", "", "too large"]
        table.add_row(*row)
    return table
