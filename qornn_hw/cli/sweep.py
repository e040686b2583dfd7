"""The command `qornn-hw sweep`: a grid of trainings, one row of results each."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qornn_hw.errors import FormatError, TrainingError
from qornn_hw.terminal.text import PlainConsole, say

if TYPE_CHECKING:
    from qornn_hw.training.sweep import Finished

__all__ = ["add_to", "progress"]


SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=V1,V2,...",
        help="An option of `qornn-hw train TASK` and its values; once for each option. All combinations "
        "are trained.",
    ),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="The results, a JSON line for each run.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder with the data set of the task.")
]
WorkersOption = Annotated[
    int | None, typer.Option(metavar="N", help="Runs at a time on this machine; else one for each core.")
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="A dask scheduler, tcp://HOST:8786, in place of this machine."),
]
ModelsOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the checkpoints there; interrupted runs go on from there."),
]
WidthsOption = Annotated[
    str | None,
    typer.Option(
        "--requantize",
        metavar="BITS,...",
        help="Measure each network with states of these widths, too, quantized after training; a run "
        "whose row has not all of them is run again.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="cpu, or cuda for a GPU, where --workers 1 is best.")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("sweep")(sweep)


def sweep(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task, as in `qornn-hw train TASK`.")],
    settings: SettingsOption = None,
    out: OutOption = Path("results.jsonl"),
    data: DataOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    models: ModelsOption = None,
    widths: WidthsOption = None,
    device: DeviceOption = "cpu",
    retry: Annotated[bool, typer.Option("--retry", help="Run again what has failed before.")] = False,
) -> None:
    """Train all combinations of some options, several at a time; runs whose rows are there are skipped.

    Needs the extra `sweep`. The same command goes on with a sweep that was interrupted.
    """
    from qornn_hw.training import sweep as sweeps
    from qornn_hw.training.result_rows import Results, latest
    from qornn_hw.training.sweep_grid import grid

    jobs = grid(task, _settings(settings or []), None if data is None else str(data), _widths(widths), device)
    with Results.open(out) as results:
        if results.torn:
            say(f"{out}: the last line was incomplete and is dropped; its run is run again", file=sys.stderr)
        left = sweeps.pending(jobs, results.rows, retry)
        say(f"{len(jobs)} runs, {len(jobs) - len(left)} of them in {out} already", flush=True)
        again = sum("error" not in (latest(results.rows, job) or {"error": ""}) for job in left)
        if again:
            say(f"{again} of {out} are run again for states of {widths} bits", flush=True)
        with progress(len(left)) as report:
            sweeps.sweep(
                jobs, results,
                workers=workers, scheduler=scheduler, models=models, retry=retry, report=report,
            )  # fmt: skip
        last = [latest(results.rows, job) for job in jobs]
    failed = [row for row in last if row is not None and "error" in row]
    if failed:
        raise TrainingError(
            f"{len(failed)} of {len(jobs)} runs failed, the first with: {failed[0]['error']}; --retry runs "
            f"them again, {out} has all reasons"
        )
    say(f"wrote {out}")


def _settings(options: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for option in options:
        name, equals, values = option.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals or not name:
            raise FormatError(f"settings must be NAME=V1,V2,..., not {option!r}")
        if name in found:
            raise FormatError(
                f"`settings` {name} must be given once, with all its values separated by commas"
            )
        found[name] = values
    return found


def _widths(text: str | None) -> tuple[int, ...]:
    try:
        return () if text is None else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise FormatError(
            f"widths must be bits of states, 4 to 16, separated by commas, not {text!r}"
        ) from None


def describe(row: Mapping[str, Any]) -> str:
    """Return a row in a line: the options that were chosen, and what came of them."""
    words = row["command"].removeprefix("qornn-hw train ").removesuffix(" -o model.pt")
    if "error" in row:
        return f"{words}: failed, {row['error']}"
    metrics = row["metrics"].get("integer") or row["metrics"].get("float") or {}
    name = row.get("metric", "")
    value = f"{name} {metrics[name]:.4g}, " if name in metrics else ""
    return f"{words}: {value}{row['seconds']:.0f} s"


@contextmanager
def progress(total: int) -> Iterator[Callable[["Finished"], None]]:
    """Yield a function that shows each run: a bar on a terminal, plain lines elsewhere; both on stderr."""
    if total == 0 or not sys.stderr.isatty():

        def line(finished: "Finished") -> None:
            say(f"{finished.done}/{finished.total} {describe(finished.row)}", file=sys.stderr, flush=True)

        yield line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    console = PlainConsole(stderr=True)
    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("runs", total=total)

        def advance(finished: "Finished") -> None:
            console.print(describe(finished.row))
            bar.update(task, completed=finished.done)

        yield advance
