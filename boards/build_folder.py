"""The folder of a build: which board it is for, and which design a network has on it."""

from pathlib import Path
from typing import Any

from qornn_hw.boards.board import Board
from qornn_hw.boards.clock import board_as_built
from qornn_hw.boards.estimation import plan_for
from qornn_hw.boards.kept import built_design
from qornn_hw.boards.registry import find_board, listed_board
from qornn_hw.boards.report import read_file_of
from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.weight_image import MOST_IMAGE_BYTES
from qornn_hw.errors import BoardError, FormatError

__all__ = ["board_of_build", "design_of_build", "weights_of_build"]


def board_of_build(folder: Path, report: dict[str, Any], named: str | None = None) -> Board:
    """Return the board that a build is for, with the clock source that it was built with.

    A build folder may come from anybody, and a board's file is Python. So the name in the report is looked up
    among the listed boards alone, and a file is run only where the user has named it.

    Args:
        folder: of the build.
        report: of the build.
        named: the board that the user gave, a name or the path of a file; None where the user gave none.

    Raises:
        BoardError: the report's board is not listed, and the user named none.
        FormatError: the user named another board.
    """
    name: str = report["board"]
    if named is None:
        board = listed_board(name)
        if board is None:
            raise BoardError(
                f"the board of {folder} must be a listed one or be named, {name} is not listed; name the "
                "file that defines it with `board` FILE.py"
            )
    else:
        board = find_board(named)
        if board.name != name:
            raise FormatError(f"board must be {name}, the board of {folder}, not {board.name}")
    return board_as_built(board, report)


def design_of_build(folder: Path, report: dict[str, Any], board: Board, network: AnyNetwork) -> Design:
    """Return the design of a network on the hardware of a build.

    A build that was reloaded, or made to be, has a plan of its own; that of another one is planned again.

    Raises:
        FormatError: the build is of another network.
    """
    if (built := built_design(folder, network)) is not None:
        return built
    engine = report.get("engine")
    design = plan_for(network, board, report.get("lanes"), engine)
    if report.get("design_digest") != design.digest:
        raise FormatError(
            f"the build must be of this model, {folder} is of another design; build this one into a "
            "folder of its own (qornn-hw build)"
        )
    return design


def weights_of_build(folder: Path, report: dict[str, Any]) -> bytes:
    """Return the image of weights that a build's board waits for.

    That of a reloaded build names the design that was built, so it is read rather than made.

    Raises:
        DataError: the build has none.
    """
    return read_file_of(folder, report, "weights", MOST_IMAGE_BYTES)
