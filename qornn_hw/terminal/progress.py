"""Progress of long work: one live line on a terminal, plain lines elsewhere.

On a terminal the line of the running stage is animated and counts seconds; a finished stage leaves one line.
In a log or a pipe, a line is printed when a stage starts, and every ten seconds while it runs. Nothing is
shown with ``quiet`` or at verbosity QUIET (:mod:`qornn_hw.terminal.verbosity`).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from qornn_hw.terminal.text import PlainConsole, plain
from qornn_hw.terminal.verbosity import Verbosity, verbosity

__all__ = ["Progress", "StageLike", "duration", "working"]

# Updates of the live line per second.
REFRESHES = 8
LINE_SECONDS = 10.0
# The spinner uses plain ASCII, which every terminal can show.
SPINNER = "line"

Detail = Callable[[], str | None]


def duration(seconds: float) -> str:
    """Return a duration as text.

    >>> [duration(s) for s in (0.4, 41.2, 119.6, 125, 3725)]
    ['0 s', '41 s', '2 min 00 s', '2 min 05 s', '62 min 05 s']
    """
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02} s"


def _nothing() -> str | None:
    return None


class StageLike(Protocol):
    """A stage of a build, as :class:`qornn_hw.boards.stages.Stage` is one."""

    @property
    def name(self) -> str:
        """Its name, a verb."""
        ...

    @property
    def number(self) -> int:
        """Its number in the build, from 1."""
        ...

    @property
    def count(self) -> int:
        """Number of stages of the build."""
        ...

    @property
    def usual_seconds(self) -> float | None:
        """Its usual duration; None if not known."""
        ...

    @property
    def usual_total(self) -> float | None:
        """The usual duration of the whole build; None if not known."""
        ...

    @property
    def logs(self) -> Path | None:
        """The folder of the logs; None without one."""
        ...

    @property
    def log(self) -> str:
        """Name of the log that it writes; an empty string for none."""
        ...

    @property
    def note(self) -> str:
        """Text beside its name; an empty string for none."""
        ...

    def activity(self) -> str | None:
        """Return the current activity of its tool; None if not known."""
        ...


class Progress:
    """Shows stages, one after the other; a context manager.

    Args:
        console: the console for the output.
        quiet: show nothing.
        line_seconds: interval between the lines of a stage if there is no terminal.
    """

    def __init__(
        self, console: Console | None = None, *, quiet: bool = False, line_seconds: float = LINE_SECONDS
    ) -> None:
        self._console = console or PlainConsole(soft_wrap=True)
        self._quiet = quiet or verbosity() is Verbosity.QUIET
        self._line_seconds = line_seconds
        self._live: Live | None = None
        self._ticker: threading.Thread | None = None
        self._done = threading.Event()
        # Name, additional text, detail and start time of the running stage; None between stages.
        self._stage: tuple[str, str, Detail, float] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._quiet:
            return self
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                refresh_per_second=REFRESHES,
                transient=True,
                get_renderable=self._line,
            )
            self._live.start()
        else:
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        if kind is None:
            self._finish()
        else:
            self._finish("failed after" if issubclass(kind, Exception) else "interrupted after")
        self._done.set()
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._ticker is not None:
            self._ticker.join()
            self._ticker = None

    def begin(self, name: str, more: str = "", detail: Detail = _nothing) -> None:
        """Show that a stage starts, and that the one before it is done.

        Args:
            name: name of the stage.
            more: text that is shown once, after the name: usual duration, path of the log.
            detail: returns the current activity, None if not known; called from another thread.
        """
        self._finish()
        if self._quiet:
            return
        if self._live is None:
            self._print(f"{name}: {more}" if more else name)
        with self._lock:
            self._stage = (name, more, detail, time.monotonic())

    def begin_stage(self, stage: StageLike) -> None:
        """Show that a stage of a build starts: its number, its usual duration, and its log."""
        self._finish()
        if stage.number == 1 and stage.usual_total is not None:
            self.say(f"{stage.count} stages, usually about {duration(stage.usual_total)} on two cores")
        parts = [stage.note]
        if stage.usual_seconds is not None:
            parts.append(f"usually about {duration(stage.usual_seconds)}")
        if stage.log and stage.logs is not None:
            parts.append(f"log: {stage.logs / stage.log}")
        more = "; ".join(filter(None, parts))
        self.begin(f"{stage.name} ({stage.number} of {stage.count})", more, stage.activity)

    def say(self, text: str) -> None:
        """Print a line above the line of the running stage."""
        if not self._quiet:
            self._print(text)

    def _finish(self, how: str = "done in") -> None:
        """Print the final line of a stage that had only a live line."""
        with self._lock:
            stage, self._stage = self._stage, None
        if stage is None or self._live is None:
            return
        name, _, _, start = stage
        self._print(f"{name}: {how} {duration(time.monotonic() - start)}")

    def _print(self, text: str) -> None:
        # Markup and control characters in a text have no effect, and no line is cut.
        self._console.print(plain(text), soft_wrap=True)
        self._console.file.flush()

    def _tick(self) -> None:
        """Print a line at each interval while a stage runs."""
        printed: tuple[object, float] = (None, 0.0)
        while not self._done.wait(min(0.2, self._line_seconds / 4)):
            with self._lock:
                stage = self._stage
            if stage is None:
                continue
            name, _, detail, start = stage
            now = time.monotonic()
            if printed[0] is not stage:
                printed = (stage, start)
            if now - printed[1] >= self._line_seconds:
                printed = (stage, now)
                doing = detail()
                self._print(f"{name}: {duration(now - start)}{f', {doing}' if doing else ''}")

    def _line(self) -> Text | Table:
        """Return the live line: spinner, name, seconds, current activity, additional text."""
        with self._lock:
            stage = self._stage
        if stage is None:
            return Text("")
        name, more, detail, start = stage
        seconds = duration(time.monotonic() - start)
        parts = [f"{name}: {seconds}", detail(), more]
        # A text that is too long is cut, so that the spinner stays visible.
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(no_wrap=True, width=1)
        line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        line.add_row(self._spinner, plain(", ".join(filter(None, parts))))
        return line

    @property
    def _spinner(self) -> Spinner:
        if not hasattr(self, "_motion"):
            self._motion = Spinner(SPINNER)
        return self._motion


@contextmanager
def working(
    name: str,
    *,
    console: Console | None = None,
    quiet: bool = False,
    more: str = "",
    detail: Detail = _nothing,
) -> Iterator[Progress]:
    """Show one stage during a ``with`` block; arguments as for :class:`Progress` and its ``begin``."""
    with Progress(console, quiet=quiet) as progress:
        progress.begin(name, more, detail)
        yield progress
