"""The command `qornn-hw boards`: the boards, and what of a model fits on them."""

from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.cli.options import JsonOption
from qornn_hw.cli.output import console, print_json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("boards")(boards)


def boards(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="A checkpoint: show what of it fits on each board."),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="NAME", help="Only this board, or one that a file FILE.py defines."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the boards with their devices, clocks and links, and what of a model fits on them."""
    from qornn_hw.boards.estimation import board_facts, boards_table
    from qornn_hw.boards.registry import BOARDS, find_board
    from qornn_hw.files.checkpoint import load_any

    chosen = BOARDS if board is None else (find_board(board),)
    network = None if model is None else load_any(model).network
    facts = [board_facts(one, network) for one in chosen]
    if as_json:
        print_json({"boards": facts})
    else:
        console.print(boards_table(facts))
