"""The clock of a build: found, given, or not reached, with stand-in tools."""

import errno
import json
import os
import shutil

import pytest
from fake_tools import BOARD, FAKE, PART

from qornn_hw.boards.build import STAGES, build_core
from qornn_hw.boards.clock import cell_parameters, retune
from qornn_hw.boards.registry import find_board
from qornn_hw.boards.sign_off import reclock
from qornn_hw.errors import (
    OutputError,
    TimingError,
)


def test_given_clock_is_placed_once(fake, tmp_path):
    """A clock that is asked for needs no placement to find it."""
    fake()
    stages = []
    report = build_core(PART, BOARD, tmp_path / "out", clock_mhz=48, progress=stages.append)
    assert report["clock_mhz"] == 48.0
    assert [stage.name for stage in stages] == [name for name in STAGES if name != "sign-off"]
    assert [(stage.number, stage.count) for stage in stages] == [(i, 5) for i in range(1, 6)]
    assert "sign-off" not in report["seconds"]


def test_clock_goes_down_where_the_second_placement_is_slower(fake, tmp_path):
    """A tool that places the same netlist otherwise the second time gets a third try, at a lower clock."""
    slower = FAKE["NEXTPNR_ICE40"].replace(
        "case $seed", "[ -e ../placed ] && seed=9; touch ../placed; case $seed"
    )
    fake(NEXTPNR_ICE40=slower)
    calls = []

    def spy(shop, board, nextpnr, arguments, before, hz):
        held = {name: before["cells"][name]["parameters"] for name in cell_parameters(BOARD, hz)}
        calls.append((held, hz))
        reclock(shop, board, nextpnr, arguments, before, hz)

    report = build_core(PART, BOARD, tmp_path / "out", seed=3, reclock=spy)
    assert (report["clock_mhz"], report["fmax_mhz"]) == (49.5, 50.0)
    # What is told to have been placed is what was: the second time with the clock of the first.
    (_, first), (held, second) = calls
    assert (first, second) == (55_500_000, 49_500_000)
    netlist = tmp_path / "netlist.json"
    shutil.copy(os.environ["NETLIST"], netlist)
    retune(netlist, BOARD, first)
    cells = json.loads(netlist.read_text())["modules"]["top"]["cells"]
    assert held == {name: cells[name]["parameters"] for name in held}


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (OutputError("nextpnr-ice40 failed: the disk of out is full"), OutputError),
    ],
)
def test_only_a_tool_that_fails_has_the_design_placed_again(raised, seen, fake, tmp_path):
    """An interrupt or a full disk while the clock is written ends the build."""
    fake(NEXTPNR_ICE40="echo >> ../../calls" + FAKE["NEXTPNR_ICE40"])

    def fail(*_):
        raise raised

    with pytest.raises(seen):
        build_core(PART, BOARD, tmp_path / "out", reclock=fail)
    assert (tmp_path / "calls").read_text().count("\n") == 1
    assert not (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ("", ["top", "before-top", "after-top"]),
        # The PLL is elsewhere when it is alone; nextpnr fails on it alone; it does not tell places.
        ('sed -i "s/X1/X2/" $write', ["top", "before-top", "top"]),
        ("exit 1", ["top", "before-top", "top"]),
        ("rm $write", ["top", "before-top", "top"]),
    ],
)
def test_clock_that_cannot_be_written_is_placed(script, calls, fake, tmp_path, monkeypatch):
    """Where nextpnr does not put the cells of the clock where they were, the design is placed again."""
    places = {
        cell: {"connections": {}, "port_directions": {}, "attributes": {"NEXTPNR_BEL": "X1/Y1"}}
        for cell in cell_parameters(BOARD, 36_000_000)
    }
    placed = tmp_path / "placed.json"
    placed.write_text(json.dumps({"modules": {"top": {"cells": places, "netnames": {}}}}))
    monkeypatch.setenv("PLACED", str(placed))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    before = f"""
for a in "$@"; do
  case "$last" in --write) write=$a ;; --json) json=$a ;; esac
  last=$a
done
echo ${{json%.json}} >> "$CALLS"
cp "$PLACED" "$write"
case "$json" in top.json) ;; *) {script or ":"} ;; esac
"""
    fake(NEXTPNR_ICE40=before + FAKE["NEXTPNR_ICE40"])
    report = build_core(PART, BOARD, tmp_path / "out")
    assert (tmp_path / "calls").read_text().split() == calls
    assert (report["clock_mhz"], report["fmax_mhz"]) == (49.5, 50.0)


@pytest.mark.parametrize(("mhz", "clock"), [(53.0, 48.0), (52.7, 24.0)])
def test_oscillator_on_the_chip_needs_a_margin(mhz, clock, fake, tmp_path):
    """48 MHz +-10 % needs a design that reaches 52.8 MHz; below that, the next slower clock is taken."""
    board = find_board("upduino-internal")
    fake(NEXTPNR_ICE40=FAKE["NEXTPNR_ICE40"].replace("mhz=50", f"mhz={mhz}"))
    assert build_core(PART, board, tmp_path / "out")["clock_mhz"] == clock
    if clock < 48:
        with pytest.raises(
            TimingError,
            match=r"^the design must reach its clock of 48 MHz and its oscillator's tolerance, 52\.8 MHz, it",
        ):
            build_core(PART, board, tmp_path / "out", clock_mhz=48)


def test_clock_that_a_rate_needs_must_be_reached(fake, tmp_path):
    """A rate that the placed design misses says what share of it there is; one that it reaches is built."""
    fake()
    reached = build_core(PART, BOARD, tmp_path / "out")["clock_mhz"]
    assert build_core(PART, BOARD, tmp_path / "enough", clock_needed_mhz=reached)["clock_mhz"] == reached
    with pytest.raises(
        TimingError,
        match=rf"^the design must have a clock of {2 * reached:.2f} MHz for its rate, it reaches {reached:g} "
        r"MHz: 50\.0 % of the rate; ask for less, or for more effort",
    ):
        build_core(PART, BOARD, tmp_path / "out", clock_needed_mhz=2 * reached)


def test_design_slower_than_every_clock_is_refused(fake, tmp_path):
    """A design that reaches no clock of the board says what it reaches."""
    fake(NEXTPNR_ICE40=FAKE["NEXTPNR_ICE40"].replace("mhz=50", "mhz=12.5"))
    with pytest.raises(
        TimingError, match=r"^the design must reach a clock of icebreaker, it reaches 12\.50 MHz: the board's"
    ):
        build_core(PART, BOARD, tmp_path / "out")
