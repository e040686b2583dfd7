"""The runs of the accuracy benchmark with their rows: what tables and plots read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qornn_hw.training.result_rows import Job, Row, latest

__all__ = ["METRICS", "Entry", "Found", "curve_of", "find", "metric_of"]

METRICS = {
    "cross_entropy": "cross-entropy, nats",
    "mse": "mean squared error",
    "accuracy": "accuracy",
    "bits_per_character": "bits per character",
}


@dataclass(frozen=True)
class Entry:
    """One line of a table: a configuration with some seeds.

    Attributes:
        group: the table.
        title: the line.
        jobs: one for each seed.
        goal: what the metric of the integers should reach; None: no goal was set.
        rung: ``integer``, or ``float`` for a network without quantization.
    """

    group: str
    title: str
    jobs: tuple[Job, ...]
    goal: float | None = None
    rung: str = "integer"


@dataclass(frozen=True)
class Found:
    """An entry and the rows of its runs.

    Attributes:
        entry: the entry.
        rows: of the runs that came to an end.
        errors: what those said that failed.
    """

    entry: Entry
    rows: tuple[Row, ...]
    errors: tuple[str, ...]

    @property
    def failed(self) -> int:
        """How many runs failed."""
        return len(self.errors)

    def values(self, rung: str, metric: str | None = None) -> list[float]:
        """Return a metric of each run; the rung may be a number of bits of the states, ``12`` or ``8``."""
        found = []
        for row in self.rows:
            metrics = row["metrics"]
            again = row.get("requantized") or metrics.get("requantized") or {}
            if rung.isdecimal():
                at = metrics.get("integer") if row["state_bits"] == int(rung) else again.get(rung)
            else:
                at = metrics.get(rung)
            value = (at or {}).get(metric or row["metric"])
            if value is not None:
                found.append(float(value))
        return found

    def of(self, name: str) -> list[float]:
        """Return another figure of each run: kilobytes, seconds."""
        return [float(row[name]) for row in self.rows if name in row]


def find(entries: Iterable[Entry], rows: Sequence[Row]) -> list[Found]:
    """Return the entries with their rows."""
    by_command: dict[str, list[Row]] = {}
    for row in rows:
        by_command.setdefault(row["command"], []).append(row)
    found = []
    for entry in entries:
        its = [latest(by_command.get(job.command, []), job) for job in entry.jobs]
        there = [row for row in its if row is not None]
        good = tuple(row for row in there if "error" not in row)
        found.append(Found(entry, good, tuple(row["error"] for row in there if "error" in row)))
    return found


def metric_of(found: Found) -> str:
    """Return the metric by which the networks of an entry are compared."""
    return {
        "copy": "cross_entropy", "adding": "mse", "characters": "bits_per_character",
    }.get(found.entry.jobs[0].config.command, "accuracy")  # fmt: skip


def curve_of(row: dict[str, Any]) -> tuple[list[int], list[float]]:
    """Return the iterations, counted on through the stages, and the losses of a row's curve."""
    steps, losses = [], []
    before, stage, last = 0, None, 0
    for point in row.get("curve", []):
        if point["stage"] != stage:
            before, stage = before + last, point["stage"]
        last = point["iteration"]
        steps.append(before + last)
        losses.append(point["loss"])
    return steps, losses
