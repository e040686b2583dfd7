"""A build at a terminal: the screen never stands still."""

import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from fake_tools import FAKE
from terminal import Screen, record

ROOT = Path(__file__).parents[1]
BUILD = """
import sys
from dataclasses import replace
from pathlib import Path
from fake_tools import BOARD, PART
from qornn_hw.boards.build import build_core
from qornn_hw.compiler.family import Resources
from qornn_hw.terminal.progress import Progress
part = replace(PART, facts=replace(PART.facts, estimated=Resources(lut=700)))
with Progress() as progress:
    build_core(part, BOARD, Path(sys.argv[1]), clock_mhz=48, progress=progress.begin_stage)
"""


def test_the_screen_is_a_terminal():
    """Text, line ends, moves and erasures, whole or in parts, and lines that are full."""
    screen = Screen(rows=3, columns=5)
    screen.feed(b"one\r\ntwo\x1b[?25l\r\x1b[2Knew\x1b[1m!\x1b[0m\n\rabcdefg\xc3")
    screen.feed(b"\xa9\x1b[")
    screen.feed(b"1A\r\x1b[KX")
    assert screen.lines == ["one", "new!", "X", "fg\u00e9"]
    assert screen.text == "new!\nX\nfg\u00e9"
    with pytest.raises(ValueError, match="not a sequence that is known here"):
        screen.feed(b"\x1b[5Z")


def test_a_slow_tool_is_seen_to_run(fake, tmp_path):
    """While a tool runs the screen changes every second, with stage, seconds, usual time and log."""
    slow = "echo '2.5. Executing OPT_EXPR pass (x).'; sleep 4;"
    fake(YOSYS=FAKE["YOSYS"].replace("*) cp", f"*) {slow} cp"))
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    seen = record(
        [sys.executable, "-c", BUILD, str(tmp_path / "out")],
        every=0.5,
        environment=os.environ | {"PYTHONPATH": path},
        cwd=ROOT,
    )
    assert seen.code == 0
    (start,) = [t for t, text in seen.screens if "synthesize (2 of 5)" in text][:1]
    (end,) = [t for t, text in seen.screens if "synthesize (2 of 5): done in" in text][:1]
    assert end - start > 2.5
    within = [t for t in seen.changes if start <= t <= end]
    assert max(b - a for a, b in pairwise(within)) < 2
    shown = "\n".join(text for _, text in seen.screens)
    assert "synthesize (2 of 5): 2 s, step 2.5, OPT_EXPR, usually about " in shown
    assert "5 stages, usually about " in shown
    last = seen.screens[-1][1].splitlines()
    assert [line.split(" (")[0] for line in last[-5:]] == [
        "elaborate",
        "synthesize",
        "place",
        "netlist",
        "pack",
    ]
    assert all(": done in " in line for line in last[-5:])


@pytest.mark.slow
def test_a_whole_build_is_seen_to_run(tmp_path):
    """`qornn-hw build` of a shipped model: no ten seconds without a visible change."""
    command = [sys.executable, "-m", "qornn_hw", "build", "--board", "icebreaker"]
    seen = record([*command, str(ROOT / "models" / "mnist_rows.npz"), "-o", str(tmp_path / "out")], cwd=ROOT)
    assert seen.code == 0
    assert seen.longest_stillness < 10
    assert "wrote " in seen.screens[-1][1]
