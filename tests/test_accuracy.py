"""docs/results.md: it says what benchmarks/accuracy.jsonl holds, with any part of the runs there."""

import json
import re
import sys
from pathlib import Path

import pytest

from qornn_hw.training.result_rows import read_rows

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def accuracy():
    """The script."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import accuracy

        yield accuracy
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def report(accuracy):
    """The module of the text."""
    import accuracy_report

    return accuracy_report


def row(entry, seed=0, **changes):
    """Return a row of one run of an entry, with figures that the seed alone decides."""
    job = entry.jobs[seed]
    metric = {"copy": "cross_entropy", "adding": "mse", "characters": "bits_per_character"}.get(
        job.config.command, "accuracy"
    )
    value = 0.9 + seed / 100 if metric == "accuracy" else 10.0 ** (seed - 6)
    measured = {metric: value, "recall_accuracy": 0.5}
    curve = [{"stage": s, "iteration": i, "loss": 1 / (i + 1)} for s in ("one", "two") for i in (5, 10)]
    return (
        job.head()
        | {
            "metric": metric,
            "metrics": {"float": measured, "fake_quantized": measured, "integer": measured},
            "kilobytes": 12.0 + job.config.bits,
            "seconds": 60.0 * (1 + seed),
            "orthogonality": {"error": 0.25},
            "singular_values": [0.9, 1.0, 1.1],
            "curve": curve,
        }
        | changes
    )


def entry_of(accuracy, group, title):
    """Return the entry of the plan with that title."""
    (found,) = [e for e in accuracy.plan() if (e.group, e.title) == (group, title)]
    return found


def line_of(page, start):
    """Return the cells of the first table's line that starts so."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_page_is_what_the_rows_say(accuracy, report):
    """The committed page is written from the committed rows: run benchmarks/accuracy.py after a change."""
    docs = ROOT / "docs"
    plots = [name for name in report.PLOTS if (docs / name).exists()]
    wanted = report.page(accuracy.plan(), read_rows(accuracy.ROWS), plots)
    assert (docs / "results.md").read_text() == wanted


def test_rows_name_no_places(accuracy):
    """No row has a path in it."""
    for line in accuracy.ROWS.read_text().splitlines():
        for word in json.dumps({k: v for k, v in json.loads(line).items() if k != "curve"}).split('"'):
            assert not word.startswith(("/", "~")), word


def test_plan(accuracy):
    """Every entry has a seed or more, titles differ within a group, and jobs are asked for once."""
    entries = accuracy.plan()
    assert len({(e.group, e.title) for e in entries}) == len(entries)
    jobs = accuracy.jobs_of(entries)
    assert len({job.digest for job in jobs}) == len(jobs)
    assert {job.digest for e in entries for job in e.jobs} == {job.digest for job in jobs}
    seeds = [job.config.seed for job in jobs]
    assert seeds == sorted(seeds)
    assert {job.digest for job in accuracy.jobs_of(accuracy.plan("/elsewhere"))} == {j.digest for j in jobs}


def test_steps_by_row_are_said(accuracy, report):
    """Each title says whether W has one step per row; the page explains the difference to q_k."""
    # The titles of this group are rows of a table below a text that says it.
    entries = [e for e in accuracy.plan() if e.group != "widening"]
    assert "Each row of W has a step of its own." in " ".join(report.TEXTS["widening"][1].split())
    by_row = [e for e in entries if getattr(e.jobs[0].config, "per_row", False)]
    assert by_row and [e for e in entries if e.title.endswith(", one step per row")] == by_row
    # The titles of these groups are a column and a row of their tables, and have no room for it.
    assert not [e for e in by_row if e.group in ("methods", "bits")]
    text = " ".join(report.page(entries, []).split())
    assert "*One step per row* is not the paper's: each row of W has a step of its own" in text
    assert "kB counts these n multipliers" in text
    # So do those of other scaled steps.
    scaled = {e.group for e in entries if getattr(e.jobs[0].config, "norm_preserving", False)}
    assert scaled == {"pixels", "adding"}
    assert all("--norm-preserving`" in " ".join(report.TEXTS[group][1].split()) for group in scaled)


def test_choice_of_settings_is_said(accuracy, report):
    """The page says by what the settings were chosen, and that the baselines were not tuned."""
    text = " ".join(report.page(accuracy.plan(), []).split())
    assert "The settings were chosen by the validation metric of seed 0" in text
    assert "compared partly by test accuracy, so its figures have a small selection effect" in text
    rates = {
        job.config.learning_rate_output for e in accuracy.plan() for job in e.jobs if job.baseline is not None
    }
    assert [f"one learning rate, {rate}, which was not tuned" in text for rate in rates] == [True]


