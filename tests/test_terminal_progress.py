"""Progress: a live line on a terminal, plain lines elsewhere, nothing when quiet."""

import io
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from qornn_hw.terminal.progress import Progress, duration, working


def screen(terminal):
    """Return a console that writes into a text, and the text."""
    text = io.StringIO()
    return Console(file=text, force_terminal=terminal, width=80, highlight=False), text


def test_lines_without_a_terminal():
    """A stage prints a line as it begins and one for each while that it goes on, with its seconds."""
    console, text = screen(terminal=False)
    with Progress(console, line_seconds=0.2) as progress:
        progress.begin(
            "synthesize (2 of 6)", "about 40 s on two cores; log: synthesize.log", lambda: "step 2.5"
        )
        time.sleep(0.75)
        progress.begin("pack (6 of 6)")
        time.sleep(0.1)
    first, *more, last = text.getvalue().splitlines()
    assert first == "synthesize (2 of 6): about 40 s on two cores; log: synthesize.log"
    assert last == "pack (6 of 6)"
    assert 2 <= len(more) <= 4
    assert set(more) <= {"synthesize (2 of 6): 0 s, step 2.5", "synthesize (2 of 6): 1 s, step 2.5"}


def test_motion_on_a_terminal():
    """The live line changes several times a second, says all of it, and leaves one line for each stage."""
    console, text = screen(terminal=True)
    with Progress(console) as progress:
        progress.begin("place", "about 2 min 05 s; log: place.log", lambda: "iteration 3")
        time.sleep(1.0)
        live = text.getvalue()
        progress.begin("pack")
        time.sleep(0.3)
    drawn = [line for line in live.replace("\r", "\n").splitlines() if "place: " in line]
    assert len({line for line in drawn}) >= 4
    assert all("iteration 3, about 2 min 05 s; log: place.log" in line for line in drawn)
    assert "place: done in 1 s" in text.getvalue() and "pack: done in 0 s" in text.getvalue()


def test_a_long_line_is_cut_on_a_terminal():
    """The live line never wraps, which would leave parts of it behind, and is still animated."""
    console, text = screen(terminal=True)
    with Progress(console) as progress:
        progress.begin("place", "x" * 200)
        time.sleep(0.4)
    live = text.getvalue().split("place: done")[0]
    assert "x" * 40 in live and "x" * 81 not in live
    assert len(set(re.findall(r"([-|/\\]) place: ", live))) >= 2


@dataclass(frozen=True)
class BuildStage:
    """A stage as a build has them."""

    name: str
    number: int
    count: int = 6
    usual_seconds: float | None = None
    usual_total: float | None = None
    logs: Path | None = None
    log: str = ""
    note: str = ""

    def activity(self):
        """Nobody knows."""


@pytest.mark.parametrize("terminal", [True, False])
def test_stages_of_a_build(terminal):
    """Each says which it is, its usual time, its log and what delays it; the first also that of all."""
    console, text = screen(terminal)
    console.width = 200
    with Progress(console) as progress:
        progress.begin("counting")
        progress.begin_stage(BuildStage("elaborate", 1, 6, 3.4, 89.6, note="preparing"))
        time.sleep(0.3)
        progress.begin_stage(BuildStage("place", 3, 6, 110.0, 89.6, Path("out/logs"), "place.log"))
        time.sleep(0.3)
        progress.begin_stage(BuildStage("pack", 6))
        time.sleep(0.3)
    shown = text.getvalue()
    said = [
        "6 stages, usually about 90 s on two cores",
        "elaborate (1 of 6)",
        "preparing; usually about 3 s",
        "place (3 of 6)",
        "usually about 1 min 50 s; log: out/logs/place.log",
        "pack (6 of 6)",
    ]
    places = [shown.index(words) for words in said]
    assert places == sorted(places)
    if terminal:
        assert shown.index("counting: done in") < places[0]


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_quiet(terminal):
    """With quiet nothing is written, and the detail function is not called."""
    console, text = screen(terminal)

    def detail():
        raise AssertionError

    with Progress(console, quiet=True, line_seconds=0.01) as progress:
        progress.begin("place", "more", detail)
        progress.say("words")
        time.sleep(0.1)
    assert text.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_texts_are_no_markup(terminal):
    """Texts of a tool and names of files are shown as they are."""
    console, text = screen(terminal)
    with Progress(console, line_seconds=0.05) as progress:
        progress.begin("m[v2].npz", "[/nope]", lambda: "[bold]x[/bold]")
        progress.say("[red]y")
        time.sleep(0.4)
    for shown in ("m[v2].npz", "[/nope]", "[bold]x[/bold]", "[red]y"):
        assert shown in text.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_texts_command_no_terminal(terminal):
    """An escape sequence in a log is shown by its code."""
    console, text = screen(terminal)
    with Progress(console, line_seconds=0.05) as progress:
        progress.begin("place", "\x1b]0;title\x07", lambda: "\x1b[2Jx")
        time.sleep(0.4)
    assert "\\x1b[2Jx" in text.getvalue() and "\\x1b]0;title\\x07" in text.getvalue()
    assert "\x1b[2J" not in text.getvalue() and "\x07" not in text.getvalue()


def test_a_terminal_that_cannot_move():
    """A terminal without cursor movement gets plain lines."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, _environ={"TERM": "dumb"})
    with Progress(console, line_seconds=0.2) as progress:
        progress.begin("place")
        time.sleep(0.5)
    assert text.getvalue().splitlines()[:2] == ["place", "place: 0 s"]


def test_an_interrupt_is_no_failure():
    """Ctrl-C is reported as an interruption."""
    console, text = screen(terminal=True)
    with pytest.raises(KeyboardInterrupt), working("place", console=console):
        raise KeyboardInterrupt
    assert "place: interrupted after 0 s" in text.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_failure_is_no_success(terminal):
    """A stage that fails is not called done, and its threads end."""
    console, text = screen(terminal)
    before = set(threading.enumerate())
    with pytest.raises(ValueError), working("place", console=console):
        raise ValueError
    assert "done" not in text.getvalue()
    assert ("failed after" in text.getvalue()) is terminal
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not set(threading.enumerate()) - before


@pytest.mark.parametrize("seconds", [0, 0.49, 99.4, 99.5, 100, 3599.9])
def test_durations(seconds):
    """Whole seconds, with minutes from 100 s on, never 60 seconds beside a minute."""
    text = duration(seconds)
    *minutes, last = [int(word) for word in text.split() if word.isdigit()]
    assert abs(sum(minutes) * 60 + last - seconds) <= 0.5
    assert last < 60 or not minutes
