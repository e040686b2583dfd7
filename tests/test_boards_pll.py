"""Which clocks the boards make, exactly, within the limits of the data sheets."""

import re
import subprocess
from fractions import Fraction

import pytest

from qornn_hw.boards.devices.ecp5 import ECP5_PLL
from qornn_hw.boards.devices.ecp5.flow import FLOW as ECP5_FLOW
from qornn_hw.boards.devices.ecp5.pll import CLKFB_DIV, CLKI_DIV, CLKOP_DIV, CLKOS_DIV, Ecp5Pll
from qornn_hw.boards.devices.gowin import GOWIN_PLL
from qornn_hw.boards.devices.gowin.flow import FLOW as GOWIN_FLOW
from qornn_hw.boards.devices.gowin.pll import FBDIV, IDIV, ODIV_SEL, GowinPll
from qornn_hw.boards.devices.ice40 import ICE40_CORE, ICE40_OSCILLATOR, ICE40_PAD
from qornn_hw.boards.devices.ice40.flow import FLOW as ICE40_FLOW
from qornn_hw.boards.devices.ice40.pll import DIVF, DIVQ, DIVR, Ice40Oscillator, Ice40Pll
from qornn_hw.boards.pll import clock_hz, fastest_settings, sign_off_hz, solve_pll
from qornn_hw.boards.toolchain import find_tool
from qornn_hw.errors import BoardError

MHZ = 1_000_000
PAD, CORE, CHIP, ECP5, GOWIN = ICE40_PAD, ICE40_CORE, ICE40_OSCILLATOR, ECP5_PLL, GOWIN_PLL


@pytest.mark.parametrize(
    ("source", "input_mhz", "mhz", "settings"),
    [
        (PAD, 12, 24, Ice40Pll(0, 63, 5, 1)),
        (PAD, 12, 30, Ice40Pll(0, 79, 5, 1)),
        (PAD, 12, 36, Ice40Pll(0, 47, 4, 1)),
        (CORE, 12, 48, Ice40Pll(0, 63, 4, 1)),
        (CORE, 16, 60, Ice40Pll(0, 59, 4, 1)),
        (CHIP, 48, 48, Ice40Oscillator(0)),
        (CHIP, 48, 6, Ice40Oscillator(3)),
        # 400 MHz over 4; 450 over 5; 25 / 2 MHz times 49 over 6.
        (ECP5, 25, 100, Ecp5Pll(1, 1, 16, 4)),
        (ECP5, 25, 90, Ecp5Pll(1, 1, 18, 5)),
        (ECP5, 25, 102.083333, Ecp5Pll(2, 1, 49, 6)),
        (ECP5, 48, 96, Ecp5Pll(1, 1, 10, 5)),
        # 4 times 27 MHz, of an oscillator of 432 MHz; 27 / 2 times 7, of 756.
        (GOWIN, 27, 108, GowinPll(1, 4, 4)),
        (GOWIN, 27, 94.5, GowinPll(2, 7, 8)),
    ],
)
def test_settings(source, input_mhz, mhz, settings):
    """The settings, by hand, with the fastest phase detector."""
    assert solve_pll(source, input_mhz * MHZ, round(mhz * MHZ)) == settings


@pytest.mark.parametrize("input_mhz", [12, 16, 25, 100])
def test_ice40_keeps_the_limits_of_the_data_sheet(input_mhz):
    """FPGA-DS-02008: detector 10 to 133, oscillator 533 to 1066, output 16 to 275 MHz; made exactly."""
    made = 0
    for mhz in range(16, 276):
        try:
            s = solve_pll(CORE, input_mhz * MHZ, mhz * MHZ)
        except BoardError:
            continue
        made += 1
        detector = Fraction(input_mhz, s.divr + 1)
        assert s.output_hz(input_mhz * MHZ) == mhz * MHZ
        assert s.divr in DIVR and s.divf in DIVF and s.divq in DIVQ
        assert 10 <= detector <= 133
        assert 533 <= detector * (s.divf + 1) <= 1066
        assert 1 <= s.filter_range <= 6
    assert made >= 10


