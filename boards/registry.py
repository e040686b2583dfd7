"""The boards that there are, listed by hand: a board that fails to import must be seen."""

from boards import colorlight_i5, ice40_hx8k, icebreaker, orangecrab, tinyfpga_bx, ulx3s, upduino
from boards.board import Board
from qornn_hw.errors import BoardError

__all__ = ["BOARDS", "find_board"]

BOARDS: tuple[Board, ...] = (
    icebreaker.BOARD,
    *upduino.BOARDS,
    ice40_hx8k.BOARD,
    tinyfpga_bx.BOARD,
    *ulx3s.BOARDS,
    colorlight_i5.BOARD,
    *orangecrab.BOARDS,
)


def find_board(name: str) -> Board:
    """Return the board called ``name``.

    >>> find_board("icebreaker").device
    'iCE40UP5K'
    """
    for board in BOARDS:
        if board.name == name:
            return board
    raise BoardError(f"board must be one of {', '.join(b.name for b in BOARDS)}, not {name!r}")
