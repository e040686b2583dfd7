"""The boards that there are, listed by hand: a board that fails to import must be seen."""

from boards import icebreaker
from boards.board import Board
from qornn_hw.errors import BoardError

__all__ = ["BOARDS", "find_board"]

BOARDS: tuple[Board, ...] = (icebreaker.BOARD,)


def find_board(name: str) -> Board:
    """Return the board called ``name``.

    >>> find_board("icebreaker").device
    'iCE40UP5K'
    """
    for board in BOARDS:
        if board.name == name:
            return board
    raise BoardError(f"board must be one of {', '.join(b.name for b in BOARDS)}, not {name!r}")