@pytest.mark.parametrize("input_mhz", [12, 25, 48, 100])
def test_ecp5_keeps_the_limits_of_the_data_sheet(input_mhz):
    """FPGA-DS-02012: detector 10 to 400, oscillator 400 to 800, output to 400 MHz; exact to the hertz."""
    made = 0
    for mhz in range(4, 401, 3):
        try:
            s = solve_pll(ECP5, input_mhz * MHZ, mhz * MHZ)
        except BoardError:
            continue
        made += 1
        assert abs(s.output_hz(input_mhz * MHZ) - mhz * MHZ) <= Fraction(1, 2)
        assert s.clki_div in CLKI_DIV and s.clkfb_div in CLKFB_DIV
        assert s.clkop_div in CLKOP_DIV and s.clkos_div in CLKOS_DIV
        detector = Fraction(input_mhz, s.clki_div)
        assert 10 <= detector <= 400
        assert 400 <= detector * s.clkfb_div * s.clkop_div <= 800
        # CLKOP closes the loop: its frequency is the detector's times the feedback divider.
        assert 3.125 <= detector * s.clkfb_div <= 400
    assert made >= 20


@pytest.mark.parametrize("input_mhz", [12, 27, 50])
def test_gowin_keeps_the_limits_of_the_data_sheet(input_mhz):
    """DS117: detector 3 to 400, oscillator 400 to 1200, output 3.125 to 600 MHz; made exactly."""
    made = 0
    for mhz in range(4, 601):
        try:
            s = solve_pll(GOWIN, input_mhz * MHZ, mhz * MHZ)
        except BoardError:
            continue
        made += 1
        detector = Fraction(input_mhz, s.idiv)
        assert s.output_hz(input_mhz * MHZ) == detector * s.fbdiv * MHZ == mhz * MHZ
        assert s.idiv in IDIV and s.fbdiv in FBDIV and s.odiv in ODIV_SEL
        assert 3 <= detector <= 400
        assert 400 <= mhz * s.odiv <= 1200
        assert s.parameters == {"IDIV_SEL": s.idiv - 1, "FBDIV_SEL": s.fbdiv - 1, "ODIV_SEL": s.odiv}
    assert made >= 20


