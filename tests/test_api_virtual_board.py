"""Virtual boards of the Python API; test_api.py runs one, the example of qornn_hw.Board."""

import pytest
from networks import make_network

from qornn_hw.api.design import compile
from qornn_hw.api.network import Network
from qornn_hw.api.virtual_board import VirtualBoard
from qornn_hw.errors import BoardError, FormatError
from qornn_hw.files.checkpoint import Checkpoint

NET = Network(Checkpoint(make_network(n=4, m=3, p=2, seed=5)))


@pytest.mark.parametrize(
    ("through", "message"),
    [
        ("gates", "^through must be rtl or netlist, not 'gates'$"),
        ("netlist", "^`through` netlist must come with `build` DIR, the output folder of a build$"),
    ],
)
def test_what_cannot_be_simulated(through, message):
    """Another word, and a netlist without a build, are refused before anything is compiled."""
    design = compile(NET)
    with pytest.raises(FormatError, match=message):
        VirtualBoard(NET, design.core, design.board, through=through)


def test_a_board_without_a_clock_pin():
    """A board whose oscillator is on the chip is refused on entry, and leaves nothing behind."""
    with pytest.raises(BoardError, match="must have a clock pin to be simulated"):
        with compile(NET, "upduino-internal").virtual_board():
            pass
