"""Build one network for every board and write what it takes and how fast it is to docs/boards.md.

    python benchmarks/board_table.py                       the table, from benchmarks/board_table.jsonl
    python benchmarks/board_table.py --run [BOARD ...]     builds before it, for all boards or these

A build is minutes. Cycles are counted in simulation, every hidden unit compared with the integer model; area
and clock are those of the placed design. The last row of a board counts.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from boards.build import build
from boards.estimation import plan_for
from boards.registry import BOARDS, find_board
from qornn_hw.checkpoint import load_checkpoint
from qornn_hw.errors import QornnError
from sim.amaranth_bench import simulate_core_in_python
from sim.stimuli import random_sequences

REPOSITORY = Path(__file__).parents[1]
MODEL = "mnist_rows"
ROWS = REPOSITORY / "benchmarks" / "board_table.jsonl"
PAGE = REPOSITORY / "docs" / "boards.md"
BEGIN, END = "<!-- benchmarks/board_table.py: begin -->\n", "<!-- benchmarks/board_table.py: end -->\n"
COUNTED_STEPS = 5


def run(name: str) -> dict[str, Any]:
    """Build the network for a board and return its row."""
    board = find_board(name)
    network = load_checkpoint(REPOSITORY / "models" / f"{MODEL}.npz").network
    design = plan_for(network, board)
    counted = simulate_core_in_python(design, random_sequences(network, batch=1, steps=COUNTED_STEPS, seed=0))
    with tempfile.TemporaryDirectory() as folder:
        report = build(design, board, Path(folder) / "out", cycles_per_step=counted.cycles_per_step)
    report["seconds"] = round(sum(report["seconds"].values()), 1)
    return {"name": name, "model_name": MODEL, "integers_compared": counted.integers_compared} | report


def _used(row: dict[str, Any], kind: str) -> str:
    there = row["available"][kind]
    return f"{row['resources'][kind]} of {there}" if there else "-"


def _line(name: str, row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return [f"`{name}`", "not run", *[""] * 7]
    return [
        f"`{name}`",
        f"{row['engine']}, {row['lanes']}",
        _used(row, "lut"),
        _used(row, "bram"),
        _used(row, "dsp"),
        f"{row['fmax_mhz']:g}",
        f"{row['clock_mhz']:g}",
        f"{row['cycles_per_step']:g}",
        f"{row['step_us']:.2f}",
    ]


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table of all boards."""
    columns = [
        "Board",
        "Engine, lanes",
        "Logic cells",
        "Block RAMs",
        "Multipliers",
        "fmax, MHz",
        "Clock, MHz",
        "Cycles a step",
        "us a step",
    ]
    lines = [columns, ["---"] * len(columns)]
    lines += [_line(board.name, rows.get(board.name)) for board in BOARDS]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def read_rows() -> dict[str, dict[str, Any]]:
    """Return the last row of each board."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def write_page() -> None:
    """Put the table into the page, between its marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table(read_rows())}{END}{after}")


def main() -> int:
    """Build what is asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", nargs="*", metavar="BOARD", choices=[board.name for board in BOARDS])
    arguments = parser.parse_args()
    failed = 0
    for board in BOARDS if arguments.run is not None else ():
        if arguments.run and board.name not in arguments.run:
            continue
        try:
            row = run(board.name)
        except QornnError as error:
            print(f"{board.name}: {error}", file=sys.stderr)
            failed += 1
            continue
        with ROWS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(" | ".join(_line(board.name, row)), flush=True)
        write_page()
    write_page()
    print(f"wrote {PAGE}")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