def test_cells(accuracy, report):
    """Medians with their range, goals, sizes, times, failures, and what was not run."""
    entries = accuracy.plan()
    first = entry_of(accuracy, "copy", "T0 = 1000, 256 units, k = 5, 12-bit states")
    second = entry_of(accuracy, "copy", "T0 = 1000, 256 units, k = 4, 12-bit states, one step per row")
    third = entry_of(accuracy, "copy", "T0 = 1000, 256 units, k = 3, 12-bit states, one step per row")
    failed = third.jobs[0].head() | {"error": "the loss must be finite"}
    rows = [*(row(first, seed) for seed in (0, 1, 2)), row(second, 1), failed]
    text = report.page(entries, rows)
    figure = "1.0e-5 (1.0e-6 to 1.0e-4)"
    assert line_of(text, first.title)[1:] == [
        "17.0", figure, figure, "50.00 %", "<= 1.0e-5: reached", "3 of 3", "2 min",
    ]  # fmt: skip
    assert line_of(text, second.title)[3] == "1.0e-5"
    assert line_of(text, third.title)[2:] == ["failed", "failed", "failed", "-", "0 of 1, 1 failed", "-"]
    assert f"4 of {sum(len(e.jobs) for e in entries)} planned" in " ".join(text.split())
    assert "not run" in line_of(text, "200 steps, 64 units, k = 8, 16-bit states")
    worse = row(second, 0, metrics={"integer": {"cross_entropy": 3e-5}})
    assert "<= 2.0e-5: not reached" in line_of(report.page(entries, [worse]), second.title)


def test_rows_of_other_settings_are_not_shown(accuracy, report):
    """A row whose defaults have changed since, or of another version, is not the entry's."""
    entry = entry_of(accuracy, "copy", "T0 = 1000, 256 units, k = 5, 12-bit states")
    good = row(entry)
    for other in (
        good | {"config": good["config"] | {"learning_rate_recurrent": 7.0}},
        good | {"version": 0},
    ):
        text = report.page([entry, *accuracy.plan()], [other])
        assert re.search(r"\b0 of\s+\d+\s+planned", text)


def test_bits_of_the_states(accuracy, report):
    """The columns of state bits are the run's own, and those that were measured again with other bits."""
    entry = entry_of(accuracy, "bits", "copy/5")
    plain = row(entry)
    cells = line_of(report.page(accuracy.plan(), [plain]), "5")
    assert cells[2:6] == ["1.0e-6", "1.0e-6", "-", "0.25"]
    again = plain | {"requantized": {"8": {"cross_entropy": 0.5}}}
    assert line_of(report.page(accuracy.plan(), [again]), "5")[4] == "0.5"
    text = report.page(accuracy.plan(), [row(entry_of(accuracy, "methods", "rows/ptq"))])
    assert "| float | - | 90.00 % |" in text
    assert "| float, orthogonal | not run | - | - | - | 90.00 % |" in text


def test_whole_page_and_plots(accuracy, report, tmp_path):
    """With all rows there are all plots, the same bytes each time; with none there are none."""
    entries = accuracy.plan()
    rows = [row(e, i) for e in entries for i in range(len(e.jobs))]
    assert accuracy.write_page(entries, rows, tmp_path) == list(report.PLOTS)
    page = (tmp_path / "results.md").read_text()
    assert "not run |" not in page and all(f"]({name})" in page for name in report.PLOTS)
    assert "published" in (tmp_path / "results_kilobytes.svg").read_text()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    accuracy.write_page(entries, rows, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert accuracy.write_page(entries, [], tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["results.md"]


def test_run(accuracy, monkeypatch, tmp_path, capsys):
    """--run does what is missing of the groups that are named, and writes the page; errors are one line."""
    rows, docs = tmp_path / "rows.jsonl", tmp_path / "docs"
    asked = []

    def sweep(jobs, results, *, report, **options):
        asked.append((len(jobs), options["workers"]))
        for job in jobs[:2]:
            results.append(job.head() | {"error": "a bad day"})

    monkeypatch.setattr(accuracy, "sweep", sweep)
    monkeypatch.setattr(accuracy, "ROWS", rows)
    arguments = ["accuracy.py", "--run", "--data", str(tmp_path), "--docs", str(docs)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--only", "adding", "--workers", "3"])
    assert accuracy.main() == 2
    assert asked == [(6, 3)]
    captured = capsys.readouterr()
    assert "6 of 6 runs to do" in captured.out
    assert captured.err == "accuracy.py: error: 2 of 6 runs failed, the first with: a bad day\n"
    assert "1 failed" in (docs / "results.md").read_text()
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "--docs", str(docs)])
    assert accuracy.main() == 0
    assert "results.md from 2 rows" in capsys.readouterr().out
