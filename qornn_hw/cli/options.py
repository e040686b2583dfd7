"""Arguments and options that several commands have, and what is made of their values."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.api.design import DEFAULT_BOARD
from qornn_hw.compiler.engines import NAMES

__all__ = [
    "DEFAULT_BOARD",
    "BoardOption",
    "BuildOption",
    "DataOption",
    "EngineOption",
    "HeldEngineOption",
    "HeldLanesOption",
    "HtmlOption",
    "JsonOption",
    "LanesOption",
    "ModelArgument",
    "RateOption",
    "typed_command",
]


def typed_command() -> str:
    """Return the command that was typed, for what says how it came to be: quoted as a shell needs it."""
    return shlex.join(["qornn-hw", *sys.argv[1:]])


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="The checkpoint, .pt or .npz.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder with the data set of the task.")
]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a report with plots as one page that needs nothing."),
]
BoardOption = Annotated[
    str,
    typer.Option(
        "--board",
        metavar="NAME",
        help="The board, as in `qornn-hw boards`, or a file with one.",
    ),
]
LanesOption = Annotated[
    int | None,
    typer.Option("--lanes", metavar="N", help="At most N multiply-accumulates a cycle; else what fits."),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="|".join(NAMES),
        help="lut: multiplies in logic cells. dsp: in hard multipliers, weights loaded after start-up where "
        "block RAM is too small. tile: gated cells and several layers. simple: one multiplier, the smallest "
        "and slowest. Else the first of them that computes the network and fits.",
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--target-rate",
        metavar="HZ",
        help="Steps a second that are enough: the smallest design that does them; else the fastest.",
    ),
]
BuildOption = Annotated[
    Path | None,
    typer.Option("--build", metavar="DIR", help="The build that the board holds: its folder."),
]
HeldLanesOption = Annotated[
    int | None, typer.Option("--lanes", metavar="N", help="As for the build, where no --build is named.")
]
HeldEngineOption = Annotated[
    str | None,
    typer.Option("--engine", metavar="|".join(NAMES), help="As for the build, where no --build is named."),
]
