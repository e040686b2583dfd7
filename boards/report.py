"""From the tools' own reports to ``report.json`` and a table for people."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from boards.board import Board
from boards.flow import flow_of
from qornn_hw.device import RESOURCE_NAMES, Resources
from qornn_hw.errors import DataError, ToolError

__all__ = [
    "ModelFacts",
    "Placement",
    "make_report",
    "read_flip_flops",
    "read_placement",
    "read_report",
    "report_table",
]


@dataclass(frozen=True)
class ModelFacts:
    """What the report says of the network and of the core that was made of it.

    Attributes:
        hidden_size: hidden units.
        input_size: inputs.
        output_size: logits.
        weight_bits: bits of the recurrent weights.
        state_bits: bits of the state.
        activation: name of the activation.
        engine: name of the engine.
        lanes: multiply-accumulates that the core can do in a cycle.
        macs_per_step: multiply-accumulates that a step needs.
        cycles_per_step: cycles of a step, counted in simulation; None where nobody counted.
        accumulator_bits: width of the accumulator.
        estimated: what it was expected to take, the board's own logic included; None where nobody asked.
        digest: of the design (:attr:`qornn_hw.design.Design.digest`), "" where there is none.
    """

    hidden_size: int
    input_size: int
    output_size: int
    weight_bits: int
    state_bits: int
    activation: str
    engine: str
    lanes: int
    macs_per_step: int
    cycles_per_step: float | None
    accumulator_bits: int
    digest: str = ""
    estimated: Resources | None = None


@dataclass(frozen=True)
class Placement:
    """What place and route found.

    Attributes:
        used: cells in use by nextpnr's name.
        available: cells of the device by nextpnr's name.
        fmax_mhz: highest frequency of the core clock.
    """

    used: dict[str, int]
    available: dict[str, int]
    fmax_mhz: float

    def limited(self, mhz: float) -> "Placement":
        """Return the same with a frequency of at most ``mhz``."""
        return replace(self, fmax_mhz=min(self.fmax_mhz, mhz))


def read_placement(path: Path) -> Placement:
    """Read the file that nextpnr writes for ``--report``."""
    try:
        data = json.loads(path.read_text())
        utilization = data["utilization"]
        # Several clocks: the slowest decides. The reset timer shares the core's clock net.
        fmax = min(float(c["achieved"]) for c in data["fmax"].values())
        used = {k: int(v["used"]) for k, v in utilization.items()}
        available = {k: int(v["available"]) for k, v in utilization.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"nextpnr must report fmax and utilization, {path.name} has none") from error
    return Placement(used, available, fmax)


def read_flip_flops(path: Path, prefix: str) -> int:
    """Read the cells whose names begin with ``prefix`` from what yosys' ``stat -json`` printed."""
    try:
        cells = json.loads(path.read_text())["design"]["num_cells_by_type"]
        return sum(int(n) for name, n in cells.items() if name.startswith(prefix))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"yosys must give its cell counts as JSON, {path.name} has none") from error


def read_utilisation_log(text: str) -> dict[str, tuple[int, int]]:
    """Return (used, available) by nextpnr's cell name from its log, which comes before any error."""
    pattern = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
    return {name: (int(used), int(there)) for name, used, there in pattern.findall(text)}


def make_report(
    *,
    board: Board,
    facts: ModelFacts,
    placement: Placement,
    flip_flops: int,
    clock_hz: int,
    baud: int,
    tools: Mapping[str, str],
    seed: int,
    files: Mapping[str, str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Return the report: keys as scripts rely on them (docs/boards.md)."""
    cycles = facts.cycles_per_step
    cells = flow_of(board).cells
    used = Resources(
        ff=flip_flops,
        **{k: sum(n * placement.used.get(cell, 0) for cell, n in of.items()) for k, of in cells.items()},
    )
    return {
        "board": board.name,
        "family": board.family.name,
        "engine": facts.engine,
        "lanes": facts.lanes,
        "model": {
            "hidden_size": facts.hidden_size,
            "input_size": facts.input_size,
            "output_size": facts.output_size,
            "weight_bits": facts.weight_bits,
            "state_bits": facts.state_bits,
            "activation": facts.activation,
        },
        "macs_per_step": facts.macs_per_step,
        "cycles_per_step": cycles,
        "utilisation": None if not cycles else round(facts.macs_per_step / (facts.lanes * cycles), 4),
        "clock_mhz": clock_hz / 1e6,
        "fmax_mhz": round(placement.fmax_mhz, 2),
        "baud": baud,
        "step_us": None if not cycles else round(cycles * 1e6 / clock_hz, 4),
        "resources": asdict(used),
        "available": asdict(board.available),
        "estimated": None if facts.estimated is None else _estimated(facts.estimated),
        "accumulator_bits": facts.accumulator_bits,
        "design_digest": facts.digest,
        "tools": dict(tools),
        "seed": seed,
        "files": dict(files),
        "seconds": {stage: round(s, 2) for stage, s in seconds.items()},
    }


def _estimated(resources: Resources) -> dict[str, int]:
    return {key: value for key, value in asdict(resources).items() if key != "ff"}


def read_report(build_dir: Path) -> dict[str, Any]:
    """Read the report that a build left in its folder."""
    path = build_dir / "report.json"
    try:
        report = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(
            f"{build_dir} must be a folder with the results of a build, it has no report.json; "
            "run qornn-hw build first"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must be the report of a build, it cannot be read: {error}") from error
    for key, kind in (("clock_mhz", int | float), ("baud", int), ("board", str), ("files", dict)):
        if not isinstance(report, dict) or key not in report:
            raise DataError(f"{path} must be the report of a build, it has no {key}")
        if not isinstance(report[key], kind):
            raise DataError(f"{path} must be the report of a build, its {key} is {report[key]!r}")
    if bad := [name for name in report["files"].values() if not isinstance(name, str)]:
        raise DataError(f"{path} must be the report of a build, its files are names, not {bad[0]!r}")
    return report


def report_table(report: Mapping[str, Any]) -> Table:
    """Return the report as a table for people."""
    table = Table(title=f"{report['board']}: {report['engine']} engine, {report['lanes']} lanes")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("of", justify="right")
    estimated = report["estimated"] or {}
    if estimated:
        table.add_column("estimated", justify="right")
    for key, name in RESOURCE_NAMES.items():
        row = [name, str(report["resources"][key]), str(report["available"][key])]
        table.add_row(*row, *([str(estimated[key])] if key in estimated else []))
    table.add_row("clock", f"{report['clock_mhz']:g} MHz", f"{report['fmax_mhz']:g} MHz")
    if report["cycles_per_step"]:
        table.add_row("step", f"{report['cycles_per_step']} cycles", f"{report['step_us']:g} us")
        table.add_row("lanes at work", f"{100 * report['utilisation']:.1f} %", "100 %")
    table.add_row("accumulator", f"{report['accumulator_bits']} bits", "")
    table.add_row("build", f"{sum(report['seconds'].values()):.1f} s", "")
    return table
