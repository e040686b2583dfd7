"""Build one network for every board and write what it takes and how fast it is to docs/boards.md.

    python benchmarks/board_table.py                       the table, from benchmarks/board_table.jsonl
    python benchmarks/board_table.py --run [BOARD ...]     builds before it, for all boards or these

A build is minutes. Cycles are counted in simulation, every hidden unit compared with the integer model; area
and clock are those of the placed design. The last row of a board counts.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from build_rows import Row, build_row, markdown, read_rows, run_rows

from qornn_hw.boards.registry import BOARDS
from qornn_hw.files.checkpoint import load_checkpoint

REPOSITORY = Path(__file__).parents[1]
MODEL = "mnist_rows"
ROWS = REPOSITORY / "benchmarks" / "board_table.jsonl"
PAGE = REPOSITORY / "docs" / "boards.md"
BEGIN, END = "<!-- benchmarks/board_table.py: begin -->\n", "<!-- benchmarks/board_table.py: end -->\n"


def run(name: str) -> Row:
    """Build the network for a board and return its row."""
    network = load_checkpoint(REPOSITORY / "models" / f"{MODEL}.npz").network
    return {"model_name": MODEL} | build_row(network, name)


def _used(row: Row, kind: str) -> str:
    there = row["available"][kind]
    return f"{row['resources'][kind]} of {there}" if there else "-"


def _line(name: str, row: Row | None) -> list[str]:
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


def table(rows: dict[str, Row]) -> str:
    """Return the table of all boards."""
    columns = [
        "Board",
        "Engine, lanes",
        "Logic cells",
        "Block RAMs",
        "Multipliers",
        "fmax, MHz",
        "Clock, MHz",
        "Cycles per step",
        "us per step",
    ]
    return markdown(columns, [_line(board.name, rows.get(board.name)) for board in BOARDS])


def write_page() -> None:
    """Put the table into the page, between its marks."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table(read_rows(ROWS))}{END}{after}")


def main() -> int:
    """Build what is asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", nargs="*", metavar="BOARD", choices=[board.name for board in BOARDS])
    arguments = parser.parse_args()
    names = [] if arguments.run is None else arguments.run or [board.name for board in BOARDS]

    def finished(name: str, row: Row) -> None:
        print(" | ".join(_line(name, row)), flush=True)
        write_page()

    failed = run_rows({name: partial(run, name) for name in names}, ROWS, finished)
    write_page()
    print(f"wrote {PAGE}")
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
