"""The command `qornn-hw run`: sequences, or a stream, on a board."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qornn_hw.cli.options import (
    DEFAULT_BOARD,
    BoardOption,
    BuildOption,
    DataOption,
    HeldEngineOption,
    HeldLanesOption,
    JsonOption,
    ModelArgument,
)
from qornn_hw.cli.output import print_json, warn
from qornn_hw.terminal.text import PlainConsole, say

if TYPE_CHECKING:
    from qornn_hw.api.board import Board
    from qornn_hw.api.run_inputs import RunInputs

__all__ = ["add_to"]


PortOption = Annotated[
    str | None,
    typer.Option(metavar="PORT", help="The board's serial port; else it is found by its USB ids."),
]
InputsOption = Annotated[
    Path | None,
    typer.Option(
        "--input",
        metavar="FILE",
        help="Sequences of a file in place of the task's: .npy, or .npz with inputs and lengths; real "
        "numbers, or the network's own integers; (count, steps, inputs), or (count, steps) symbols.",
    ),
]
StreamOption = Annotated[
    bool,
    typer.Option(
        "--stream",
        help="Read a step a line from standard input, numbers between spaces or commas, and write each "
        "answer as it comes. An empty line, or `reset`, begins a new sequence.",
    ),
]
IntegersOption = Annotated[
    bool,
    typer.Option(
        "--integers", help="The lines of --stream are the network's own integers, and so are the answers."
    ),
]
HistoryOption = Annotated[
    int | None,
    typer.Option(
        metavar="STEPS", help="Steps of a sequence of --stream that are kept to restore it after a fault."
    ),
]
RandomOption = Annotated[
    int | None, typer.Option("--random", metavar="N", help="N random sequences in place of the task's.")
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Compare every answer with the integer model as it comes.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Write the answers, a .npy file, or a .npz with lengths."
    ),
]
BaudOption = Annotated[
    int | None, typer.Option(help="Rate of the line; else that of --build, or of the board at its best.")
]
TimeoutOption = Annotated[
    float, typer.Option(help="Seconds of silence after which something is taken to be lost.")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("run")(run)


def run(
    model: ModelArgument,
    port: PortOption = None,
    board: BoardOption = DEFAULT_BOARD,
    build: BuildOption = None,
    lanes: HeldLanesOption = None,
    engine: HeldEngineOption = None,
    data: DataOption = None,
    inputs: InputsOption = None,
    stream: StreamOption = False,
    integers: IntegersOption = False,
    history: HistoryOption = None,
    random: RandomOption = None,
    steps: Annotated[int, typer.Option(help="Steps of a random sequence.")] = 32,
    seed: Annotated[int, typer.Option(help="Seed of the random sequences.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many sequences.")] = None,
    check: CheckOption = False,
    out: OutOption = None,
    baud: BaudOption = None,
    timeout: TimeoutOption = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Run sequences on a board: the test set, a file, random ones, or the lines of a stream."""
    from qornn_hw.api.board import check_connection
    from qornn_hw.api.held import held
    from qornn_hw.api.network import load
    from qornn_hw.api.run_inputs import check_run_inputs, run_inputs
    from qornn_hw.cli.stream_command import check_stream, run_stream
    from qornn_hw.data.answer_file import check_answer_file

    check_run_inputs(inputs, random, steps, seed, limit)
    check_connection(timeout, baud, history)
    check_stream(
        stream, integers=integers, history=history, inputs=inputs, random=random, limit=limit, out=out
    )
    if out is not None:
        check_answer_file(out)
    net = load(model)
    found = held(net, board, build, lanes, engine)

    def connect() -> "Board":
        return found.open(port, baud=baud, timeout=timeout, history=history)

    if stream:
        run_stream(connect, net, integers=integers, check=check, as_json=as_json)
        return
    given = run_inputs(net, inputs=inputs, random=random, steps=steps, seed=seed, data=data, limit=limit)
    named = {"model": str(model), "board": found.board.name}
    _run_sequences(connect, given, check=check, out=out, as_json=as_json, named=named)


def _run_sequences(
    connect: "Callable[[], Board]",
    given: "RunInputs",
    *,
    check: bool,
    out: Path | None,
    as_json: bool,
    named: dict[str, str],
) -> None:
    """Run whole sequences and print what came of it."""
    from qornn_hw.data.answer_file import check_form, write_answers

    if out is not None:
        check_form(out, given.sequences, given.network)
    warn(given.clipped_text)
    start = time.monotonic()
    with connect() as board, _progress(len(given.sequences), as_json) as progress:
        answers = board.run_integers(given.sequences, check=check, progress=progress)
    seconds = time.monotonic() - start
    s = board.statistics
    value = {
        **named,
        "port": board.port,
        "baud": board.baud,
        "sequences": s.sequences,
        "steps": s.steps,
        "integers_compared": sum(a.size for a in answers) if check else 0,
        "mismatches": 0 if check else None,
        "metrics": None if given.score is None else given.score(answers),
        "clipped": given.clipped,
        "seconds": round(seconds, 3),
        "steps_per_second": round(s.steps / s.seconds, 1) if s.seconds else None,
        "resets": s.resets,
        "faults": s.faults,
    }
    if out is not None:
        write_answers(out, answers)
    if as_json:
        print_json(value)
    else:
        _say(value, s.seconds, check, out)


def _say(value: dict[str, Any], seconds: float, check: bool, out: Path | None) -> None:
    """Print the counts of a run."""
    say(
        f"{value['sequences']} sequences, {value['steps']} steps in {seconds:.2f} s, "
        f"{value['steps'] / max(seconds, 1e-9):.0f} steps a second"
    )
    if value["metrics"]:
        say(", ".join(f"{key} {number:.6g}" for key, number in value["metrics"].items()))
    if check:
        say(f"{value['integers_compared']} integers compared with the integer model, 0 mismatches")
    if value["resets"]:
        say(f"recovered {value['resets']} times; faults that the board told of: {value['faults'] or 'none'}")
    if out is not None:
        say(f"wrote {out}")


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows the progress: a bar on a terminal, else nothing."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = PlainConsole(stderr=True)
    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("sequences", total=total)
        yield lambda done, _: bar.update(task, completed=done)
