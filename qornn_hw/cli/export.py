"""The command `qornn-hw export`: a core for somebody else's design."""

from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.cli.options import JsonOption, ModelArgument
from qornn_hw.cli.output import print_json
from qornn_hw.compiler.engines import NAMES
from qornn_hw.terminal.text import say

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("export")(export)


def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the results.")],
    board: Annotated[
        str | None,
        typer.Option(
            "--board", metavar="NAME", help="As large as fits this board; else --lanes alone counts."
        ),
    ] = None,
    lanes: Annotated[
        int | None,
        typer.Option(
            "--lanes", metavar="N", help="At most N multiply-accumulates a cycle; without a board 32, dsp 8."
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="|".join(NAMES),
            help="lut: products of logic cells. dsp: of hard multipliers. Else lut.",
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the module, so that a design can hold several.")
    ] = "qornn_core",
    sequences: Annotated[int, typer.Option(help="Random sequences among the golden vectors.")] = 3,
    steps: Annotated[int, typer.Option(help="Steps of each of them.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the sequences.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write the core as portable Verilog with golden vectors, a self-checking bench and a port table."""
    from qornn_hw.api.design import compile
    from qornn_hw.api.network import load

    design = compile(load(model), board, lanes=lanes, engine=engine)
    made = design.export(out, name=name, sequences=sequences, steps=steps, seed=seed)
    value = {"model": str(model)} | made
    if as_json:
        print_json(value)
        return
    say(
        f"{model}: {value['lanes']} lanes ({value['engine']}), {value['cycles_per_step']} cycles a step, "
        f"{value['integers']} integers to compare"
    )
    say(
        f"wrote {out / 'README.md'} and {len(value['files']) - 1} more; check it there with: {value['check']}"
    )
