"""The command `qornn-hw simulate-board`: a board in a process, its link at a pseudo-terminal."""

import json
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from qornn_hw.cli.options import (
    DEFAULT_BOARD,
    BoardOption,
    BuildOption,
    HeldEngineOption,
    HeldLanesOption,
    JsonOption,
    ModelArgument,
)
from qornn_hw.errors import ToolError
from qornn_hw.terminal.progress import working
from qornn_hw.terminal.text import say

if TYPE_CHECKING:
    from qornn_hw.api.virtual_board import VirtualBoard

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("simulate-board")(simulate_board)


def simulate_board(
    model: ModelArgument,
    board: BoardOption = DEFAULT_BOARD,
    build: BuildOption = None,
    lanes: HeldLanesOption = None,
    engine: HeldEngineOption = None,
    through: Annotated[
        str,
        typer.Option(
            metavar="rtl|netlist",
            help="rtl: the board's design before synthesis. netlist: that of --build, as it is placed.",
        ),
    ] = "rtl",
    as_json: JsonOption = False,
) -> None:
    """Be a board: simulate all of it, its link at a pseudo-terminal that `qornn-hw run --port` opens.

    Ends with Ctrl-C.
    """
    from qornn_hw.api.held import held
    from qornn_hw.api.network import load
    from qornn_hw.api.virtual_board import check_through
    from qornn_hw.boards.stages import preparation

    check_through(through, build)
    found = held(load(model), board, build, lanes, engine)
    virtual = found.virtual_board(through=through)
    with ExitStack() as stack:
        what = f"compiling {virtual.model.name} ({through}) for the simulation"
        with working(what, quiet=as_json, more=preparation()):
            stack.enter_context(virtual)
        more = f" --build {build}" if build is not None else f" --board {virtual.model.name}"
        _say_started(virtual, f"qornn-hw run {model}{more}", as_json)
        try:
            # Not as an interrupt of the whole process group: the board tells its cycles first.
            virtual.wait()
        except (KeyboardInterrupt, SystemExit):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            seen = virtual.statistics()
            if not as_json:
                say(
                    f"{seen.cycles} cycles in {seen.seconds:.1f} s, "
                    f"{seen.cycles_per_second / 1e6:.2f} million a second"
                )
            return
    raise ToolError("the virtual board must run until it is ended, and died")


def _say_started(virtual: "VirtualBoard", command: str, as_json: bool) -> None:
    """Print where the board is."""
    if not as_json:
        say(f"the board is at {virtual.port}; in another terminal:")
        say(f"    {command} --port {virtual.port} --baud {virtual.baud} --timeout 10", flush=True)
        return
    value = {
        "port": virtual.port,
        "baud": virtual.baud,
        "board": virtual.model.name,
        "through": virtual.through,
        "clock_mhz": virtual.clock_mhz,
        "design_digest": virtual.core.digest,
        "compile_seconds": round(virtual.compile_seconds, 2),
    }
    print(json.dumps(value), flush=True)
