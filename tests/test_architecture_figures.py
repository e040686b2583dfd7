"""The chart and the memory tables of docs/architecture.md are those of the compiler and of the core."""

import sys
from pathlib import Path

import numpy as np
import pytest

from qornn_hw.sim.amaranth_bench import simulate_core_in_python

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import architecture_figures as figures


def test_the_page_has_the_present_figures():
    """`python benchmarks/architecture_figures.py` would change nothing."""
    assert figures.main(["--check"]) == 0, "run python benchmarks/architecture_figures.py"


def test_a_change_is_seen(monkeypatch):
    """Another table makes the page stale."""
    monkeypatch.setattr(figures, "tables", lambda: "| another |\n")
    assert figures.main(["--check"]) == 1


def test_the_chart_is_what_the_core_does():
    """The units of a step are written in consecutive cycles, and steps follow each other as in simulation."""
    design = figures.example()
    inputs = [np.zeros((6, 2), dtype=np.int64)]
    result = simulate_core_in_python(design, inputs)
    written = dict(figures.busy(design))["state is written"]
    assert [label for _, label, _ in written] == [f"u{r}" for r in range(6)]
    assert np.all(np.diff([at for at, _, _ in written]) == 1)
    assert result.cycles_per_step == design.schedule.timing.cycles_per_step


def test_no_part_has_two_rows_in_a_cycle():
    """Each part of the core has one row a cycle at most."""
    for name, cells in figures.busy(figures.example()):
        cycles = [at for at, _, _ in cells]
        assert len(set(cycles)) == len(cycles), name


def test_a_page_without_marks_is_refused():
    """The figures are written between their marks or not at all."""
    with pytest.raises(ValueError, match="must have the lines"):
        figures.page_with_figures("# Architecture\n")
