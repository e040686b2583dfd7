"""The command `qornn-hw reload`: other weights in a bitstream."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from qornn_hw.cli.options import JsonOption
from qornn_hw.cli.output import print_json
from qornn_hw.terminal.progress import Progress, working
from qornn_hw.terminal.text import say

__all__ = ["add_to"]

# What the netlist is simulated with.
PROOF_SEQUENCES, PROOF_STEPS = 2, 3


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("reload")(reload)


def reload(
    build: Annotated[Path, typer.Argument(metavar="BUILD", help="Folder of a build.")],
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The checkpoint to put in, .pt or .npz.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the results; BUILD replaces it.")
    ],
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="FILE", help="The file with the board, where the build had one."),
    ] = None,
    prove: Annotated[
        bool,
        typer.Option(help="Simulate the netlist with the new contents through the board's pins: a minute."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put another network of the same shape into a bitstream, in seconds, without place and route."""
    from qornn_hw.api.build import reload as reload_build
    from qornn_hw.api.network import load

    with Progress(quiet=as_json) as progress:
        made = reload_build(build, load(model), out, board=board, progress=progress.begin_stage)
    value: dict[str, Any] = {
        "model": str(model),
        "block_rams": made.reloaded_block_rams,
        "seconds": round(made.report["seconds"]["reload"], 2),
        "report": made.report,
    }
    if prove:
        with working("simulating the netlist", quiet=as_json, more="it is compiled first"):
            value["proof"] = asdict(made.simulate(sequences=PROOF_SEQUENCES, steps=PROOF_STEPS))
    if as_json:
        print_json(value)
    else:
        _say(out, value)


def _say(out: Path, value: dict[str, Any]) -> None:
    """Print the files, and what was compared."""
    files = value["report"]["files"]
    say(
        f"wrote {out / files['bitstream']}: {value['block_rams']} block RAMs changed, in "
        f"{value['seconds']:.1f} s"
    )
    if weights := files.get("weights"):
        say(f"wrote {out / weights}: load it over the link after each start (docs/link.md, LOAD)")
    if proof := value.get("proof"):
        say(
            f"{proof['simulator']}: {proof['steps']} steps of the netlist, {proof['integers_compared']} "
            f"integers compared, {proof['mismatches']} mismatches"
        )
