"""Stages of a build: which one it is, how long it usually takes, and what its tool is doing.

The usual time is an estimate from measured builds (docs/boards.md, How long a build takes): seconds for a
thousand logic cells on two cores, by family. A machine that has other work takes longer.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qornn_hw.rtl_gen.yosys import PREPARING, preparation

__all__ = ["Stage", "preparation", "tool_activity", "usual_seconds"]

# The end of a log is enough: a step of yosys rarely says more.
TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class Stage:
    """A stage as it begins.

    Attributes:
        name: one of the stages that the build or the reload lists.
        number: counted from 1.
        count: of stages.
        usual_seconds: how long it usually takes; None where nobody measured.
        usual_total: the same of all stages together.
        logs: folder with the logs of the tools that run.
        log: name of the log of the stage's tool, "" where no tool runs.
        note: what makes it last longer this time, "" for nothing.
    """

    name: str
    number: int
    count: int
    usual_seconds: float | None = None
    usual_total: float | None = None
    logs: Path | None = None
    log: str = ""
    note: str = ""

    def __str__(self) -> str:
        return self.name

    def activity(self) -> str | None:
        """Return what the tool is doing, by the log that was written last; None where it does not say."""
        if self.logs is None:
            return None
        try:
            newest = max(self.logs.glob("*.log"), key=lambda log: log.stat().st_mtime_ns)
            with newest.open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
                text = stream.read(TAIL_BYTES).decode("utf-8", "replace")
        except (OSError, ValueError):
            # There is none yet, or it was moved at this moment.
            return None
        return tool_activity(text)


# The activity of a tool, by a line of its log; the last line that any of them matches counts.
_ACTIVITIES: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"^Preparing to run \S+ This might take a while"), PREPARING),
    (re.compile(r"^([\d.]+)\. Executing (\w+) pass"), r"step \1, \2"),
    (re.compile(r"^Info: Packing (.+?)\.\."), r"packing \1"),
    (re.compile(r"^Info: Creating initial (?:analytic )?placement"), "first placement"),
    (re.compile(r"^Info: +at iteration #(\d+), type"), r"placement, iteration \1"),
    (re.compile(r"^Info: Running simulated annealing"), "refining the placement"),
    (re.compile(r"^Info: +at iteration #(\d+): temp"), r"refining the placement, iteration \1"),
    (re.compile(r"^Info: Routing (\d+) arcs"), r"routing \1 connections"),
    (re.compile(r"^Info: +(\d+) \| +\d+ +\d+ \| +\d+ +\d+ \| +(\d+)\|"), r"routing, \2 connections to go"),
    (re.compile(r"^Info: Routing complete"), "routed"),
)


def tool_activity(log: str) -> str | None:
    """Return what yosys or nextpnr is doing, by what it has logged; None where nothing says.

    >>> tool_activity("2.52.14.3. Executing ABC9_OPS pass (helper functions for ABC9).")
    'step 2.52.14.3, ABC9_OPS'
    """
    for line in reversed(log.splitlines()):
        for pattern, said in _ACTIVITIES:
            if (found := pattern.match(line)) is not None:
                return found.expand(said)
    return None


def usual_seconds(rates: Mapping[str, tuple[float, float]], cells: int) -> dict[str, float]:
    """Return how many seconds each stage of a build usually takes, {} for a family that nobody measured.

    Args:
        rates: (at least, for each thousand logic cells) by stage
            (:attr:`qornn_hw.boards.device_family.DeviceFamily.stage_rates`).
        cells: logic cells of the design, as they are estimated.
    """
    return {stage: least + rate * cells / 1000 for stage, (least, rate) in rates.items()}
