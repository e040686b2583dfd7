"""The commands that deal with a board: `run | program | simulate-board`."""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from qornn_hw.command_options import BoardOption, DataOption, JsonOption, ModelArgument, engine_of
from qornn_hw.engine import Boot
from qornn_hw.errors import DataError, FormatError, OutputError, ToolError
from qornn_hw.output_folder import work_folder

if TYPE_CHECKING:
    from boards.board import Board
    from qornn_hw.checkpoint import Checkpoint
    from qornn_hw.design import Design
    from sim.virtual_board import VirtualBoardBuild

__all__ = ["add_to"]

# Sequences of a run where nobody names more: random ones, or of the task's test set.
RANDOM_STEPS = 32
# An hour; the rate of the fastest USB bridges is below this.
LONGEST_TIMEOUT = 3600
FASTEST_BAUD = 100_000_000

BuildOption = Annotated[
    Path | None,
    typer.Option("--build", metavar="DIR", help="The build that the board holds: its folder."),
]
LanesOption = Annotated[
    int | None, typer.Option("--lanes", metavar="N", help="As for the build, where no --build is named.")
]
EngineOption = Annotated[
    str | None, typer.Option("--engine", metavar="NAME", help="As for the build, where no --build is named.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command("run")(run)
    app.command("program")(program)
    app.command("simulate-board")(simulate_board)


def _design_of(
    checkpoint: "Checkpoint", board: str, build: Path | None, lanes: int | None, engine: str | None
) -> tuple["Design", "Board", dict[str, Any]]:
    """Return the design that a board holds, the board, and the build's report, {} without a build."""
    from boards.estimation import plan_for
    from boards.kept import built_design
    from boards.registry import find_board
    from boards.report import read_report

    report: dict[str, Any] = {}
    if build is not None:
        if lanes is not None or engine is not None:
            raise FormatError("--build must come without --lanes and --engine, which are those of the build")
        report = read_report(build)
        # A board of a user's own file has no place in the registry.
        found = find_board(board if board.endswith(".py") else report["board"])
        lanes, engine = report.get("lanes"), report.get("engine")
    else:
        found = find_board(board)
    chosen = engine_of(engine)
    if build is not None and (built := built_design(build, checkpoint.network)) is not None:
        # A build that was reloaded, or made to be, has a plan of its own.
        return built, found, report
    design = plan_for(checkpoint.network, found, lanes, chosen)
    if report and report.get("design_digest") != design.digest:
        raise FormatError(
            f"--build must be a build of this model, {build} is of another design; build this one with: "
            "qornn-hw build MODEL --out DIR"
        )
    return design, found, report


def _weights_of(build: Path, report: dict[str, Any]) -> bytes:
    try:
        image: bytes = (build / report["files"]["weights"]).read_bytes()
        return image
    except (KeyError, OSError) as error:
        raise DataError(f"--build must have its image of weights, {build} has none; build it anew") from error


# -- run ---------------------------------------------------------------------------------------------


def run(
    model: ModelArgument,
    port: Annotated[
        str | None,
        typer.Option(metavar="PORT", help="The board's serial port; else it is found by its USB ids."),
    ] = None,
    board: BoardOption = "icebreaker",
    build: BuildOption = None,
    lanes: LanesOption = None,
    engine: EngineOption = None,
    data: DataOption = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Sequences of a .npy file in place of the task's: integers, (count, steps) symbols or "
            "(count, steps, inputs).",
        ),
    ] = None,
    random: Annotated[
        int | None, typer.Option("--random", metavar="N", help="N random sequences in place of the task's.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of a random sequence.")] = RANDOM_STEPS,
    seed: Annotated[int, typer.Option(help="Seed of the random sequences.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many sequences.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare every answer with the integer model as it comes.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the answers, a .npy file.")
    ] = None,
    baud: Annotated[
        int | None, typer.Option(help="Rate of the line; else that of --build, or of the board at its best.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds of silence after which something is taken to be lost.")
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Run sequences on a board and show what it makes of them: the test set, a file, or random ones."""
    from boards.host import Host, check_answers, find_port, model_answers, open_port
    from qornn_hw.checkpoint import load_checkpoint
    from qornn_hw.weight_image import encode_image
    from sim.stimuli import random_sequences

    for option, count in (("--limit", limit), ("--random", random), ("--steps", steps)):
        if count is not None and count < 1:
            raise FormatError(f"{option} must be at least 1, not {count}")
    if seed < 0:
        raise FormatError(f"--seed must be 0 or more, not {seed}")
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise FormatError(
            f"--timeout must be more than 0 and at most {LONGEST_TIMEOUT} seconds, not {timeout:g}"
        )
    if baud is not None and not 1 <= baud <= FASTEST_BAUD:
        raise FormatError(f"--baud must be 1 to {FASTEST_BAUD}, not {baud}")
    if out is not None:
        _check_file(out)
    if inputs is not None and random is not None:
        raise FormatError("--input and --random must not come together; each says what is run")
    checkpoint = load_checkpoint(model)
    network = checkpoint.network
    design, found, report = _design_of(checkpoint, board, build, lanes, engine)
    rate = baud or report.get("baud") or found.baud_rates[0]
    score: Callable[[list[NDArray[np.int64]]], dict[str, float]] | None = None
    if inputs is not None:
        sequences = list(_read_array(inputs))
    elif random is not None:
        sequences = random_sequences(network, batch=random, steps=steps, seed=seed)
    else:
        sequences, score = _test_set(checkpoint, data, limit)
    sequences = sequences[:limit]
    name = port or find_port(found)
    weights = None
    if design.schedule.store == "spram":
        # That of a build that was reloaded names the design that was built before.
        weights = encode_image(design) if build is None else _weights_of(build, report)
    step_us = report.get("step_us")

    def receive(index: int, words: NDArray[np.int64]) -> None:
        if check:
            check_answers(index, words, model_answers(network, [sequences[index]])[0])

    start = time.monotonic()
    transport = open_port(name, rate)
    with (
        Host(
            network,
            transport,
            design=design,
            image=weights,
            step_seconds=None if step_us is None else step_us * 1e-6,
            baud=rate,
            timeout=timeout,
        ) as host,
        _progress(len(sequences), as_json) as progress,
    ):
        answers = host.run(sequences, progress=progress, receive=receive)
    seconds = time.monotonic() - start
    s = host.statistics
    metrics = None if score is None else score(answers)
    value = {
        "model": str(model),
        "board": found.name,
        "port": name,
        "baud": rate,
        "sequences": s.sequences,
        "steps": s.steps,
        "integers_compared": sum(a.size for a in answers) if check else 0,
        "mismatches": 0 if check else None,
        "metrics": metrics,
        "seconds": round(seconds, 3),
        "steps_per_second": round(s.steps / s.seconds, 1) if s.seconds else None,
        "resets": s.resets,
        "faults": s.faults,
    }
    if as_json:
        print(json.dumps(value, indent=2))
        if out is not None:
            _write_answers(out, answers)
        return
    print(
        f"{s.sequences} sequences, {s.steps} steps in {s.seconds:.2f} s, "
        f"{s.steps / max(s.seconds, 1e-9):.0f} steps a second"
    )
    if metrics:
        print(", ".join(f"{key} {number:.6g}" for key, number in metrics.items()))
    if check:
        print(f"{value['integers_compared']} integers compared with the integer model, 0 mismatches")
    if s.resets:
        print(f"recovered {s.resets} times; faults that the board told of: {s.faults or 'none'}")
    if out is not None:
        _write_answers(out, answers)
        print(f"wrote {out}")


def _read_array(path: Path) -> NDArray[np.int64]:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"--input must be a .npy file of integers, {path} is not: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu" or array.ndim not in (2, 3):
        raise DataError(
            "--input must be a .npy file of integers, (count, steps) or (count, steps, inputs), "
            f"{path} is not"
        )
    return array.astype(np.int64)


def _test_set(
    checkpoint: "Checkpoint", data: Path | None, limit: int | None
) -> tuple[list[NDArray[np.int64]], Callable[[list[NDArray[np.int64]]], dict[str, float]]]:
    """Return the sequences of the task's test set, and what turns their answers into its metrics."""
    from qornn_hw.evaluate import task_of

    task = task_of(checkpoint, data)
    examples = task.test(limit)
    net = checkpoint.network

    def score(answers: list[NDArray[np.int64]]) -> dict[str, float]:
        words = np.stack(answers)
        if net.output_kind.has_logits:
            return task.metrics(
                task.totals(words[..., : net.output_size] * net.scales.output, examples.targets), len(words)
            )
        # Of the logits it is only known which one is the largest.
        chosen = (words[..., :1] == np.arange(net.output_size)).astype(float)
        found = task.metrics(task.totals(chosen, examples.targets), len(words))
        return {key: value for key, value in found.items() if key == "accuracy"}

    return list(examples.inputs), score


def _write_answers(path: Path, answers: list[NDArray[np.int64]]) -> None:
    with work_folder(path.parent, "answers") as work:
        np.save(work / "answers.npy", np.stack(answers))
        (work / "answers.npy").replace(path)


def _check_file(path: Path) -> None:
    """Raise an OutputError unless a file can be made at ``path``, before a run finds out."""
    if path.is_dir():
        raise OutputError(f"--out must be a file, {path} is a folder")
    with work_folder(path.parent, "answers"):
        pass


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows the progress: a bar on a terminal, else nothing."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, markup=False)
    with Progress(
        BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("sequences", total=total)
        yield lambda done, _: bar.update(task, completed=done)


# -- program -----------------------------------------------------------------------------------------


def program(
    build: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a build.")],
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="NAME", help="The board; that of the build where it is not named."),
    ] = None,
) -> None:
    """Load a build's bitstream, and weights that it boots from flash, with an installed programmer."""
    from boards.registry import find_board
    from boards.report import read_report

    report = read_report(build)
    found = find_board(board or report["board"])
    if found.name != report["board"]:
        raise FormatError(f"--board must be {report['board']}, the board of {build}, not {found.name}")
    bitstream = build / report.get("files", {}).get("bitstream", "")
    if not bitstream.is_file():
        raise DataError(
            f"{build} must hold the bitstream that its report names, {bitstream.name} is not there"
        )
    commands = [command.split() for command in (found.programmer, *found.other_programmers)]
    for command in commands:
        if (path := shutil.which(command[0])) is not None:
            break
    else:
        names = " or ".join(dict.fromkeys(command[0] for command in commands))
        raise ToolError(f"loading a bitstream into {found.name} must have {names}, and none is installed")
    loads: list[tuple[str, list[str]]] = [("the bitstream", [*command, str(bitstream)])]
    if report.get("boot") == Boot.FLASH:
        _weights_of(build, report)
        at = [found.flash_option, str(found.flash_address)]
        # First: the board starts when it has its bitstream, and reads the weights then.
        loads.insert(0, ("the weights", [*command, *at, str(build / report["files"]["weights"])]))
    for what, words in loads:
        print(" ".join(words), flush=True)
        try:
            code = subprocess.run([path, *words[1:]], check=False).returncode
        except OSError as error:
            raise ToolError(f"{command[0]} could not start from {path}: {error.strerror}") from error
        if code != 0:
            raise ToolError(
                f"{command[0]} must load {what}, and failed with exit code {code}; check that the board "
                "is connected, and that you may use its USB device"
            )


# -- simulate-board ----------------------------------------------------------------------------------


def simulate_board(
    model: ModelArgument,
    board: BoardOption = "icebreaker",
    build: BuildOption = None,
    lanes: LanesOption = None,
    engine: EngineOption = None,
    through: Annotated[
        str,
        typer.Option(
            help="rtl: the board's design before synthesis. netlist: the netlist of --build, as it is placed."
        ),
    ] = "rtl",
    as_json: JsonOption = False,
) -> None:
    """Be a board: simulate all of it, its UART at a pseudo-terminal that `qornn-hw run --port` opens.

    Ends with Ctrl-C.
    """
    from qornn_hw.checkpoint import load_checkpoint

    if through not in ("rtl", "netlist"):
        raise FormatError(f"--through must be rtl or netlist, not {through!r}")
    if through == "netlist" and build is None:
        raise FormatError("--through netlist must come with --build DIR, the output folder of a build")
    checkpoint = load_checkpoint(model)
    design, found, report = _design_of(checkpoint, board, build, lanes, engine)
    with tempfile.TemporaryDirectory(prefix="qornn-board-") as folder:
        if not as_json:
            print(f"compiling {found.name} ({through}) for the simulation", flush=True)
        made = _compile(design, found, build, report, through, Path(folder))
        with made.start() as virtual:
            value = {
                "port": virtual.port,
                "baud": made.baud,
                "board": found.name,
                "through": through,
                "clock_mhz": made.hz / 1e6,
                "design_digest": design.digest,
                "compile_seconds": round(made.seconds, 2),
            }
            if as_json:
                print(json.dumps(value), flush=True)
            else:
                more = f" --build {build}" if build is not None else f" --board {found.name}"
                print(f"the board is at {virtual.port}; in another terminal:")
                print(
                    f"    qornn-hw run {model}{more} --port {virtual.port} --baud {made.baud} --timeout 10",
                    flush=True,
                )
            try:
                # Not as an interrupt of the whole process group: the board tells its cycles first.
                virtual.wait()
            except (KeyboardInterrupt, SystemExit):
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                seen = virtual.statistics()
                if not as_json:
                    print(
                        f"{seen.cycles} cycles in {seen.seconds:.1f} s, "
                        f"{seen.cycles_per_second / 1e6:.2f} million a second"
                    )
                return
    raise ToolError("the virtual board must run until it is ended, and died")


def _compile(
    design: "Design",
    board: "Board",
    build: Path | None,
    report: dict[str, Any],
    through: str,
    folder: Path,
) -> "VirtualBoardBuild":
    from boards.clock import uart_baud
    from boards.netlist import find_netlist
    from boards.virtual import emit_board, simulated_hz
    from sim.virtual_board import build_virtual_board

    if through == "netlist":
        assert build is not None
        netlist = find_netlist(build, board)
        hz, baud = round(Fraction(str(report["clock_mhz"])) * 1_000_000), report["baud"]
    else:
        hz = simulated_hz(board)
        baud = uart_baud(board, hz)
        netlist = emit_board(design, board, folder, hz)
    return build_virtual_board(
        netlist.sources,
        netlist.top,
        folder,
        hz=hz,
        baud=baud,
        ports=netlist.ports,
        defines=netlist.defines,
    )
