# amaranth: UnusedElaboratable=no
"""The physical links of a board: its own, the default one, and the former keyword."""

import re
from dataclasses import replace

import pytest
from stub_core import StubCore

from qornn_hw.boards.clock import board_as_built, cell_parameters
from qornn_hw.boards.registry import BOARDS, find_board
from qornn_hw.boards.top import BoardTop
from qornn_hw.errors import BoardError, FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK, LINKS

BOARD = find_board("icebreaker")
FORM = LinkFormat(2, IntFormat(4, signed=True), 1, 12)


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_every_board_has_the_default_link(board):
    """It is the one that is used, and its resource has the pins of the link."""
    assert board.physical_link is DEFAULT_LINK
    for link in LINKS:
        if link.name in board.link_resources:
            name, number = board.over(link.name).link_resource
            pins = board.platform().lookup(name, number).ios
            assert {pin.name for pin in pins} == {pin.name for pin in link.pins}


def test_the_resource_of_the_default_link_may_be_left_out():
    """A board without any has the resource of the link's name."""
    assert replace(BOARD, link_resources={}).link_resource == (DEFAULT_LINK.name, 0)


def test_the_former_keyword_is_accepted():
    """A user's board file may give the resource as it was given before there were other links."""
    board = replace(BOARD, uart=("uart", 1))
    assert board.link_resource == ("uart", 1)
    assert replace(board, name="other").link_resource == ("uart", 1)
    assert replace(board, uart=("uart", 0)) == BOARD


def test_a_board_over_a_link():
    """A board over its own link is itself; a link that it or nobody has is told in one line."""
    assert BOARD.over(DEFAULT_LINK.name) is BOARD
    assert find_board(f"icebreaker:{DEFAULT_LINK.name}") is BOARD
    with pytest.raises(FormatError, match=r"^link must be uart.*, not 'usb'$"):
        find_board("icebreaker:usb")


# Pins of a board over its other link: those of the link, the clock, the LEDs, and what must be held.
PINS = {
    "icebreaker:spi": "35 4 2 47 45 11 37",
    "upduino:spi": "20 48 45 47 46 16 39 41",
    "upduino-internal:spi": "48 45 47 46 16 39 41",
}


@pytest.mark.parametrize("name", PINS)
def test_the_top_has_the_pins_of_the_link(name):
    """The link's resource is requested, that of the default link is not; only the output is driven."""
    board = find_board(name)
    top = BoardTop(board=board, core=StubCore(form=FORM), form=FORM, hz=24_000_000)
    files = board.platform().prepare(top, emit_src=False, name="top").files
    pins = re.findall(r"set_io \S+ (\w+)", files["top.pcf"])
    assert sorted(pins) == sorted(PINS[name].split())


def test_nothing_of_a_link_without_a_constant_follows_the_clock():
    """The cells that hold the clock are those of the PLL alone."""
    board = find_board("icebreaker:spi")
    assert set(cell_parameters(board, 24_000_000)) == {"clock.pll"}
    assert board_as_built(BOARD, {"link": "spi"}) == board
    assert board.link_rate(24_000_000) == 3_000_000


def test_a_board_without_the_link():
    """The links that it has are told."""
    with pytest.raises(BoardError, match=r"^link must be uart on tang-nano-9k, not spi; define a board that"):
        find_board("tang-nano-9k:spi")


def test_a_name_with_an_unknown_board_is_no_link():
    """The whole name is told where no board has the part before the colon."""
    with pytest.raises(BoardError, match=r"not 'icebraker:uart'$"):
        find_board("icebraker:uart")
    with pytest.raises(BoardError, match=r"^board must be a file that exists, .*none\.py does not$"):
        find_board("none.py:uart")


def test_a_rate_follows_the_clock():
    """The link decides, from the rates of the board's bridge."""
    assert BOARD.link_rate(24_000_000) == BOARD.full_link_rate == 3_000_000
