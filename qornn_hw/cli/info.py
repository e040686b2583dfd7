"""The command `qornn-hw info`: what is known of a checkpoint without data."""

import typer

from qornn_hw.cli.options import JsonOption, ModelArgument
from qornn_hw.cli.output import print_json, print_table

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("info")(info)


def info(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Show shapes, bits, scales, proven widths, orthogonality and recorded metrics of a checkpoint."""
    from qornn_hw.evaluation.evaluate import info as describe
    from qornn_hw.files.checkpoint import load_any

    value = describe(load_any(model))
    if as_json:
        print_json(value)
    else:
        print_table(str(model), value)
