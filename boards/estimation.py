"""What a network would take on a board, and what fits where: from the schedule, without any FPGA tool."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.table import Table

from qornn_hw.boards.board import Board
from qornn_hw.boards.tables import design_tables
from qornn_hw.cells.any_network import AnyNetwork, macs_per_step
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.family import Resources
from qornn_hw.compiler.network_facts import model_facts
from qornn_hw.compiler.planner import considered, estimate_design, plan
from qornn_hw.compiler.request import Request
from qornn_hw.errors import CapacityError
from qornn_hw.link.latency import StepTimes, latency_facts
from qornn_hw.link.protocol import LinkFormat

__all__ = [
    "board_facts",
    "boards_table",
    "estimate_report",
    "estimate_table",
    "estimate_whole",
    "explanation",
    "explanation_table",
    "plan_for",
]


_COUNTED = {"lut": "cells", "bram": "RAMs", "spram": "SPRAMs", "dsp": "mults"}


def _request(network: AnyNetwork, board: Board, **asked: Any) -> Request:
    return Request(network=network, available=board.for_core, family=board.family, name=board.name, **asked)


def plan_for(
    network: AnyNetwork,
    board: Board,
    lanes: int | None = None,
    engine: str | None = None,
    *,
    room: bool = False,
    target_rate: float | None = None,
    clock_mhz: float | None = None,
) -> Design:
    """Return the design of ``network`` for ``board``; see :func:`qornn_hw.compiler.planner.plan`.

    Args:
        network: what to build.
        board: for which.
        lanes: most multiply-accumulates a cycle; as many as fit where None.
        engine: name of the engine; the planner's choice where None.
        room: leave room for any other weights.
        target_rate: steps a second that are enough: the smallest design that is sure to do them.
        clock_mhz: the clock that is counted on; ``board.planned_mhz`` where None.

    Raises:
        CapacityError: as there, or no design that fits is fast enough; says how fast one is. Or more lanes
            are asked for than fit; says how many do.
    """
    mhz = clock_mhz or board.planned_mhz
    cycles = 0 if target_rate is None else math.floor(mhz * 1e6 / target_rate)
    request = _request(network, board, lanes=lanes, engine=engine, room=room, cycles=cycles)
    design = plan(request)
    found = design.schedule.cycles_per_step
    if target_rate is None:
        if lanes is not None:
            design.engine.check_lanes(design.schedule, request)
    elif found > cycles:
        raise CapacityError(
            f"target_rate must be one that {board.name} can do: {target_rate:g} steps a second at "
            f"{mhz:g} MHz are {cycles} cycles a step, and the fastest design takes {found}; at most "
            f"{math.floor(mhz * 1e6 / found)} can be planned for, or more with a faster clock"
        )
    return design


def estimate_whole(design: Design, board: Board) -> Resources:
    """Return what the whole design takes, the board's own logic included; flip-flops are not estimated."""
    return _whole(estimate_design(design, board.family), board)


def _whole(core: Resources, board: Board) -> Resources:
    return core + Resources(lut=board.surroundings.lut, bram=board.surroundings.bram)


def estimate_report(design: Design, board: Board, *, clock_mhz: float | None = None) -> dict[str, Any]:
    """Return the estimate with the report's keys, as far as they are known before a build.

    ``cycles_per_step`` is the schedule's, exact but for networks whose input takes longer than their rows,
    where it is a lower bound; the latency of an answer is exact, too; ``bram`` and ``memories`` (block RAMs
    of each) are exact; ``lut`` is a model.

    Args:
        design: the compiled network.
        board: for which.
        clock_mhz: the clock that times are computed for; where None ``board.planned_mhz``, which is counted
            on and not measured: ``clock_basis`` is "planned" then, else "requested".
    """
    s, macs = design.schedule, macs_per_step(design.network)
    cycles = s.cycles_per_step
    mhz = clock_mhz or board.planned_mhz
    baud = board.link_rate(round(mhz * 1e6))
    times = StepTimes(cycles, s.answer_latency, s.answer_end_latency)
    resources: dict[str, int | None] = dict(asdict(estimate_whole(design, board)))
    resources["ff"] = None
    return {
        "board": board.name,
        "family": board.family.name,
        "engine": design.engine.name,
        "lanes": design.lanes,
        "model": model_facts(design.network),
        "macs_per_step": macs,
        "cycles_per_step": cycles,
        "utilisation": round(macs / (design.lanes * cycles), 4),
        "clock_mhz": round(mhz, 6),
        "clock_source": board.clock_source.value,
        "clock_basis": "planned" if clock_mhz is None else "requested",
        "link": board.link_name,
        "baud": baud,
        "step_us": round(cycles / mhz, 4),
        **latency_facts(times, LinkFormat.of(design), mhz, baud, board.physical_link.line),
        "resources": resources,
        "available": asdict(board.available),
        "memories": design.engine.memory_blocks(design, board.family) | {"link": board.surroundings.bram},
        "accumulator_bits": s.accumulator_bits,
        "design_digest": design.digest,
    }


def estimate_table(estimate: Mapping[str, Any]) -> Group:
    """Return an estimate as tables for people."""
    planned = estimate["clock_basis"] == "planned"
    name = "clock, counted on, not measured" if planned else "clock, as asked for"
    title = f"{estimate['board']}: {estimate['engine']} engine, {estimate['lanes']} lanes, estimated"
    return design_tables(title, estimate, {name: f"{estimate['clock_mhz']:g} MHz"})


def explanation(design: Design, board: Board) -> list[dict[str, Any]]:
    """Return the designs that stood beside one when it was chosen, and what limits them; the fastest first.

    Each engine says which of its designs explain the choice.
    """
    there = [
        {
            "engine": row.schedule.engine.name,
            "weights": str(row.schedule.store),
            "shape": row.shape,
            "lanes": row.schedule.lanes,
            "passes": row.schedule.passes,
            "cycles_per_step": row.schedule.cycles_per_step,
            **{kind: getattr(_whole(row.need, board), kind) for kind in _COUNTED},
            "too_many": row.excess,
        }
        for row in considered(_request(design.network, board), design)
    ]
    return sorted(there, key=lambda row: int(row["cycles_per_step"]))


def explanation_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return an explanation as a table for people."""
    table = Table(title="considered, the fastest first")
    for column in ("engine", "lanes", "passes", "cycles", *_COUNTED.values()):
        table.add_column(column, justify="left" if column == "engine" else "right", no_wrap=True)
    shapes = any(row["shape"] for row in rows)
    if shapes:
        table.add_column("shape", no_wrap=True)
    table.add_column("too many")
    for row in rows:
        over = ", ".join(f"{n} {_COUNTED[k]}" for k, n in row["too_many"].items())
        table.add_row(
            row["engine"],
            *(str(row[k]) for k in ("lanes", "passes", "cycles_per_step", *_COUNTED)),
            *([row["shape"]] if shapes else []),
            over or "fits",
        )
    return table


def board_facts(board: Board, network: AnyNetwork | None = None) -> dict[str, Any]:
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
        "links": list(board.link_resources),
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
