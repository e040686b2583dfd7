"""The command `qornn-hw program`: a build's bitstream into a board."""

from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.terminal.text import say

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("program")(program)


def program(
    build: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a build.")],
    board: Annotated[
        str | None,
        typer.Option(
            "--board", metavar="NAME", help="The build's board, or its FILE.py where it is one of your own."
        ),
    ] = None,
) -> None:
    """Load a build's bitstream, and weights that it boots from flash, with an installed programmer."""
    from qornn_hw.api.build import program as load_bitstream

    load_bitstream(build, board, tell=lambda line: say(line, flush=True))
