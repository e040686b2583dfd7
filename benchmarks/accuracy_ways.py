"""Ways to few bits of W that were tried once: their table, from rows whose code was not kept."""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ways_table"]

ROWS = Path(__file__).with_name("few_bits.jsonl")
# In the order of the table. The first three are options of `qornn-hw train`.
WAYS = {
    "row": "STE, one step per row (`--per-row`)",
    "norm": "the same, rows keep their norm (`--norm-preserving`)",
    "orthogonal": "start from a nearly orthogonal rounding (`--orthogonal-rounding`)",
    "lsq": "LSQ: a learned step per row",
    "gptq": "start from a rounding that compensates errors on the states of 64 sequences (GPTQ), then STE",
    "admm": "ADMM: 70 % of the updates towards the nearest grid, then STE",
    "codebook": "2^k values of a 6-bit grid for all of W (Lloyd), then STE",
    "patterns": "four weights at a time from 256 patterns of 4-bit weights, then STE",
}
METRICS = {"copy": "cross_entropy", "rows": "accuracy"}
BITS = (2, 3, 4)


def _metrics() -> dict[tuple[str, str, int], list[float]]:
    """Return the metric of each run by way, task and bits."""
    found: dict[tuple[str, str, int], list[float]] = {}
    for line in ROWS.read_text().splitlines():
        row: Mapping[str, Any] = json.loads(line)
        key = (row["way"], row["task"], row["bits"])
        found.setdefault(key, []).append(row["metrics"][METRICS[row["task"]]])
    return found


def ways_table() -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table: medians, with the number of seeds."""
    rows = _metrics()
    found = []
    for way, name in WAYS.items():
        cells = [name]
        for task in METRICS:
            for bits in BITS:
                values = rows.get((way, task, bits), [])
                cells.append(_cell(values, task) if values else "-")
        found.append(cells)
    return ["way", *(f"{task}, k = {k}" for task in METRICS for k in BITS)], found


def _cell(values: list[float], task: str) -> str:
    middle = statistics.median(values)
    text = f"{middle:.1e}" if task == "copy" else f"{100 * middle:.2f} %"
    return f"{text} ({len(values)})"
