"""The iCEBreaker as the registry gives it, and the pins of a build plan."""

import re

import pytest
from stub_core import StubCore

from boards.board import SURROUNDINGS
from boards.registry import BOARDS, find_board
from boards.top import BoardTop
from qornn_hw.errors import BoardError
from qornn_hw.fixed import IntFormat
from qornn_hw.link_protocol import LinkFormat

FORM = LinkFormat(2, IntFormat(4, signed=True), 1, 12)


def plan(hz):
    """Return the build plan of a stand-in core."""
    board = find_board("icebreaker")
    top = BoardTop(board=board, core=StubCore(form=FORM), form=FORM, hz=hz)
    return board.platform().build(top, do_build=False, emit_src=False, name="top")


def test_names_are_unique():
    """No board hides another."""
    assert len({b.name for b in BOARDS}) == len(BOARDS)


def test_budget_is_that_of_the_up5k():
    """The resources are the data sheet's."""
    board = find_board("icebreaker")
    a = board.available
    assert (board.device, board.family) == ("iCE40UP5K", "ice40")
    assert (a.lut, a.ff, a.bram, a.spram, a.dsp) == (5280, 5280, 30, 4, 8)


def test_unknown_board_lists_the_known():
    """A typing error is answered with what there is."""
    with pytest.raises(BoardError, match=r"^board must be one of icebreaker, not 'icebraker'$"):
        find_board("icebraker")


@pytest.mark.parametrize(("hz", "divf"), [(24_000_000, 63), (36_000_000, 47)])
def test_plan_has_the_pins_and_the_clock(hz, divf):
    """Pins are those of the schematic, and the PLL and its constraint follow the clock."""
    files = plan(hz).files
    pins = dict(re.findall(r"set_io (\S+) (\d+)", files["top.pcf"]))
    assert pins == {
        "clk12_0__io": "35",
        "uart_0__rx__io": "6",
        "uart_0__tx__io": "9",
        "led_g_0__io": "37",
        "led_r_0__io": "11",
    }
    assert f"{hz / 1e6}" in files["top.pcf"]
    assert f"parameter \\DIVF 7'{divf:07b}" in files["top.il"]


def test_plan_does_not_depend_on_the_folder(tmp_path, monkeypatch):
    """Two plans from two folders have the same digest and no path in them."""
    first = plan(36_000_000).digest()
    monkeypatch.chdir(tmp_path)
    again = plan(36_000_000)
    assert again.digest() == first
    assert "/" not in again.files["top.pcf"]


def test_core_gets_what_the_surroundings_leave():
    """The planner's budget is the device less link, clock and LEDs."""
    board = find_board("icebreaker")
    assert board.for_core + SURROUNDINGS == board.available
    assert board.for_core.bram == 29
