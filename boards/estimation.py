"""What a network would take on a board, and what fits where: from the schedule, without any FPGA tool."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from boards.board import Board
from qornn_hw.design import Design
from qornn_hw.device import ICE40_ULTRAPLUS, RESOURCE_NAMES, Resources
from qornn_hw.dsp_planner import considered_dsp, design_memory_blocks, estimate_design, plan_engine
from qornn_hw.engine import Engine
from qornn_hw.errors import CapacityError
from qornn_hw.network import IntegerNetwork
from qornn_hw.planner import considered, faster_but_too_large

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


# Chains that are shown on either side of the fastest that fits.
_EXPLAINED = 4
_COUNTED = {"lut": "cells", "bram": "RAMs", "spram": "SPRAMs", "dsp": "mults"}


def plan_for(
    network: IntegerNetwork,
    board: Board,
    lanes: int | None = None,
    engine: Engine | None = None,
    *,
    room: bool = False,
    target_rate: float | None = None,
    clock_mhz: float | None = None,
) -> Design:
    """Return the design of ``network`` for ``board``; see :func:`qornn_hw.dsp_planner.plan_engine`.

    Args:
        network: what to build.
        board: for which.
        lanes: as there.
        engine: as there.
        room: as there.
        target_rate: steps a second that are enough: the smallest design that is sure to do them.
        clock_mhz: the clock that is counted on; ``board.planned_mhz`` where None.

    Raises:
        CapacityError: as there, or no design that fits is fast enough; says how fast one is. Or more lanes
            are asked for than fit; says how many do.
    """
    mhz = clock_mhz or board.planned_mhz
    cycles = 0 if target_rate is None else math.floor(mhz * 1e6 / target_rate)
    design = plan_engine(
        network, board.for_core, name=board.name, lanes=lanes, engine=engine, family=board.family, room=room,
        cycles=cycles,
    )  # fmt: skip
    found = design.schedule.cycles_per_step
    if target_rate is None:
        if lanes is not None:
            _check_lanes(design, board, lanes, engine, room=room)
    elif found > cycles:
        raise CapacityError(
            f"--target-rate must be one that {board.name} can do: {target_rate:g} steps a second at "
            f"{mhz:g} MHz are {cycles} cycles a step, and the fastest design takes {found}; at most "
            f"{math.floor(mhz * 1e6 / found)} can be planned for, or more with a faster --clock"
        )
    return design


def _check_lanes(design: Design, board: Board, lanes: int, engine: Engine | None, *, room: bool) -> None:
    """Raise a CapacityError if what was asked for is more than fits."""
    if engine is Engine.DSP and lanes > board.for_core.dsp:
        raise CapacityError(
            f"--lanes must be at most {board.for_core.dsp}, the multipliers that {board.name} has for them, "
            f"not {lanes}; or leave it out"
        )
    if design.engine is not Engine.LUT:
        return
    large = faster_but_too_large(design.schedule, board.for_core, lanes=lanes, family=board.family, room=room)
    if large is not None:
        schedule, excess = large
        over = " and ".join(f"{count} {RESOURCE_NAMES[name]}" for name, count in excess.items())
        raise CapacityError(
            f"--lanes must be what fits {board.name}: the fastest chain of at most {lanes} lanes has "
            f"{schedule.lanes}, with {over} too many; take {design.lanes}, or leave it out"
        )


def estimate_whole(design: Design, board: Board) -> Resources:
    """Return what the whole design takes, the board's own logic included; flip-flops are not estimated."""
    return _whole(estimate_design(design, board.family), board)


def _whole(core: Resources, board: Board) -> Resources:
    return core + Resources(lut=board.surroundings.lut, bram=board.surroundings.bram)


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


def explanation(design: Design, board: Board) -> list[dict[str, Any]]:
    """Return the designs that stood beside one when it was chosen, and what limits them; the fastest first.

    Of those that do not fit the few that are next to it, and all that the dsp engine has where it is chosen.
    """
    net, s = design.network, design.schedule
    chains = considered(net, board.for_core, family=board.family)
    fits = [i for i, (_, _, over) in enumerate(chains) if not over]
    if fits:
        rows = chains[max(0, fits[0] - _EXPLAINED) : fits[0] + _EXPLAINED + 1]
    else:
        rows = sorted(chains, key=lambda chain: sum(chain[2].values()))[:_EXPLAINED]
    if board.family is ICE40_ULTRAPLUS:
        rows = [
            *rows,
            *considered_dsp(net, board.for_core)[: 2 * _EXPLAINED if s.engine is Engine.DSP else 2],
        ]
    there = [
        {
            "engine": str(schedule.engine),
            "weights": str(schedule.store),
            "lanes": schedule.lanes,
            "passes": schedule.passes,
            "cycles_per_step": schedule.cycles_per_step,
            **{kind: getattr(_whole(need, board), kind) for kind in _COUNTED},
            "too_many": over,
        }
        for schedule, need, over in rows
    ]
    return sorted(there, key=lambda row: int(row["cycles_per_step"]))


def explanation_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return an explanation as a table for people."""
    table = Table(title="considered, the fastest first")
    for column in ("engine", "lanes", "passes", "cycles", *_COUNTED.values()):
        table.add_column(column, justify="left" if column == "engine" else "right", no_wrap=True)
    table.add_column("too many")
    for row in rows:
        over = ", ".join(f"{n} {_COUNTED[k]}" for k, n in row["too_many"].items())
        table.add_row(
            row["engine"],
            *(str(row[k]) for k in ("lanes", "passes", "cycles_per_step", *_COUNTED)),
            over or "fits",
        )
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
