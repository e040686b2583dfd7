"""From the tools' own reports to ``report.json`` and tables for people."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Group

from qornn_hw.boards.board import PIN, Board
from qornn_hw.boards.report_schema import NAME, check_report
from qornn_hw.boards.tables import design_tables
from qornn_hw.compiler.family import Resources
from qornn_hw.errors import DataError, ToolError
from qornn_hw.link.latency import StepTimes, latency_facts
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.storage.output_folder import recover
from qornn_hw.storage.strict_json import parse_json

__all__ = [
    "REPORT_FILE",
    "ModelFacts",
    "Placement",
    "file_of",
    "make_report",
    "read_file_of",
    "read_flip_flops",
    "read_placement",
    "read_report",
    "report_table",
]

REPORT_FILE = "report.json"
# A report has 2 kB.
MOST_REPORT_BYTES = 1 << 20


@dataclass(frozen=True)
class ModelFacts:
    """What the report says of the network and of the core that was made of it.

    Attributes:
        hidden_size: hidden units.
        input_size: inputs.
        output_size: logits.
        weight_bits: bits of the recurrent weights.
        state_bits: bits of the state.
        activation: name of the activation; None for a network of other cells than Elman's.
        engine: name of the engine.
        lanes: multiply-accumulates that the core can do in a cycle.
        macs_per_step: multiply-accumulates that a step needs.
        cycles_per_step: cycles of a step, counted in simulation; None where nobody counted.
        accumulator_bits: width of the accumulator.
        times: cycles of a step and of its answer, counted in simulation; None where nobody counted.
        link: sizes of the link's frames; None where they are not known.
        states: entries and bits of each state of a network of other cells than Elman's; else None.
        estimated: what it was expected to take, the board's own logic included; None where nobody asked.
        digest: of the design (:attr:`qornn_hw.compiler.design.Design.digest`), "" where there is none.
    """

    hidden_size: int
    input_size: int
    output_size: int
    weight_bits: int
    state_bits: int
    activation: str | None
    engine: str
    lanes: int
    macs_per_step: int
    cycles_per_step: float | None
    accumulator_bits: int
    digest: str = ""
    estimated: Resources | None = None
    times: StepTimes | None = None
    link: LinkFormat | None = None
    states: dict[str, dict[str, int]] | None = None


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

    def counted(self, cells: Mapping[str, tuple[int, int]]) -> "Placement":
        """Return the same with other counts of cells: (used, available) by nextpnr's name."""
        return replace(
            self,
            used=self.used | {name: used for name, (used, _) in cells.items()},
            available=self.available | {name: there for name, (_, there) in cells.items()},
        )

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
    cells = board.family.flow.cells
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
            **({} if facts.states is None else {"states": facts.states}),
        },
        "macs_per_step": facts.macs_per_step,
        "cycles_per_step": cycles,
        "utilisation": None if not cycles else round(facts.macs_per_step / (facts.lanes * cycles), 4),
        "clock_mhz": clock_hz / 1e6,
        "clock_source": board.clock_source.value,
        "fmax_mhz": round(placement.fmax_mhz, 2),
        "link": board.link_name,
        "baud": baud,
        "step_us": None if not cycles else round(cycles * 1e6 / clock_hz, 4),
        **latency_facts(facts.times, facts.link, clock_hz / 1e6, baud, board.physical_link.line),
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
    """Return the report that a build left in its folder, as :mod:`qornn_hw.boards.report_schema` has it.

    Raises:
        DataError: there is none, it cannot be read, or a key is not of its type or out of its range.
    """
    path = build_dir / REPORT_FILE
    if not path.exists():
        recover(build_dir)
    try:
        return check_report(parse_json(_read_inside(build_dir, REPORT_FILE, MOST_REPORT_BYTES)))
    except FileNotFoundError as error:
        raise DataError(
            f"{build_dir} must be a folder with the results of a build, it has no {REPORT_FILE}; "
            "run qornn-hw build first"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} must be the report of a build: {reason}; build it anew") from error


def file_of(build_dir: Path, report: Mapping[str, Any], key: str) -> Path:
    """Return the file of a build that its report names under ``files``.

    All that reads a file of a build asks here. The file lies in the folder itself: its name has no folder,
    is not absolute and is no option of a program, and a link does not lead out of the folder.

    Args:
        build_dir: folder of the build.
        report: from :func:`read_report`.
        key: of ``report["files"]``.

    Raises:
        DataError: the report names no such file, or the file is not there, or not in the folder.
    """
    name = report["files"].get(key)
    if name is None:
        raise DataError(f"the build must have its {key}, {build_dir} has none; build it anew")
    try:
        return _inside(build_dir, name)
    except FileNotFoundError as error:
        raise DataError(
            f"{build_dir} must hold the {key} that its report names, {name} is not there; build it anew"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{build_dir} must hold the {key} that its report names: {reason}; build it anew"
        ) from error


def read_file_of(build_dir: Path, report: Mapping[str, Any], key: str, most: int) -> bytes:
    """Return the content of :func:`file_of`, of at most ``most`` bytes.

    Raises:
        DataError: as there, or the file is larger.
    """
    path = file_of(build_dir, report, key)
    try:
        return _bounded(path, most)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"the {key} of {build_dir} must be readable: {reason}; build it anew") from error


def _inside(folder: Path, name: str) -> Path:
    """Return a regular file of a folder; a ValueError says what it is instead.

    The name is one that :data:`qornn_hw.boards.report_schema.FILES` allows: one part, no option, nothing to
    escape.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError(f"{ascii(name)[:60]} is no name of a file in it")
    path = folder / name
    # os.path: a loop of links is an OSError there.
    if not Path(os.path.realpath(path, strict=True)).is_relative_to(os.path.realpath(folder)):
        raise ValueError(f"{name} is a link that leads out of it")
    # A pipe would keep its reader waiting.
    if not path.is_file():
        raise ValueError(f"{name} is not a file")
    return path


def _bounded(path: Path, most: int) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path.name} must have at most {most} bytes, and has more")
    return data


def _read_inside(folder: Path, name: str, most: int) -> bytes:
    return _bounded(_inside(folder, name), most)


def report_table(report: Mapping[str, Any]) -> Group:
    """Return the report as tables for people."""
    facts = {
        "clock": f"{report['clock_mhz']:g} MHz{_without_pll(report)}",
        "fastest clock as placed": f"{report['fmax_mhz']:g} MHz",
    }
    title = f"{report['board']}: {report['engine']} engine, {report['lanes']} lanes"
    return design_tables(title, report, facts)


def _without_pll(report: Mapping[str, Any]) -> str:
    return ", without a PLL" if report.get("clock_source") == PIN.value else ""
