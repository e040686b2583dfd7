"""What a connection does about a broken exchange."""

import pytest
from fake_board import FakeBoard

from qornn_hw.boards.connection import BrokenError, Connection
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import encode_image
from qornn_hw.link.protocol import FaultCode
from qornn_hw.sim.stimuli import random_network

DESIGN = compile_network(
    random_network(seed=1, hidden_size=4, input_size=2, output_size=2), engine="dsp", elements=1
)


@pytest.mark.parametrize(
    ("message", "code", "loads"),
    [
        ("any text", FaultCode.NOT_LOADED, True),
        ("the board dropped a frame: not loaded", None, False),
        ("not loaded", FaultCode.BAD_CRC, False),
        ("not loaded", 99, False),
    ],
)
def test_weights_are_loaded_again_for_the_code_alone(message, code, loads):
    """The code of the FAULT decides, and no text does."""
    board = FakeBoard(DESIGN, loaded=False)
    connection = Connection(board, board.form, tag=0, timeout=0.1, retries=2, image=encode_image(DESIGN))
    connection.load_again(BrokenError(message, code))
    assert board.loaded == loads
