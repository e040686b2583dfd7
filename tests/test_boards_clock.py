# amaranth: UnusedElaboratable=no
"""The PLL's settings, the UART's rate, and their limits."""

import subprocess

import pytest

from boards.clock import (
    DIVF,
    DIVQ,
    DIVR,
    OSCILLATOR_HZ,
    PHASE_DETECTOR_HZ,
    ClockGenerator,
    PllSettings,
    clock_hz,
    solve_pll,
    uart_baud,
)
from boards.icebreaker import BOARD
from boards.toolchain import find_tool
from qornn_hw.errors import BoardError


@pytest.mark.parametrize(
    ("mhz", "settings"),
    [
        (24, PllSettings(0, 63, 5, 1)),
        (30, PllSettings(0, 79, 5, 1)),
        (36, PllSettings(0, 47, 4, 1)),
        (48, PllSettings(0, 63, 4, 1)),
        (60, PllSettings(0, 79, 4, 1)),
    ],
)
def test_settings_are_those_of_icepll(mhz, settings):
    """From 12 MHz: what Project IceStorm's icepll prints."""
    assert solve_pll(12_000_000, mhz * 1_000_000) == settings


@pytest.mark.parametrize("input_hz", [12_000_000, 16_000_000, 25_000_000, 100_000_000])
def test_settings_keep_the_limits_of_the_data_sheet(input_hz):
    """Every whole number of megahertz that can be made is made exactly and within the limits."""
    made = 0
    for mhz in range(16, 276):
        try:
            s = solve_pll(input_hz, mhz * 1_000_000)
        except BoardError:
            continue
        made += 1
        detector = input_hz / (s.divr + 1)
        assert s.output_hz(input_hz) == mhz * 1_000_000
        assert s.divr in DIVR and s.divf in DIVF and s.divq in DIVQ
        assert PHASE_DETECTOR_HZ[0] <= detector <= PHASE_DETECTOR_HZ[1]
        assert OSCILLATOR_HZ[0] <= detector * (s.divf + 1) <= OSCILLATOR_HZ[1]
        assert 1 <= s.filter_range <= 6
    assert made >= 10


def test_icepll_agrees():
    """The tool of Project IceStorm finds the same dividers for 42 MHz."""
    icepll = find_tool("icepack").path.with_name("yowasp-icepll")
    text = subprocess.run([icepll, "-i", "12", "-o", "42"], capture_output=True, text=True, check=True).stdout
    fields = dict(line.split()[:2] for line in text.splitlines() if line.startswith(("DIV", "FILTER")))
    s = solve_pll(12_000_000, 42_000_000)
    assert {k.rstrip(":"): int(v) for k, v in fields.items()} == {
        "DIVR": s.divr,
        "DIVF": s.divf,
        "DIVQ": s.divq,
        "FILTER_RANGE": s.filter_range,
    }


@pytest.mark.parametrize(
    ("input_hz", "output_hz", "message"),
    [
        (12_000_000, 15_000_000, "clock must be 16 to 275 MHz to come from the PLL, not 15 MHz"),
        (12_000_000, 300_000_000, "clock must be 16 to 275 MHz to come from the PLL, not 300 MHz"),
        (
            12_000_000,
            37_000_000,
            "clock must be one that the PLL makes exactly from 12 MHz, not 37 MHz; the nearest is 36.75 MHz",
        ),
        (9_000_000, 36_000_000, "the PLL's input must be 10 to 133 MHz, not 9 MHz"),
    ],
)
def test_rejects_what_the_pll_cannot_make(input_hz, output_hz, message):
    """A clock out of range or between the steps is named, with the nearest."""
    with pytest.raises(BoardError, match=f"^{message}$"):
        solve_pll(input_hz, output_hz)


@pytest.mark.parametrize(
    ("hz", "baud"),
    [
        (16_000_000, 2_000_000),
        (24_000_000, 3_000_000),
        (30_000_000, 3_000_000),
        (33_000_000, 3_000_000),
        (36_000_000, 3_000_000),
        (40_000_000, 2_000_000),
        (37_500_000, 1_500_000),
    ],
)
def test_baud_divides_the_clock(hz, baud):
    """The fastest rate with a whole number, at least 8, of cycles a bit."""
    assert uart_baud(hz) == baud
    assert hz % baud == 0 and hz // baud >= 8


def test_rejects_a_clock_without_a_baud():
    """A clock that no rate divides is refused, with the rates."""
    with pytest.raises(BoardError, match=r"^clock must be a whole multiple, at least 8-fold, of a UART rate"):
        uart_baud(36_100_000)


@pytest.mark.parametrize("mhz", [0, -1, float("nan"), float("inf"), 1e9])
def test_rejects_a_clock_that_is_none(mhz):
    """Zero, negative or not finite is no clock."""
    with pytest.raises(BoardError, match=r"^clock must be a positive number of MHz, not "):
        clock_hz(mhz)


def test_clock_generator_checks_its_clock():
    """The component refuses at construction what the solver refuses."""
    with pytest.raises(BoardError, match=r"^clock must be one that the PLL makes exactly"):
        ClockGenerator(board=BOARD, hz=37_000_000)
