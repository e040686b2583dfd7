"""The commands `qornn-hw example`: data sets that need no download, as files for the other commands."""

from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.cli.group import CommandGroup
from qornn_hw.cli.train import help_without_command
from qornn_hw.terminal.text import say

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    examples = typer.Typer(
        cls=CommandGroup,
        help="Write an example data set that needs no download.",
        invoke_without_command=True,
    )
    examples.callback()(help_without_command)
    examples.command("gestures")(gestures)
    app.add_typer(examples, name="example")


def gestures(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write the data, .npz.")
    ] = Path("gestures.npz"),
    train: Annotated[int, typer.Option(metavar="N", help="Recordings to train with.")] = 3000,
    test: Annotated[int, typer.Option(metavar="N", help="Recordings to test with.")] = 1000,
    channels: Annotated[
        int, typer.Option(metavar="3|6", help="3: acceleration. 6: the gyroscope's turn as well.")
    ] = 3,
    seed: Annotated[int, typer.Option(metavar="N", help="Other recordings for each seed.")] = 0,
) -> None:
    """Write gestures of a hand with a motion sensor: 6 classes, 100 samples, 3 or 6 channels."""
    from qornn_hw.tasks.gestures import CLASSES, STEPS, write_gestures

    write_gestures(out, train, test, seed, channels)
    say(
        f"wrote {out}: {train} recordings to train with, {test} to test with, {STEPS} steps of {channels} "
        f"channels, {len(CLASSES)} classes"
    )
