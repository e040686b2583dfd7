# amaranth: UnusedElaboratable=no
"""The boards of the registry: budgets, pins, clocks of a build plan."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from stub_core import StubCore

from qornn_hw.boards.pll import fastest_settings
from qornn_hw.boards.registry import BOARDS, find_board
from qornn_hw.boards.top import BoardTop
from qornn_hw.errors import BoardError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import LinkFormat

FORM = LinkFormat(2, IntFormat(4, signed=True), 1, 12)

# Device, family, (LUT, FF, block RAM, SPRAM, DSP), and pins of clock, rx, tx and LEDs.
EXPECTED = {
    "icebreaker": ("iCE40UP5K", "ice40", (5280, 5280, 30, 4, 8), "35 6 9 37 11"),
    "upduino": ("iCE40UP5K", "ice40", (5280, 5280, 30, 4, 8), "20 15 14 16 39 41"),
    "upduino-internal": ("iCE40UP5K", "ice40", (5280, 5280, 30, 4, 8), "15 14 16 39 41"),
    "ice40-hx8k": ("iCE40HX8K", "ice40", (7680, 7680, 32, 0, 0), "J3 B10 B12 C3 B3"),
    "tinyfpga-bx": ("iCE40LP8K", "ice40", (7680, 7680, 32, 0, 0), "B2 A2 A1 B3"),
    "ulx3s-12f": ("LFE5U-12F", "ecp5", (12000, 12000, 32, 0, 28), "G2 M1 L4 B2 C2"),
    "ulx3s-25f": ("LFE5U-25F", "ecp5", (24288, 24288, 56, 0, 28), "G2 M1 L4 B2 C2"),
    "ulx3s-45f": ("LFE5U-45F", "ecp5", (43848, 43848, 108, 0, 72), "G2 M1 L4 B2 C2"),
    "ulx3s-85f": ("LFE5U-85F", "ecp5", (83640, 83640, 208, 0, 156), "G2 M1 L4 B2 C2"),
    "colorlight-i5": ("LFE5U-25F", "ecp5", (24288, 24288, 56, 0, 28), "P3 H18 J17 U16"),
    "orangecrab-25f": ("LFE5U-25F", "ecp5", (24288, 24288, 56, 0, 28), "A9 N17 M18 M3 K4"),
    "orangecrab-85f": ("LFE5U-85F", "ecp5", (83640, 83640, 208, 0, 156), "A9 N17 M18 M3 K4"),
    "tang-nano-9k": ("GW1NR-9C", "gowin", (8640, 6480, 26, 0, 0), "52 18 17 10 11"),
    "gatemate-a1-evb": (
        "CCGM1A1",
        "gatemate",
        (40960, 40960, 64, 0, 0),
        "IO_SB_A8 IO_SA_A6 IO_SA_B6 IO_SB_B6",
    ),
}


def plan(name, hz):
    """Return the build plan of a stand-in core."""
    board = find_board(name)
    top = BoardTop(board=board, core=StubCore(form=FORM), form=FORM, hz=hz)
    return board.platform().prepare(top, emit_src=False, name="top")


def fastest_hz(board, limit_mhz=60):
    """Return a clock that a board can make."""
    settings = fastest_settings(board.clock_source, board.oscillator_hz, limit_mhz * 1e6)
    return round(settings.output_hz(board.oscillator_hz))


def test_names_are_unique_and_all_are_expected():
    """No board hides another, and each has a row in the table above."""
    assert [b.name for b in BOARDS] == list(EXPECTED)


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_budget_is_that_of_the_device(board):
    """The resources are the data sheet's or nextpnr's."""
    device, family, (lut, ff, bram, spram, dsp), _ = EXPECTED[board.name]
    a = board.available
    assert (board.device, board.family.name) == (device, family)
    assert (a.lut, a.ff, a.bram, a.spram, a.dsp) == (lut, ff, bram, spram, dsp)
    assert board.family.has_multipliers == (dsp > 0)
    assert board.platform().device == device


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_plan_has_the_pins(board):
    """Clock, UART, what must be held, and LEDs are where the board has them; nothing else is constrained."""
    files = plan(board.name, fastest_hz(board)).files
    if board.family.name == "ecp5":
        pins = re.findall(r'LOCATE COMP "\S+" SITE "(\w+)";', files["top.lpf"])
    elif board.family.name == "gowin":
        pins = re.findall(r'IO_LOC "\S+" (\w+);', files["top.cst"])
    elif board.family.name == "gatemate":
        pins = re.findall(r'NET "\S+" Loc = "(\w+)"', files["top.ccf"])
    else:
        pins = re.findall(r"set_io \S+ (\w+)", files["top.pcf"])
    assert sorted(pins) == sorted(EXPECTED[board.name][3].split())


def test_unknown_board_lists_the_known():
    """A typing error is answered with what there is."""
    message = r"^board must be one of icebreaker, .*, gatemate-a1-evb, or a file FILE\.py that .* 'icebraker'"
    with pytest.raises(BoardError, match=message):
        find_board("icebraker")


# The example of docs/boards.md.
EXAMPLE = re.search(
    r"```python\n(# my_board\.py.*?)```", (Path(__file__).parents[1] / "docs" / "boards.md").read_text(), re.S
)


def test_example_of_the_documentation_is_a_board(tmp_path):
    """The file that docs/boards.md shows is a board: another one's, with a UART at other pins and no LED."""
    path = tmp_path / "my_board.py"
    path.write_text(EXAMPLE[1])
    board = find_board(str(path))
    assert (board.name, board.leds) == ("my-icebreaker", ())
    top = BoardTop(board=board, core=StubCore(form=FORM), form=FORM, hz=fastest_hz(board))
    files = board.platform().prepare(top, emit_src=False, name="top").files
    assert sorted(re.findall(r"set_io \S+ (\w+)", files["top.pcf"])) == ["35", "45", "47"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"board must be a file that exists, .*my_board\.py does not"),
        (
            "x = 1\n",
            r"board file .*my_board\.py must define BOARD, a qornn_hw\.boards\.board\.Board; it defines n",
        ),
        ("BOARD = 'ulx3s'\n", r"board file .*my_board\.py must define BOARD, a .*; it defines a str$"),
        (
            "\nBOARD = Board()\n",
            r"board file .* must run, and fails \(line 2\) with NameError: name 'Board' is",
        ),
        ("import sys\nsys.exit(0)\n", r"board file .* must run, and fails \(line 2\) with SystemExit: 0"),
        ("exit()\n", r"board file .* must run, and fails \(line 1\) with SystemExit: "),
        (
            "\nimport boards\n",
            r"board file .* must run, and fails \(line 2\) with ImportError: .*; write qornn_hw\.boards in",
        ),
        ("BOARD = (\n", r"board file .* must run, and fails with SyntaxError: "),
    ],
)
def test_file_that_defines_no_board(text, message, tmp_path):
    """A user's file that is absent, wrong or without BOARD is told in one line."""
    path = tmp_path / "my_board.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BoardError, match=f"^{message}"):
        find_board(str(path))


