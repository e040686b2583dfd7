"""The boards that there are, listed by hand: a board that fails to import must be seen."""

import re
import runpy
import traceback
from pathlib import Path

from qornn_hw.boards import (
    colorlight_i5,
    gatemate_a1_evb,
    ice40_hx8k,
    icebreaker,
    orangecrab,
    tang_nano_9k,
    tinyfpga_bx,
    ulx3s,
    upduino,
)
from qornn_hw.boards.board import Board
from qornn_hw.boards.report_schema import NAME
from qornn_hw.errors import BoardError

__all__ = ["BOARDS", "find_board", "listed_board"]

BOARDS: tuple[Board, ...] = (
    icebreaker.BOARD,
    *upduino.BOARDS,
    ice40_hx8k.BOARD,
    tinyfpga_bx.BOARD,
    *ulx3s.BOARDS,
    colorlight_i5.BOARD,
    *orangecrab.BOARDS,
    tang_nano_9k.BOARD,
    gatemate_a1_evb.BOARD,
)


def find_board(name: str) -> Board:
    """Return the board called ``name``, or the one that the Python file of that path defines as ``BOARD``.

    The file is run. Only a name that the user gave comes here: a name that was read from a file goes to
    :func:`listed_board`.

    Args:
        name: of the board or the file; ``NAME:LINK`` for another one of its physical links.

    >>> find_board("icebreaker:uart").link_name
    'uart'
    >>> find_board("icebreaker").oscillator_hz
    12000000

    Raises:
        BoardError: there is none of that name, the file does not define one, or the board lacks the link.
        FormatError: there is no such link.
    """
    board_name, colon, link = name.rpartition(":")
    if colon and (board_name.endswith(".py") or listed_board(board_name) is not None):
        return find_board(board_name).over(link)
    if name.endswith(".py"):
        return _load_board(Path(name))
    if (board := listed_board(name)) is not None:
        return board
    raise BoardError(
        f"board must be one of {', '.join(b.name for b in BOARDS)}, or a file FILE.py that defines BOARD, "
        f"not {name!r}"
    )


def listed_board(name: str) -> Board | None:
    """Return the board of :data:`BOARDS` that is called ``name``, None if there is none; no file is run."""
    return next((board for board in BOARDS if board.name == name), None)


def _load_board(path: Path) -> Board:
    """Run a user's file and return its ``BOARD``."""
    if not path.is_file():
        raise BoardError(f"board must be a file that exists, {path} does not")
    try:
        # Whatever goes wrong in it is the file's, and told in one line.
        names = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        where = f" (line {lines[-1]})" if lines else ""
        moved = isinstance(error, ImportError) and (error.name or "").split(".")[0] == "boards"
        hint = "; write qornn_hw.boards in place of boards" if moved else ""
        raise BoardError(
            f"board file {path} must run, and fails{where} with {type(error).__name__}: {error}{hint}"
        ) from error
    board = names.get("BOARD")
    if not isinstance(board, Board):
        what = "nothing of that name" if board is None else f"a {type(board).__name__}"
        raise BoardError(
            f"board file {path} must define BOARD, a qornn_hw.boards.board.Board; it defines {what}"
        )
    if not re.fullmatch(NAME, board.name) or board.name.endswith(".py"):
        raise BoardError(
            f"board file {path} must name its BOARD with letters, digits, '_', '-' and '.', no .py at the "
            f"end, not {board.name!r}"
        )
    if listed_board(board.name) not in (None, board):
        # A build's report names its board: the name must not mean another one.
        raise BoardError(
            f"board file {path} must give its BOARD a name of its own, {board.name} is another board's"
        )
    return board
