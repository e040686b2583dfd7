"""The command `qornn-hw estimate`: cycles and resources without any FPGA tool."""

from typing import Annotated

import typer

from qornn_hw.cli.options import (
    BoardOption,
    EngineOption,
    JsonOption,
    LanesOption,
    ModelArgument,
    RateOption,
)
from qornn_hw.cli.output import console, print_json

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("estimate")(estimate)


def estimate(
    model: ModelArgument,
    board: BoardOption = "icebreaker",
    lanes: LanesOption = None,
    engine: EngineOption = None,
    target_rate: RateOption = None,
    clock: Annotated[
        str | None,
        typer.Option(metavar="oscillator|MHZ", help="Core clock of all times; else one that is counted on."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the designs that were considered, and what limits them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate cycles and resources of a model on a board; no FPGA tool is run."""
    from qornn_hw.api.design import compile
    from qornn_hw.api.network import load
    from qornn_hw.boards.estimation import estimate_table

    design = compile(
        load(model), board, lanes=lanes, engine=engine, target_rate=target_rate, clock=clock or "auto"
    )
    value = design.estimate()
    explanation = design.explain() if explain else None
    if explanation is not None:
        value["considered"] = explanation.rows
    if as_json:
        print_json(value)
        return
    console.print(estimate_table(value))
    if explanation is not None:
        console.print(explanation.table())
