"""Writes docs/results.md and its plots from rows of results."""

from collections.abc import Sequence
from pathlib import Path

from accuracy_plots import draw
from accuracy_report import PLOTS, page
from accuracy_rows import Entry, find

from qornn_hw.training.result_rows import Row

__all__ = ["write_page"]


def write_page(entries: Sequence[Entry], rows: Sequence[Row], docs: Path) -> list[str]:
    """Write results.md and its plots into a folder; return the names of the plots that have data."""
    docs.mkdir(parents=True, exist_ok=True)
    plots = draw(find(entries, rows), docs)
    for name in PLOTS:
        if name not in plots:
            (docs / name).unlink(missing_ok=True)
    (docs / "results.md").write_text(page(entries, rows, plots))
    return plots
