"""A build's bitstream into a board, with a programmer that is installed."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qornn_hw.boards.board import Board
from qornn_hw.boards.report import file_of
from qornn_hw.compiler.boot import Boot
from qornn_hw.errors import ToolError

__all__ = ["program"]


def program(
    folder: Path, report: dict[str, Any], board: Board, *, tell: Callable[[str], None] | None = None
) -> None:
    """Load a build's bitstream, and weights that it boots from flash.

    Args:
        folder: of the build.
        report: of the build.
        board: that it is for.
        tell: called with each command line before it runs.

    Raises:
        ToolError: no programmer is installed, or it failed.
        DataError: the build lacks a file.
    """
    bitstream = _operand(file_of(folder, report, "bitstream"))
    path, command = _installed(board)
    loads: list[tuple[str, list[str]]] = [("the bitstream", [*command, bitstream])]
    if report.get("boot") == Boot.FLASH:
        image = _operand(file_of(folder, report, "weights"))
        at = [board.flash_option, str(board.flash_address)]
        # First: the board starts when it has its bitstream, and reads the weights then.
        loads.insert(0, ("the weights", [*command, *at, image]))
    for what, words in loads:
        if tell is not None:
            tell(" ".join(words))
        try:
            code = subprocess.run([path, *words[1:]], check=False).returncode
        except OSError as error:
            raise ToolError(f"{command[0]} could not start from {path}: {error.strerror}") from error
        if code != 0:
            raise ToolError(
                f"{command[0]} must load {what}, and failed with exit code {code}; check that the board "
                "is connected, and that you may use its USB device"
            )


def _installed(board: Board) -> tuple[str, list[str]]:
    """Return the path of the first programmer of the board that is there, and its command."""
    commands = [command.split() for command in (board.programmer, *board.other_programmers)]
    for command in commands:
        if (path := shutil.which(command[0])) is not None:
            return path, command
    names = " or ".join(dict.fromkeys(command[0] for command in commands))
    raise ToolError(f"loading a bitstream into {board.name} must have {names}, and none is installed")


def _operand(path: Path) -> str:
    """Return a path as an argument that no program takes for an option."""
    text = str(path)
    return f".{os.sep}{text}" if text.startswith("-") else text
