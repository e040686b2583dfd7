"""The command `qornn-hw build`: a bitstream with its report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qornn_hw.cli.options import (
    BoardOption,
    EngineOption,
    HtmlOption,
    JsonOption,
    LanesOption,
    ModelArgument,
    RateOption,
    typed_command,
)
from qornn_hw.cli.output import console, print_json
from qornn_hw.compiler.boot import Boot
from qornn_hw.terminal.progress import Progress
from qornn_hw.terminal.text import say

if TYPE_CHECKING:
    from qornn_hw.api.build import Build
    from qornn_hw.api.design import Design

__all__ = ["add_to"]

_LOADED = {
    Boot.LINK: "qornn-hw run loads it over the link after each start",
    Boot.FLASH: "qornn-hw program writes it into the flash, behind the bitstream",
}


OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="DIR", help="Folder of the results; else build/MODEL-BOARD."),
]
ClockOption = Annotated[
    str,
    typer.Option(
        metavar="auto|oscillator|MHZ",
        help="Core clock; auto: the fastest that the placed design reaches; oscillator: the board's own, "
        "without a PLL, for low power.",
    ),
]
EffortOption = Annotated[
    int, typer.Option(help="Seeds of place and route that are tried; the fastest placement is kept.")
]
BootOption = Annotated[
    Boot,
    typer.Option(
        help="Where weights that do not fit the bitstream come from at start-up: from the host, or from "
        "the board's flash, which `qornn-hw program` writes."
    ),
]
ReloadableOption = Annotated[
    bool,
    typer.Option(
        "--reloadable", help="Leave room for any other weights of the same formats: `qornn-hw reload`."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("build")(build)


def build(
    model: ModelArgument,
    board: BoardOption = "icebreaker",
    out: OutOption = None,
    lanes: LanesOption = None,
    engine: EngineOption = None,
    target_rate: RateOption = None,
    clock: ClockOption = "auto",
    seed: Annotated[int, typer.Option(help="First seed of place and route.")] = 1,
    effort: EffortOption = 1,
    boot: BootOption = Boot.LINK,
    reloadable: ReloadableOption = False,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the bitstream for a board, with a report, the core's Verilog and the netlist."""
    from qornn_hw.api.design import compile
    from qornn_hw.api.network import load
    from qornn_hw.storage.output_folder import check_file

    design = compile(
        load(model), board, lanes=lanes, engine=engine, target_rate=target_rate, clock=clock,
        reloadable=reloadable,
    )  # fmt: skip
    design.check_build(seed=seed, effort=effort, boot=boot)
    if html is not None:
        check_file(html)
    folder = out or Path("build") / f"{model.stem}-{design.board.name}"
    made = _built(design, folder, str(model), as_json, seed=seed, effort=effort, boot=boot)
    if html is not None:
        made.write_page(html, f"{model.name} on {made.report['board']}")
    _show(made, boot, html, as_json)


def _built(design: "Design", folder: Path, model: str, quiet: bool, **options: Any) -> "Build":
    """Build, and show how far it is."""
    if not quiet:
        say(f"{model}: {design.summary}")
    with Progress(console, quiet=quiet) as progress:
        progress.begin("counting cycles in simulation")
        return design.build(folder, command=typed_command(), progress=progress.begin_stage, **options)


def _show(made: "Build", boot: Boot, html: Path | None, as_json: bool) -> None:
    """Print the report and the files."""
    from qornn_hw.boards.report import report_table

    if as_json:
        print_json(made.report)
        return
    console.print(report_table(made.report))
    say(f"wrote {made.bitstream} and {made.folder / 'report.json'}")
    if weights := made.report["files"].get("weights"):
        say(f"wrote {made.folder / weights}: {_LOADED[boot]} (docs/boards.md)")
    if html is not None:
        say(f"wrote {html}")
