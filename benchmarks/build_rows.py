"""What scripts that build networks for boards have in common: a file with a row for each build, a table."""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qornn_hw.boards.build import build
from qornn_hw.boards.estimation import plan_for
from qornn_hw.boards.registry import find_board
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.errors import QornnError
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import random_sequences

__all__ = ["Row", "build_row", "markdown", "read_rows", "run_rows"]

Row = dict[str, Any]
COUNTED_STEPS = 5


def build_row(network: IntegerNetwork, board_name: str, engine: str | None = None, effort: int = 1) -> Row:
    """Build a network for a board; return the report, and the integers compared while cycles were counted."""
    board = find_board(board_name)
    design = plan_for(network, board, engine=engine)
    sequences = random_sequences(network, batch=1, steps=COUNTED_STEPS, seed=0)
    counted = simulate_core_in_python(design, sequences)
    with tempfile.TemporaryDirectory() as folder:
        report = build(
            design, board, Path(folder) / "out", cycles_per_step=counted.cycles_per_step, effort=effort
        )
    report["seconds"] = round(sum(report["seconds"].values()), 1)
    return {"integers_compared": counted.integers_compared} | report


def read_rows(path: Path) -> dict[str, Row]:
    """Return the last row of each name."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def run_rows(runs: Mapping[str, Callable[[], Row]], path: Path, finished: Callable[[str, Row], None]) -> int:
    """Run builds, add the row of each to the file, and call ``finished`` with its name and it.

    Returns:
        how many failed; standard error says why.
    """
    failed = 0
    for name, run in runs.items():
        try:
            row = {"name": name} | run()
        except QornnError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed += 1
            continue
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        finished(name, row)
    return failed


def markdown(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
