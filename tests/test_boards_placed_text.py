"""Settings in the text of placed designs: what is replaced, and what is refused."""

import pytest

from qornn_hw.boards.devices.ecp5.memory_cells import PLACED_TEXT as ECP5_TEXT
from qornn_hw.boards.devices.ice40.memory_cells import PLACED_TEXT as ICE40_TEXT
from qornn_hw.boards.placed_text import replaced_settings, sections
from qornn_hw.errors import ToolError

ICE40 = """.comment made by hand
.device 5k
.logic_tile 1 2
0101
0011

.io_tile 3 0
1100

.sym 1 clk
"""
TILE, IO = ".logic_tile 1 2\n", ".io_tile 3 0\n"
ECP5 = """.device LFE5U-25F

.tile R2C3:PLC2
arc: A1 B2
word: SLICEA.K0.INIT 0000
word: SLICEA.K1.INIT 1111

.bram_init 0
000 1ff
"""


def test_sections_are_what_is_in_a_bitstream():
    """Heads and lines, without names for people."""
    assert sections(ICE40) == {".device 5k": "", ".logic_tile 1 2": "0101\n0011", ".io_tile 3 0": "1100"}
    assert list(sections(ECP5)) == [".device LFE5U-25F", ".tile R2C3:PLC2", ".bram_init 0"]


@pytest.mark.parametrize(
    ("text", "placed", "before", "after", "old", "new"),
    [
        # Bits that two others agree in stay as they are, whatever they are.
        (ICE40_TEXT, ICE40, TILE + "0000\n1011\n", TILE + "1000\n1010\n", "0101\n0011", "1101\n0010"),
        (ICE40_TEXT, ICE40, IO + "0100\n.sym 7 a\n", IO + "0000\n.sym 8 b\n", "1100", "1000"),
        (ICE40_TEXT, ICE40, ".logic_tile 9 9\n01\n", ".logic_tile 9 9\n01\n", "", ""),
        (
            ICE40_TEXT,
            ICE40,
            TILE + "0101\n0011\n\n" + IO + "1100\n",
            TILE + "0001\n0010\n\n" + IO + "0100\n",
            "0101\n0011\n\n.io_tile 3 0\n1100",
            "0001\n0010\n\n.io_tile 3 0\n0100",
        ),
        (
            ECP5_TEXT,
            ECP5,
            ".tile R2C3:PLC2\nword: SLICEA.K0.INIT 0000\nword: SLICEA.K1.INIT 1111\n",
            ".tile R2C3:PLC2\nword: SLICEA.K0.INIT 1000\nword: SLICEA.K1.INIT 0111\n",
            "K0.INIT 0000\nword: SLICEA.K1.INIT 1111",
            "K0.INIT 1000\nword: SLICEA.K1.INIT 0111",
        ),
        (
            ECP5_TEXT,
            ECP5,
            ".tile R2C3:PLC2\nword: SLICEA.K1.INIT 1111\narc: X Y\n",
            ".tile R2C3:PLC2\nword: SLICEA.K1.INIT 0000\narc: X Y\n",
            "K1.INIT 1111",
            "K1.INIT 0000",
        ),
    ],
)
def test_only_what_differs_is_replaced(text, placed, before, after, old, new):
    """The text is the same but for the settings that differ between two designs."""
    assert placed.count(old) == 1 or not old
    assert replaced_settings(text.settings, placed, before, after) == placed.replace(old, new)


@pytest.mark.parametrize(
    ("text", "placed", "before", "after", "message"),
    [
        (ICE40_TEXT, ICE40, IO + "0000\n", IO + "1000\n", "bit 0 of row 0 of a tile must be 0, it is '1'"),
        (ICE40_TEXT, ICE40, ".io_tile 4 0\n0\n", ".io_tile 4 0\n1\n", "must have '.io_tile 4 0', and has"),
        (ICE40_TEXT, ICE40, IO + "11001\n", IO + "11000\n", "bit 4 of row 0 of a tile must be 1, it is ''"),
        (ICE40_TEXT, ICE40, IO + "1\n0\n", IO + "1\n1\n", "bit 0 of row 1 of a tile must be 0, it is ''"),
        (ICE40_TEXT, ICE40, IO + "1\n", IO + "01\n", "must have the same settings"),
        (ICE40_TEXT, ICE40, IO + "1\n" + IO + "1\n", IO + "1\n", "must have one '.io_tile 3 0', it has two"),
        (ICE40_TEXT, ICE40 + IO, IO + "1\n", IO + "0\n", "must have one '.io_tile 3 0', it has two"),
        (ICE40_TEXT, ICE40, IO + "1\n", ".io_tile 4 0\n0\n", "must have the same settings"),
        (ICE40_TEXT, ICE40, IO + "1\n", IO + "0\n1\n", "must have the same settings"),
        (ECP5_TEXT, ECP5, ".bram_init 0\n111\n", ".bram_init 0\n000\n", "must have the line '111', and has"),
    ],
)
def test_what_is_not_there_is_not_replaced(text, placed, before, after, message):
    """A setting that the design has otherwise, or not, is an error, not a guess."""
    with pytest.raises(ToolError, match=message.replace(".", r"\.")):
        replaced_settings(text.settings, placed, before, after)
