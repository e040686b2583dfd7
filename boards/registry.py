"""The boards that there are, listed by hand: a board that fails to import must be seen."""

import runpy
import traceback
from pathlib import Path

from boards import (
    colorlight_i5,
    ice40_hx8k,
    icebreaker,
    orangecrab,
    tang_nano_9k,
    tinyfpga_bx,
    ulx3s,
    upduino,
)
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
    tang_nano_9k.BOARD,
)


def find_board(name: str) -> Board:
    """Return the board called ``name``, or the one that the Python file of that path defines as ``BOARD``.

    >>> find_board("icebreaker").device
    'iCE40UP5K'

    Raises:
        BoardError: there is none of that name, or the file does not define one.
    """
    if name.endswith(".py"):
        return _load_board(Path(name))
    for board in BOARDS:
        if board.name == name:
            return board
    raise BoardError(
        f"board must be one of {', '.join(b.name for b in BOARDS)}, or a file FILE.py that defines BOARD, "
        f"not {name!r}"
    )


def _load_board(path: Path) -> Board:
    """Run a user's file and return its ``BOARD``."""
    if not path.is_file():
        raise BoardError(f"board must be a file that exists, {path} does not")
    try:
        # Whatever goes wrong in it is the file's, and told in one line.
        names = runpy.run_path(str(path))
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        where = f" (line {lines[-1]})" if lines else ""
        raise BoardError(
            f"board file {path} must run, and fails{where} with {type(error).__name__}: {error}"
        ) from error
    board = names.get("BOARD")
    if not isinstance(board, Board):
        what = "nothing of that name" if board is None else f"a {type(board).__name__}"
        raise BoardError(f"board file {path} must define BOARD, a boards.board.Board; it defines {what}")
    return board
