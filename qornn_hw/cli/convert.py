"""The command `qornn-hw convert`: a checkpoint in the other format."""

from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.cli.options import ModelArgument
from qornn_hw.terminal.text import say

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("convert")(convert)


def convert(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new file, .pt or .npz.")],
) -> None:
    """Write a checkpoint in the other format, .pt or .npz."""
    from qornn_hw.api.network import load, save

    save(out, load(model))
    say(f"wrote {out}")
