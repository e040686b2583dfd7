"""The command `qornn-hw requantize`: another width of the state, without training."""

from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.cli.options import DataOption, JsonOption, ModelArgument
from qornn_hw.cli.output import print_json, print_table, stage
from qornn_hw.terminal.text import say

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("requantize")(requantize)


def requantize(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new file, .pt or .npz.")],
    state_bits: Annotated[int, typer.Option(help="Bits of the state, 4 to 16.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a network a state of another width, calibrated on its task, without training."""
    from qornn_hw.evaluation.evaluate import requantized_on_task
    from qornn_hw.files.checkpoint import check_writable, load_checkpoint, save_checkpoint
    from qornn_hw.quantization.quality import quality_text

    check_writable(out)
    checkpoint = load_checkpoint(model)
    with stage(f"calibrating and evaluating {model} with {state_bits}-bit states", as_json):
        made = requantized_on_task(checkpoint, state_bits, data)
    save_checkpoint(out, made)
    if as_json:
        print_json(made.metrics)
        return
    print_table(str(out), {k: v for k, v in made.metrics.items() if k != "quality"})
    say(quality_text(made.metrics["quality"]))
    say(f"wrote {out}")
