"""Build networks for boards and write what they take and how fast they are to docs/benchmarks.md.

    python benchmarks/hardware.py                      the page, from benchmarks/hardware.jsonl
    python benchmarks/hardware.py --run [NAME ...]     builds before it, all or those of these names
    python benchmarks/hardware.py --list               the names

The rivals build the common step with their own tools, which are installed for it. A build is minutes. Every
row is one: cycles counted in simulation, every hidden unit of it compared with the integer model, area and
clock from the placed design. The last row of a name counts.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from build_rows import Row, build_row, markdown, read_rows, run_rows
from common_step import run_common
from hardware_plots import Point, draw_roofline
from limit import limit_network
from rivals import RIVALS, run_rival

from qornn_hw.boards.registry import find_board
from qornn_hw.cells.elman_network import IntegerNetwork, OutputMode
from qornn_hw.compiler.engines.lut import ENGINE
from qornn_hw.compiler.engines.lut.plans import LutPlans
from qornn_hw.compiler.family import RESOURCE_NAMES
from qornn_hw.compiler.request import Request
from qornn_hw.files.checkpoint import load_checkpoint

REPOSITORY = Path(__file__).parents[1]
ROWS = REPOSITORY / "benchmarks" / "hardware.jsonl"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
PLOT = REPOSITORY / "docs" / "benchmarks_roofline.svg"

# The row of the step that others were measured with.
COMMON = "common"
# What a step's energy is modelled with, core rail only: a logic cell and the clock of an iCE40UP5K a cycle.
# Both are slopes of the currents that tinyVision.ai measured (github.com/tinyvision-ai-inc/ice40_power) at
# 1.2 V: an 8 x 8 multiplier in 180 cells at 12 MHz, and a counter at 6 to 48 MHz. Block RAM, SPRAM and
# multipliers are not in it.
PICOJOULE_A_CELL = 0.2
PICOJOULE_A_CYCLE = 52.0
# Bits that a block RAM gives a cycle, by family; those of the four SPRAMs of an iCE40UP5K, its multipliers.
BLOCK_RAM_BITS = {"ice40": 16, "ecp5": 36}
SPRAM_BITS = 64
MULTIPLIERS = 8


@dataclass(frozen=True)
class Case:
    """One line of the page.

    Attributes:
        name: what --run takes.
        title: what the page calls the network.
        network: makes it.
        board: for which.
        engine: the planner's choice where None.
        goal_us: the most microseconds a step that were aimed at.
    """

    name: str
    title: str
    network: Callable[[], IntegerNetwork]
    board: str = "icebreaker"
    engine: str | None = None
    goal_us: float | None = None


def _made(
    hidden: int,
    bits: int,
    output_bits: int = 4,
    state_bits: int = 8,
    output_mode: OutputMode = OutputMode.EVERY_STEP,
) -> Callable[[], IntegerNetwork]:
    return lambda: limit_network(hidden, bits, output_bits, state_bits, output_mode)


def _shipped(name: str) -> Callable[[], IntegerNetwork]:
    return lambda: load_checkpoint(REPOSITORY / "models" / f"{name}.npz").network


CASES = (
    Case("n64-k4", "64 units, k = 4, 8-bit states", _made(64, 4), goal_us=1.6),
    Case("n128-k4", "128 units, k = 4, 8-bit states", _made(128, 4), goal_us=6.0),
    Case("n128-k8-dsp", "128 units, k = 8, 8-bit states", _made(128, 8, 8), engine="dsp"),
    Case(
        "n170-k4",
        "170 units, k = 4, 8-bit states, answer at the end",
        _made(170, 4, output_mode=OutputMode.LAST_STEP),
        goal_us=15.0,
    ),
    Case("mnist_rows", "`mnist_rows`, 64 units, k = 4", _shipped("mnist_rows")),
    Case("copy", "`copy`, 64 units, k = 6, 10-bit states", _shipped("copy")),
    Case("speech", "`speech`, 64 units, k = 4, V of 8 bits", _shipped("speech")),
    Case("pmnist", "`pmnist`, 170 units, k = 4, 8-bit states", _shipped("pmnist"), goal_us=15.0),
    Case("pmnist_8", "`pmnist_8`, 170 units, k = 8, 12-bit states", _shipped("pmnist_8")),
    Case("copy_256", "`copy_256`, 256 units, k = 5, 12-bit states", _shipped("copy_256"), goal_us=200.0),
    Case("n128-k4-ecp5", "128 units, k = 4, 8-bit states", _made(128, 4), "ulx3s-25f", goal_us=1.2),
    Case("n170-k4-ecp5", "170 units, k = 4, 8-bit states", _made(170, 4), "ulx3s-25f", goal_us=2.0),
)

HEAD = """# Benchmarks

