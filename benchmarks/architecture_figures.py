"""Draws the timing chart and the memory layouts of docs/architecture.md from compiled designs.

python benchmarks/architecture_figures.py            write docs/pass_timing.svg and the tables of the page
python benchmarks/architecture_figures.py --check    exit code 1 where they are not the present ones
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from marked_page import between

from qornn_hw.boards.estimation import plan_for
from qornn_hw.boards.registry import find_board
from qornn_hw.cells.elman_network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    Scales,
    WeightBits,
)
from qornn_hw.compiler.design import Design, compile_network
from qornn_hw.compiler.memory import Field, Memory
from qornn_hw.files.checkpoint import load_any
from qornn_hw.ir.formats import IntFormat, Rounding

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/architecture.md"
CHART = ROOT / "docs/pass_timing.svg"
COMMAND = "python benchmarks/architecture_figures.py"
MODEL = "mnist_rows_tanh"

CELL, LEFT, TOP = 17, 150, 46
COLOURS = ("#cfe3ff", "#ffe0b8", "#d5efd9", "#eadcff")


def example() -> Design:
    """Return a small design of two passes: 6 units, 2 inputs, 2 outputs, 2 elements of 2 columns."""
    rng = np.random.default_rng(0)
    n, m, p = 6, 2, 2
    network = IntegerNetwork(
        activation=Activation.RELU,
        recurrent_weight=rng.integers(-7, 8, (n, n)),
        input_weight=rng.integers(-7, 8, (n, m)),
        output_weight=rng.integers(-7, 8, (p, n)),
        bias=np.zeros(n, dtype=np.int64),
        output_bias=np.zeros(p, dtype=np.int64),
        multiplier=np.full(n, 77),
        shift=12,
        weight_bits=WeightBits(4, 4, 4),
        state_bits=8,
        input_kind=InputKind.VECTOR,
        rounding=Rounding.HALF_UP,
        initial_state=np.zeros(n, dtype=np.int64),
        input_format=IntFormat(8, signed=True),
        input_shift=0,
        output_mode=OutputMode.EVERY_STEP,
        output_kind=OutputKind.LOGITS,
        scales=Scales(1.0, 1.0, 1.0, 1.0),
    )
    return compile_network(network, columns_per_element=2, elements=2)


def busy(design: Design) -> list[tuple[str, list[tuple[int, str, int]]]]:
    """Return what each part of the core does: its name, and cycle, label and pass of each row in it."""
    placement, timing = design.schedule.placement, design.schedule.timing
    n, rows, elements = placement.network.hidden_size, placement.rows, placement.chain.elements
    labels = [f"u{r}" for r in range(n)] + [f"y{r}" for r in range(rows - n)]
    launches = [k * timing.joint_period for k in range(placement.passes)]
    out, last = 2 + timing.chain_latency, placement.passes - 1

    def cells(shift: int, count: int, passes: Iterable[int]) -> list[tuple[int, str, int]]:
        return [(launches[k] + shift + r, labels[r], k) for k in passes for r in range(count)]

    return [
        *((f"element {e}", cells(2 + e, rows, range(last + 1))) for e in range(elements)),
        ("sum leaves the chain", cells(out, rows, range(last + 1))),
        ("state is written", cells(out + timing.tail_latency, n, [last])),
    ]


def chart(design: Design) -> str:
    """Return the timing chart of a step as SVG."""
    parts = busy(design)
    timing = design.schedule.timing
    last = max(at for _, cells in parts for at, _, _ in cells)
    width, height = LEFT + CELL * (last + 2), TOP + 26 * len(parts) + 30
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    title = "One step in two passes: which row is where in which cycle"
    found = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="9">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="6" y="16" font-size="12" font-weight="bold">{title}</text>',
    ]
    found += [
        f'<text x="{LEFT + CELL * at + CELL / 2}" y="{TOP - 6}" text-anchor="middle">{at}</text>'
        for at in range(0, last + 1, 2)
    ]
    for line, (name, cells) in enumerate(parts):
        y = TOP + 26 * line
        found.append(f'<text x="6" y="{y + 14}" font-size="11">{name}</text>')
        for at, label, k in cells:
            x = LEFT + CELL * at
            found.append(
                f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="20" fill="{COLOURS[k % len(COLOURS)]}"/>'
                f'<text x="{x + CELL / 2 - 0.5}" y="{y + 13}" text-anchor="middle">{label}</text>'
            )
    found.append(
        f'<text x="6" y="{height - 10}" font-size="10">u: row of a unit, y: row of a logit. Blue: first '
        f"pass, orange: second pass. A step takes {timing.row_cycles} cycles.</text>"
    )
    return "\n".join([*found, "</svg>", ""])


def layout_table(memories: Iterable[Memory]) -> str:
    """Return the layouts of memories as a table; memories that differ in their number only share a row."""
    rows = ["| memory | words | bits of a word, lowest first | start | kind |", "|---|---|---|---|---|"]
    seen: dict[tuple[object, ...], list[str]] = {}
    for memory in memories:
        stem = memory.name.rstrip("0123456789")
        fields = ", ".join(f"{field.name} {field.bits}" for field in _merged(memory))
        facts = (stem, memory.depth, fields, bool(memory.words), memory.store, memory.written)
        seen.setdefault(facts, []).append(memory.name)
    for (_, depth, fields, starts, store, written), names in seen.items():
        name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        kind = str(store).replace("_", " ")
        what = "contents" if starts else "empty"
        rows.append(f"| `{name}` | {depth} | {fields} | {what} | {kind}, {'RAM' if written else 'ROM'} |")
    return "\n".join(rows) + "\n"


def _merged(memory: Memory) -> list[Field]:
    """Return the fields, a run of fields of one kind as one: ``operand_0 .. operand_3``."""
    merged: list[Field] = []
    first: dict[str, str] = {}
    for field in memory.fields:
        stem = field.name.rstrip("0123456789")
        if merged and stem != field.name and first.get(stem) and merged[-1].bits == field.bits:
            merged[-1] = Field(f"{first[stem]} .. {field.name}, each", field.bits, field.signed)
            continue
        first[stem] = field.name
        merged.append(field)
    return merged


def tables() -> str:
    """Return the memory layouts of a shipped model on the iCEBreaker, with each engine."""
    network = load_any(ROOT / "models" / f"{MODEL}.npz").network
    parts = []
    for name in ("lut", "dsp"):
        design = plan_for(network, find_board("icebreaker"), engine=name)
        parts.append(
            f"`models/{MODEL}.npz` on the iCEBreaker, `{name}` engine:\n\n{layout_table(design.memories)}"
        )
    return "\n".join(parts)


def page_with_figures(page: str) -> str:
    """Return docs/architecture.md with its chart and its tables."""
    picture = f"![Which row is where in which cycle]({CHART.name})\n"
    page = between(page, f"<!-- timing chart: {COMMAND} -->\n", "<!-- end of the timing chart -->\n", picture)
    return between(page, f"<!-- memories: {COMMAND} -->\n", "<!-- end of the memories -->\n", tables())


def main(arguments: list[str] | None = None) -> int:
    """Write or check the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    old = PAGE.read_text()
    page, drawing = page_with_figures(old), chart(example())
    if options.check:
        return int(page != old or not CHART.is_file() or CHART.read_text() != drawing)
    PAGE.write_text(page)
    CHART.write_text(drawing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