@pytest.mark.parametrize(("hz", "divf"), [(24_000_000, 63), (36_000_000, 47)])
def test_plan_has_the_clock(hz, divf):
    """The PLL follows the clock."""
    assert f"parameter \\DIVF 7'{divf:07b}" in plan("icebreaker", hz).files["top.il"]


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f", "tang-nano-9k"])
def test_plan_does_not_depend_on_the_folder(name, tmp_path, monkeypatch):
    """Two plans from two folders have the same digest and no path in them."""
    hz = fastest_hz(find_board(name))
    first = plan(name, hz).digest()
    monkeypatch.chdir(tmp_path)
    assert plan(name, hz).digest() == first


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_core_gets_what_the_surroundings_leave(board):
    """The planner's budget is the device less link, clock and LEDs; as many cells as have a flip-flop."""
    there = replace(board.available, lut=min(board.available.lut, board.available.ff))
    assert board.for_core + board.family.cost.surroundings == there


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_board_says_what_a_user_needs(board):
    """Every board has words for its link and its programmer, and a clock input that the platform knows."""
    assert board.description and board.link and board.programmer
    assert board.clock_source in board.family.clock_sources
    if board.clock_source.has_pin:
        clock = board.platform().lookup(board.clock_resource).clock
        assert round(clock.frequency) == board.oscillator_hz