`python benchmarks/hardware.py` writes this page from the rows of `benchmarks/hardware.jsonl`; no figure is
typed in by hand. `python benchmarks/hardware.py --run` repeats the builds.

- The figures are those of the whole design: clock, UART, link and core.
- *Cycles* are those of a step in steady state, counted in a simulation that compares every hidden unit
  with the integer model.
- *Clock* and area are those of the placed design; the clock is the fastest of the board's clocks that the
  timing report allows.
- Nothing here has been measured on a physical board.

"""
NOTES = """
![Time of a step against logic cells, and its bound]({plot})

*Bound* is the smallest number of cycles that the device allows for such an engine, whatever the other logic:

- `lut`: the bits of all weights divided by the bits that all block RAMs deliver per cycle ({ebr});
  if weights are in SPRAM, the SPRAMs' bits are added.
- `dsp` on an UltraPlus: one weight per cycle for each of the {macs} multipliers, or the {spram} bits
  per cycle of the SPRAMs.

With `lut` on an iCE40 the logic cells are exhausted before this bound is reached. *cells x cycles / MAC*
measures how well the engine uses them. On an ECP5 the limit is the chain, which computes one row per cycle
however many lanes it has.

{common}
*uJ per step* is a model of the energy on the iCE40UP5K's core supply, not a measurement: {cell} pJ per logic
cell and {cycle} pJ for the clock in each cycle. Both are slopes of currents that tinyVision.ai measured.
Memories and multipliers are not included.
"""


def run(case: Case, effort: int) -> Row:
    """Build a case and return its row."""
    network = case.network()
    weights = network.weight_bits
    n, m, p = network.hidden_size, network.input_size, network.output_size
    vector = n * m * weights.input if network.vector_input else 0
    bits = n * n * weights.recurrent + vector + p * n * weights.output
    return {"weight_memory_bits": bits} | build_row(network, case.board, case.engine, effort)


def _bound(row: Row) -> float:
    if row["engine"] == "dsp":
        return max(row["macs_per_step"] / MULTIPLIERS, row["weight_memory_bits"] / SPRAM_BITS)
    read = _block_ram_bits(row) + (SPRAM_BITS if row["resources"]["spram"] else 0)
    return float(row["weight_memory_bits"]) / read


def _block_ram_bits(row: Row) -> int:
    """Return the bits that all block RAMs of the device of a row give a cycle."""
    bits: int = row["available"]["bram"] * BLOCK_RAM_BITS[row["family"]]
    return bits


def _line(case: Case, row: Row) -> list[str]:
    used, there = row["resources"], row["available"]
    cycles, lut = row["cycles_per_step"], used["lut"]
    goal = ""
    if case.goal_us is not None:
        goal = f"<= {case.goal_us:g}: {'reached' if row['step_us'] <= case.goal_us else 'not reached'}"
    bound = _bound(row)
    energy = cycles * (PICOJOULE_A_CELL * lut + PICOJOULE_A_CYCLE) / 1e6
    return [
        case.title,
        row["board"],
        f"{row['engine']}, {row['lanes']}",
        f"{cycles:g}",
        f"{row['clock_mhz']:g} ({row['fmax_mhz']:g})",
        f"{row['step_us']:.2f}",
        goal,
        f"{lut} of {there['lut']}",
        "/".join(str(used[kind]) for kind in ("bram", "spram", "dsp")),
        f"{100 * row['utilisation']:.1f} %",
        f"{lut * cycles / row['macs_per_step']:.0f}",
        f"{bound:.0f} ({100 * bound / cycles:.0f} %)",
        f"{energy:.2f}" if row["board"] == "icebreaker" else "-",
        f"{row['seconds']:.0f} s",
    ]


def page(rows: dict[str, Row]) -> str:
    """Return docs/benchmarks.md."""
    columns = [
        "network",
        "board",
        "engine, lanes",
        "cycles per step",
        "clock (fmax), MHz",
        "us per step",
        "goal",
        "logic cells",
        "block RAM / SPRAM / DSP",
        "lane utilisation",
        "cells x cycles / MAC",
        "bound, cycles (share)",
        "uJ per step",
        "build",
    ]
    lines = [
        _line(case, rows[case.name]) if case.name in rows else [case.title, case.board, "not run"] + [""] * 11
        for case in CASES
    ]
    notes = NOTES.format(
        common=_common(rows),
        ebr=", ".join(
            f"{_block_ram_bits(row)} on the {board}"
            for board, row in {row["board"]: row for row in rows.values() if "board" in row}.items()
        ),
        spram=SPRAM_BITS,
        macs=MULTIPLIERS,
        cell=PICOJOULE_A_CELL,
        cycle=PICOJOULE_A_CYCLE,
        plot=PLOT.name,
    )
    commands = "\n".join(f"- {case.title}, {case.board}: `--run {case.name}`" for case in CASES)
    return (
        HEAD
        + markdown(columns, lines)
        + notes
        + _limits(rows)
        + _microcontrollers(rows)
        + "\n**Commands.** `python benchmarks/hardware.py` with one of these options repeats one line:\n\n"
        + commands
        + "\n"
    )


def _common(rows: dict[str, Row]) -> str:
    """Return the table of this and other tools on the common step; '' without any row of it."""
    tools = [(COMMON, "qornn-hw, lut engine", "computes the complete step, as a core with streams")]
    tools += [(rival.name, rival.package.replace("==", " "), rival.says) for rival in RIVALS]
    lines = []
    for name, tool, says in tools:
        if name in rows:
            row = rows[name]
            luts, cycles, macs = row["cells"]["SB_LUT4"], row["cycles_per_step"], row["macs_per_step"]
            share = f"{luts * cycles / macs:,.0f}"
            compared = str(row["integers_compared"])
            lines.append([tool, str(luts), f"{cycles:g}", share, compared, f"{says}; `--run {name}`"])
    if not lines:
        return ""
    columns = ["tool", "SB_LUT4", "cycles", "LUT x cycles / MAC", "integers compared", "result"]
    return (
        "**The same step in other tools**: 64 units, 8 inputs of 8 bits, k = 4, tanh by table. The "
        "cores alone\nwere synthesized by synth_ice40 of the same yosys. Each was first compared with NumPy."
        "\n\n"
        + markdown(columns, lines)
        + "\nOther sources give 1400 LUT x cycles / MAC for elasticai.creator 0.67 with an LSTM of 56 units "
        "(it cannot\nbuild 64 units), and 80 for a plain time-multiplexed engine of a hundred lines.\n"
    )


def _lacks(over: dict[str, int]) -> str:
    return " and ".join(f"{count} {RESOURCE_NAMES[kind]}" for kind, count in over.items())


def _held_back(case: Case, row: Row) -> str:
    """Return what keeps a design from its bound, and from being faster."""
    network, board = case.network(), find_board(case.board)
    request = Request(network=network, available=board.for_core, family=board.family, name=board.name)
    chains = LutPlans(ENGINE, request).considered()
    cycles = row["cycles_per_step"]
    if row["engine"] == "dsp":
        macs = row["macs_per_step"] / MULTIPLIERS
        nearest = min(chains, key=lambda row: sum(row.excess.values()))
        schedule, over = nearest.schedule, nearest.excess
        other = (
            f"the smallest chain of the lut engine exceeds the device by {_lacks(over)}"
            if over
            else f"a chain of the lut engine takes {schedule.cycles_per_step} cycles"
        )
        text = (
            f"the {MULTIPLIERS} multipliers are busy for {macs:.0f} of the {cycles:g} cycles, with one "
            "weight each per cycle"
        )
        return f"{text}; {other}"
    faster = [row for row in chains if row.schedule.cycles_per_step < cycles and row.excess]
    busy = row["macs_per_step"] / row["lanes"]
    text = f"{row['lanes']} lanes are busy for {busy:.0f} of the {cycles:g} cycles"
    if row["lanes"] >= network.hidden_size:
        text += (
            ", in a single pass: there is a lane for each column, and the chain computes one row per cycle"
        )
    if not faster:
        return f"{text}; no chain is faster"
    schedule, over = faster[-1].schedule, faster[-1].excess
    return (
        f"{text}; the next faster chain, {schedule.lanes} lanes in {schedule.cycles_per_step} cycles, "
        f"exceeds the device by {_lacks(over)}"
    )


def _limits(rows: dict[str, Row]) -> str:
    lines = [
        f"- {case.title}, {case.board}: {_held_back(case, rows[case.name])}."
        for case in CASES
        if case.name in rows
    ]
    return (
        "\n**Limits.** What prevents a faster design, by the planner's estimate:\n\n"
        + "\n".join(lines)
        + "\n"
    )


# A step on a microcontroller, its cycles for a multiply-accumulate: estimates, not measured here.
MICROCONTROLLERS = (
    (
        "Cortex-M4F, 80 MHz (STM32L4)",
        80,
        3.3,
        "roughly ST's runtime on MLPerf Tiny's keyword spotting",
    ),
    ("Cortex-M0+, 133 MHz (RP2040)", 133, 8.0, "no SIMD"),
    ("ESP32 (LX6), 240 MHz", 240, 5.0, "scalar multiply and add, with loads"),
)
COMPARED = "n128-k4"


def _microcontrollers(rows: dict[str, Row]) -> str:
    if COMPARED not in rows:
        return ""
    row = rows[COMPARED]
    title = next(case.title for case in CASES if case.name == COMPARED)
    macs = row["macs_per_step"]
    lines = [
        "| device | cycles / MAC | us per step | relative time |",
        "| --- | --- | --- | --- |",
    ]
    ours = f"{row['cycles_per_step'] / macs:.3f} | {row['step_us']:.2f} | 1 |"
    lines.append(f"| {row['board']}, {row['clock_mhz']:g} MHz | {ours}")
    for name, mhz, cycles, source in MICROCONTROLLERS:
        us = macs * cycles / mhz
        lines.append(f"| {name} | {cycles:g}: {source} | {us:.0f} | {us / row['step_us']:.0f} |")
    return (
        f"\n**Microcontrollers**, for comparison: the {macs} multiply-accumulates of one step of the network "
        f"with {title},\non 8-bit operands. Their cycles per MAC are rough estimates, not measurements.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _draw(rows: dict[str, Row]) -> None:
    points = []
    for case in CASES:
        row = rows.get(case.name)
        if row is not None and row["board"] == "icebreaker":
            bound = _bound(row) / row["clock_mhz"]
            points.append(Point(case.name, row["engine"], row["resources"]["lut"], row["step_us"], bound))
    if points:
        draw_roofline(points, rows[COMPARED]["available"]["lut"] if COMPARED in rows else 5280, PLOT)


def write() -> None:
    """Write page and picture from the rows."""
    rows = read_rows(ROWS)
    PAGE.write_text(page(rows))
    _draw(rows)


def main() -> int:
    """Build what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tools = {COMMON: run_common} | {rival.name: partial(run_rival, rival) for rival in RIVALS}
    names = [*tools, *(case.name for case in CASES)]
    parser.add_argument("--run", nargs="*", metavar="NAME", choices=names)
    parser.add_argument("--effort", type=int, default=1, help="seeds of place and route that are tried")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{case.name:16} {case.title}, {case.board}" for case in CASES))
        return 0
    names = [] if arguments.run is None else arguments.run or names
    chosen = {case.name: case for case in CASES if case.name in names}

    def finished(name: str, row: Row) -> None:
        print(_common({name: row}) if name in tools else " | ".join(_line(chosen[name], row)), flush=True)
        write()

    runs: dict[str, Callable[[], Row]] = {name: tool for name, tool in tools.items() if name in names}
    runs |= {name: partial(run, case, arguments.effort) for name, case in chosen.items()}
    failed = run_rows(runs, ROWS, finished)
    write()
    print(f"wrote {PAGE}")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
