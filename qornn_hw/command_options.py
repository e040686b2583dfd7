"""Arguments and options that several commands have, and what is made of their values."""

from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.engine import Engine
from qornn_hw.errors import FormatError

__all__ = ["BoardOption", "DataOption", "JsonOption", "ModelArgument", "engine_of"]

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="The checkpoint, .pt or .npz.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder with the data set of the task.")
]
BoardOption = Annotated[
    str,
    typer.Option("--board", metavar="NAME", help="The board, as in `qornn-hw boards`, or a file with one."),
]


def engine_of(name: str | None) -> Engine | None:
    """Return the engine that ``--engine`` names, None where it is not given.

    Raises:
        FormatError: there is no such engine.
    """
    if name is not None and name not in tuple(Engine):
        raise FormatError(f"--engine must be {' or '.join(Engine)}, not {name!r}")
    return None if name is None else Engine(name)