@pytest.mark.parametrize("mhz", ["94.5", "121.5"])
def test_gowin_pll_makes_the_same_frequency(mhz, tmp_path):
    """The tool of Project Apicula makes what we make, with an oscillator within the same limits."""
    program = find_tool(GOWIN_FLOW.pack).path.with_name("gowin_pll")
    command = [program, "-i", "27", "-o", mhz, "-d", "GW1NR-9 C6/I5", "-f", tmp_path / "pll.v"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    found = dict(re.findall(r"\.(\w+_SEL)\((\d+)\)", (tmp_path / "pll.v").read_text()))
    made = Fraction(27 * MHZ * (int(found["FBDIV_SEL"]) + 1), int(found["IDIV_SEL"]) + 1)
    assert made == clock_hz(float(mhz)) == solve_pll(GOWIN, 27 * MHZ, made).output_hz(27 * MHZ)
    assert 400 * MHZ < made * int(found["ODIV_SEL"]) < 1200 * MHZ


def test_icepll_agrees():
    """The tool of Project IceStorm finds the same dividers for 42 MHz."""
    icepll = find_tool(ICE40_FLOW.pack).path.with_name("yowasp-icepll")
    text = subprocess.run([icepll, "-i", "12", "-o", "42"], capture_output=True, text=True, check=True).stdout
    fields = dict(line.split()[:2] for line in text.splitlines() if line.startswith(("DIV", "FILTER")))
    s = solve_pll(PAD, 12 * MHZ, 42 * MHZ)
    assert {k.rstrip(":"): int(v) for k, v in fields.items()} == {
        name: value for name, (value, _) in s.parameters.items()
    }


@pytest.mark.parametrize("mhz", ["90", "102.5"])
def test_ecppll_makes_the_same_frequency(mhz):
    """The tool of Project Trellis makes what we make, with an oscillator within the same limits."""
    ecppll = find_tool(ECP5_FLOW.pack).path.with_name("yowasp-ecppll")
    command = [ecppll, "-i", "25", "-o", mhz, "--highres"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"clkout1 frequency: ([\d.]+) MHz", text) or re.search(
        r"clkout0 frequency: ([\d.]+)", text
    )
    hz = clock_hz(float(mhz))
    assert clock_hz(float(found[1])) == hz
    assert solve_pll(ECP5, 25 * MHZ, hz).output_hz(25 * MHZ) == hz


@pytest.mark.parametrize(
    ("source", "input_mhz", "mhz", "message"),
    [
        (PAD, 12, 15, "clock must be 16 to 275 MHz to come from the board, not 15 MHz"),
        (PAD, 12, 300, "clock must be 16 to 275 MHz to come from the board, not 300 MHz"),
        (
            PAD,
            12,
            37,
            "clock must be one that the board makes exactly from 12 MHz, not 37 MHz; the nearest is 36.75",
        ),
        (PAD, 9, 36, "the PLL's input must be 10 to 133 MHz, not 9 MHz"),
        (ECP5, 25, 401, "clock must be 3.125 to 400 MHz to come from the board, not 401 MHz"),
        (ECP5, 7, 100, "the PLL's input must be 8 to 400 MHz, not 7 MHz"),
        (
            ECP5,
            25,
            101,
            "clock must be one that the board makes exactly from 25 MHz, not 101 MHz; the nearest is 101.78",
        ),
        (
            CHIP,
            48,
            40,
            "clock must be one that the board makes exactly from 48 MHz, not 40 MHz; the nearest is 48 MHz",
        ),
    ],
)
def test_rejects_what_cannot_be_made(source, input_mhz, mhz, message):
    """A clock out of range or between the steps is named, with the nearest."""
    with pytest.raises(BoardError, match=f"^{message}"):
        solve_pll(source, input_mhz * MHZ, mhz * MHZ)


@pytest.mark.parametrize(
    ("source", "input_mhz", "limit_mhz", "mhz"),
    [
        (PAD, 12, 49.1, 48.75),
        (PAD, 12, 48.75, 48.75),
        (PAD, 12, 1000, 270),
        (CORE, 16, 86.29, 86),
        (CHIP, 48, 44.2, 24),
        (ECP5, 25, 104.47, Fraction(625, 6)),
        (ECP5, 48, 100, 100),
        (GOWIN, 27, 123.3, 123),
    ],
)
def test_fastest_clock_below_a_limit(source, input_mhz, limit_mhz, mhz):
    """The fastest clock that does not exceed the limit, and none between the two can be made."""
    settings = fastest_settings(source, input_mhz * MHZ, limit_mhz * 1e6)
    assert settings.output_hz(input_mhz * MHZ) == Fraction(mhz) * MHZ


@pytest.mark.parametrize("limit", [20e6, 33.4e6, 57.123e6])
@pytest.mark.parametrize("source", [PAD, ECP5])
def test_no_clock_is_missed(source, limit):
    """Trying every divider finds nothing faster below the limit."""
    found = fastest_settings(source, 12 * MHZ, limit).output_hz(12 * MHZ)
    if source is PAD:
        all_ = {Fraction(12 * MHZ * n, 1 << q) for n in range(45, 89) for q in DIVQ}
    else:
        all_ = {Fraction(12 * MHZ * n, d) for n in range(34, 67) for d in CLKOS_DIV}
    assert found == max(hz for hz in all_ if hz <= limit)


def test_too_slow_a_design_has_no_clock():
    """Below the slowest clock there is none."""
    with pytest.raises(BoardError, match=r"^the board's slowest clock is 16 MHz, beyond the 15\.50 MHz that"):
        fastest_settings(PAD, 12 * MHZ, 15.5e6)


@pytest.mark.parametrize(("source", "needed"), [(PAD, 48e6), (ECP5, 48e6), (CHIP, 52.8e6)])
def test_oscillator_on_the_chip_signs_off_higher(source, needed):
    """48 MHz +-10 % must be reached at 52.8 MHz; a crystal's clock at its own frequency."""
    assert sign_off_hz(source, 48 * MHZ) == needed


@pytest.mark.parametrize("mhz", [0, -1, float("nan"), float("inf"), 1e9])
def test_rejects_a_clock_that_is_none(mhz):
    """Zero, negative or not finite is no clock."""
    with pytest.raises(BoardError, match=r"^clock must be a number of MHz above 0 and below a million, not "):
        clock_hz(mhz)
