"""The command line: from `train` to `build` and `export`.

With the modules of the commands that it adds it is the one place that knows all layers. What a command does
not need is not imported: `build` works without torch, `train` without Amaranth.
"""

import errno
import json
import math
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from qornn_hw import board_command, export_command, sweep_command, train_command
from qornn_hw.command_options import BoardOption, DataOption, JsonOption, ModelArgument, engine_of
from qornn_hw.engine import Boot
from qornn_hw.errors import (
    CapacityError,
    FormatError,
    OutputError,
    QornnError,
)

if TYPE_CHECKING:
    from qornn_hw.checkpoint import Checkpoint
    from qornn_hw.design import Design

__all__ = ["app", "main"]

app = typer.Typer(
    help="Turn a trained, quantized recurrent network into verified FPGA hardware and a bitstream.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

LanesOption = Annotated[
    int | None,
    typer.Option("--lanes", metavar="N", help="At most N multiply-accumulates a cycle; else what fits."),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="lut: multiplies in logic cells. dsp: in hard multipliers, weights loaded after start-up where "
        "block RAM is too small. Else lut where it fits.",
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--target-rate",
        metavar="HZ",
        help="Steps a second that are enough: the smallest design that does them; else the fastest.",
    ),
]
SimulatorOption = Annotated[
    str | None, typer.Option("--simulator", metavar="NAME", help="icarus or verilator; else what is there.")
]

# Typer has carried a click of its own since 0.26, so `import click` names other classes; these are right with
# either: a bad parameter is a usage error is a click exception.
UsageError: Any = typer.BadParameter.__base__
ClickException: Any = UsageError.__base__

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; a user's error is one line and exit code 2."""
    # As Ctrl-C: what is under way is taken back, and tools that run are ended.
    signal.signal(signal.SIGTERM, _terminate)
    code: Any = 0
    try:
        code = app(prog_name="qornn-hw", standalone_mode=False)
    except QornnError as error:
        _fail(str(error))
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "qornn-hw"
        _fail(f"{error.format_message().rstrip('.')}. Try '{command} --help'.")
    except ClickException as error:
        _fail(error.format_message())
    except typer.Exit as error:
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        code = 141
    except OSError as error:
        # Wherever it is found out.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        _fail(f"there must be room on the disk, and was not: {error.strerror}; free some space")
    if code == INTERRUPTED:  # typer makes one of a KeyboardInterrupt
        # Half-elaborated hardware complains that nobody used it.
        warnings.simplefilter("ignore")
        print("interrupted", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


INTERRUPTED = 130


def _terminate(*_: Any) -> None:
    sys.exit(143)


def _fail(message: str) -> None:
    print(f"qornn-hw: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"qornn-hw {installed('qornn-hw')}")
        raise typer.Exit()
    train_command.help_without_command(context)


def _load(model: Path) -> "Checkpoint":
    from qornn_hw.checkpoint import load_checkpoint

    return load_checkpoint(model)


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, indent=2, default=str))


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def _print_table(title: str, value: Mapping[str, Any]) -> None:
    table = Table(title=title, show_header=False, title_justify="left")
    for key, item in _flatten(value):
        table.add_row(key, f"{item:.6g}" if isinstance(item, float) else str(item))
    console.print(table)


@contextmanager
def _stage(what: str, quiet: bool) -> Iterator[None]:
    """Show what is going on: a spinner on a terminal, a line elsewhere, nothing with --json."""
    if quiet:
        yield
    elif console.is_terminal:
        with console.status(what):
            yield
    else:
        print(what, flush=True)
        yield


def _design(
    checkpoint: "Checkpoint",
    board: str,
    lanes: int | None,
    engine: str | None,
    room: bool = False,
    target_rate: float | None = None,
    clock_mhz: float | None = None,
) -> "Design":
    from boards.estimation import plan_for
    from boards.registry import find_board

    if target_rate is not None and not (target_rate > 0 and math.isfinite(target_rate)):
        raise FormatError(f"--target-rate must be a number of steps a second above 0, not {target_rate:g}")
    return plan_for(
        checkpoint.network, find_board(board), lanes, engine_of(engine), room=room, target_rate=target_rate,
        clock_mhz=clock_mhz,
    )  # fmt: skip


def _boardless(checkpoint: "Checkpoint", lanes: int) -> "Design":
    from qornn_hw.design import compile_network
    from qornn_hw.planner import chain_for_lanes

    columns, elements = chain_for_lanes(checkpoint.network, lanes)
    return compile_network(checkpoint.network, columns_per_element=columns, elements=elements)


train_command.add_to(app)
sweep_command.add_to(app)
export_command.add_to(app)

# -- look --------------------------------------------------------------------------------------------


@app.command()
def info(model: ModelArgument, as_json: JsonOption = False) -> None:
    """Show shapes, bits, scales, proven widths, orthogonality and recorded metrics of a checkpoint."""
    from qornn_hw.evaluate import info as describe

    value = describe(_load(model))
    if as_json:
        _print_json(value)
    else:
        _print_table(str(model), value)


@app.command("eval")
def evaluate_command(
    model: ModelArgument,
    data: DataOption = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many test sequences.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a checkpoint on its task's test set: float, quantized weights, pure integers."""
    from qornn_hw.evaluate import evaluate

    if limit is not None and limit < 1:
        raise FormatError(f"--limit must be at least 1, not {limit}")
    checkpoint = _load(model)
    with _stage(f"evaluating {model}", as_json):
        value = evaluate(checkpoint, data, limit)
    if as_json:
        _print_json(value)
    else:
        _print_table(str(model), value)


@app.command()
def convert(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new file, .pt or .npz.")],
) -> None:
    """Write a checkpoint in the other format; a build from .npz needs no torch."""
    from qornn_hw.checkpoint import save_checkpoint

    save_checkpoint(out, _load(model))
    print(f"wrote {out}")


@app.command()
def requantize(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new file, .pt or .npz.")],
    state_bits: Annotated[int, typer.Option(help="Bits of the state, 4 to 16.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a network a state of another width, calibrated on its task, without training."""
    from qornn_hw.checkpoint import check_writable, save_checkpoint
    from qornn_hw.evaluate import evaluate, task_of
    from qornn_hw.requantize import calibration_inputs, requantized

    check_writable(out)
    checkpoint = _load(model)
    task = task_of(checkpoint, data)
    with _stage(f"calibrating and evaluating {model} with {state_bits}-bit states", as_json):
        inputs = calibration_inputs(task, checkpoint.network.hidden_size)
        made = requantized(checkpoint, state_bits, inputs)
        made = replace(made, metrics=evaluate(made, data))
    save_checkpoint(out, made)
    if as_json:
        _print_json(made.metrics)
    else:
        _print_table(str(out), made.metrics)
        print(f"wrote {out}")


# -- simulate ----------------------------------------------------------------------------------------


# More steps than anybody simulates, and few enough to be held in memory.
MOST_STEPS = 100_000
# Of a core that fits no board that is known here.
BOARDLESS_LANES = 32
# Cycles of a UART bit in a simulation through the pins: few, and a half, as a board's clock may have it.
PINS_CLOCKS_PER_BIT = Fraction(25, 2)


def _check_folder_of(path: Path) -> None:
    """Raise an OutputError unless a file can be made at ``path``, before hours of work find out."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"{path} must be a file that can be written: {error.strerror}") from error


@app.command()
def sim(
    model: ModelArgument,
    board: BoardOption = "icebreaker",
    lanes: LanesOption = None,
    engine: EngineOption = None,
    simulator: SimulatorOption = None,
    through: Annotated[
        str,
        typer.Option(
            help="core: the core's Verilog, every hidden unit and answer. pins: core, link and UART through "
            "the UART's pins. netlist: the synthesized netlist of a build through the board's pins."
        ),
    ] = "core",
    build_dir: Annotated[
        Path | None, typer.Option("--build", metavar="DIR", help="The build whose netlist is simulated.")
    ] = None,
    sequences: Annotated[
        int | None, typer.Option(help="Random sequences, played back to back; 3, of a netlist 4.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each sequence; 16, of a netlist, which takes minutes, 4.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sequences and of the pauses.")] = 0,
    idle: Annotated[
        str, typer.Option(help="Pauses of the input (core only): none, periodic or random.")
    ] = "none",
    back_pressure: Annotated[
        str, typer.Option(help="Pauses of the reader (core only): none, periodic or random.")
    ] = "none",
    reset_after: Annotated[
        int | None, typer.Option(help="Reset in the middle of this step, then play all from the start.")
    ] = None,
    waves: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a trace (.fst Icarus, .vcd Verilator).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate the hardware against the integer model and compare every integer."""
    from sim.stimuli import random_sequences

    if through not in ("core", "pins", "netlist"):
        raise FormatError(f"--through must be core, pins or netlist, not {through!r}")
    if through == "netlist" and build_dir is None:
        raise FormatError("--through netlist must come with --build DIR, the output folder of a build")
    if through != "netlist" and build_dir is not None:
        raise FormatError(f"--build must come with --through netlist, not with --through {through}")
    if through != "core" and (idle, back_pressure) != ("none", "none"):
        raise FormatError(f"--idle and --back-pressure must go with --through core, not {through}")
    short = through == "netlist"
    sequences = (4 if short else 3) if sequences is None else sequences
    steps = (4 if short else 16) if steps is None else steps
    for option, count in (("--sequences", sequences), ("--steps", steps)):
        if not 1 <= count <= MOST_STEPS:
            raise FormatError(f"{option} must be 1 to {MOST_STEPS}, not {count}")
    if seed < 0:
        raise FormatError(f"--seed must be 0 or more, not {seed}")
    if waves is not None:
        _check_folder_of(waves)
    checkpoint = _load(model)
    try:
        design = _design(checkpoint, board, lanes, engine)
    except CapacityError as error:
        if through != "core":
            raise
        print(f"the core alone, not for a board: {error}", file=sys.stderr)
        design = _boardless(checkpoint, lanes or BOARDLESS_LANES)
    stimuli = random_sequences(checkpoint.network, batch=sequences, steps=steps, seed=seed)
    what = f"simulating {model} ({design.lanes} lanes, {sequences} x {steps} steps, {through})"
    with _stage(what, as_json):
        result = _simulate(
            through, design, stimuli, build_dir, board,
            simulator=simulator, reset_after=reset_after, waves=waves,
            core_options={"idle": idle, "back_pressure": back_pressure, "seed": seed},
        )  # fmt: skip
    value = {"model": str(model), "through": through, "lanes": design.lanes, **asdict(result)}
    if as_json:
        _print_json(value)
        return
    counted = "" if result.cycles_per_step is None else f", {result.cycles_per_step} cycles a step"
    print(
        f"{result.simulator}: {result.steps} steps, {result.integers_compared} integers compared, "
        f"{result.mismatches} mismatches{counted}"
    )
    if result.waves is not None:
        print(f"wrote {result.waves}")


def _simulate(
    through: str,
    design: "Design",
    stimuli: list[Any],
    build_dir: Path | None,
    board: str,
    *,
    core_options: dict[str, Any],
    **options: Any,
) -> Any:
    from sim.core_simulation import simulate_core

    if through == "core":
        return simulate_core(design, stimuli, **core_options, **options)
    from sim.core_simulation import work_folder
    from sim.link_simulation import emit_linked_core, simulate_link

    if through == "pins":
        with work_folder(None) as folder:
            verilog = folder / "linked_core.v"
            verilog.write_text(emit_linked_core(design, clocks_per_bit=PINS_CLOCKS_PER_BIT))
            return simulate_link([verilog], "linked_core", PINS_CLOCKS_PER_BIT, design, stimuli, **options)
    assert build_dir is not None
    from boards.kept import built_design
    from boards.registry import find_board
    from boards.report import read_report
    from qornn_hw.placed_netlist import simulate_build

    report = read_report(build_dir)
    if report.get("design_digest") != design.digest:
        # As planned now; a build that was reloaded, or made to be, has a plan of its own.
        design = built_design(build_dir, design.network) or design
    if report.get("design_digest") != design.digest:
        raise FormatError(
            f"--build must be a build of this model with the same --lanes; {build_dir} is of another design, "
            f"build this one with: qornn-hw build MODEL --out DIR"
        )
    found = find_board(board)
    if report["board"] != found.name:
        raise FormatError(f"--build must be a build for --board {found.name}, not for {report['board']}")
    return simulate_build(build_dir, found, report, design, stimuli, **options)


# -- plan --------------------------------------------------------------------------------------------


@app.command()
def boards(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="A checkpoint: show what of it fits on each board."),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="NAME", help="Only this board, or one that a file FILE.py defines."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the boards with their devices, clocks and links, and what of a model fits on them."""
    from boards.estimation import board_facts, boards_table
    from boards.registry import BOARDS, find_board

    chosen = BOARDS if board is None else (find_board(board),)
    network = None if model is None else _load(model).network
    facts = [board_facts(one, network) for one in chosen]
    if as_json:
        _print_json({"boards": facts})
    else:
        console.print(boards_table(facts))


@app.command()
def estimate(
    model: ModelArgument,
    board: BoardOption = "icebreaker",
    lanes: LanesOption = None,
    engine: EngineOption = None,
    target_rate: RateOption = None,
    clock: Annotated[
        float | None, typer.Option(metavar="MHZ", help="Core clock, for the time of a step.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the designs that were considered, and what limits them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate cycles and resources of a model on a board; no FPGA tool is run."""
    from boards.build import check_request
    from boards.estimation import estimate_report, estimate_table, explanation, explanation_table
    from boards.registry import find_board

    found = find_board(board)
    if clock is not None:
        check_request(found, clock_mhz=clock)
    design = _design(_load(model), board, lanes, engine, target_rate=target_rate, clock_mhz=clock)
    value = estimate_report(design, found, clock_mhz=clock)
    if explain:
        value["considered"] = explanation(design, found)
    if as_json:
        _print_json(value)
    else:
        console.print(estimate_table(value))
        if explain:
            console.print(explanation_table(value["considered"]))


# -- build -------------------------------------------------------------------------------------------

# Steps of the simulation that counts the cycles of a step: enough for a mean where they are not all alike.
COUNTED_STEPS = 19


def _clock_mhz(text: str) -> float | None:
    """Return the clock that an option asks for, None for the fastest."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise FormatError(f"--clock must be auto or a number of MHz, not {text!r}") from None


@app.command()
def build(
    model: ModelArgument,
    board: BoardOption = "icebreaker",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder of the results; else build/MODEL-BOARD."),
    ] = None,
    lanes: LanesOption = None,
    engine: EngineOption = None,
    target_rate: RateOption = None,
    clock: Annotated[
        str,
        typer.Option(metavar="MHZ", help="Core clock; auto is the fastest that the placed design reaches."),
    ] = "auto",
    seed: Annotated[int, typer.Option(help="First seed of place and route.")] = 1,
    effort: Annotated[
        int, typer.Option(help="Seeds of place and route that are tried; the fastest placement is kept.")
    ] = 1,
    boot: Annotated[
        Boot,
        typer.Option(
            help="Where weights that do not fit the bitstream come from at start-up: from the host, or from "
            "the board's flash, which `qornn-hw program` writes."
        ),
    ] = Boot.LINK,
    reloadable: Annotated[
        bool,
        typer.Option(
            "--reloadable", help="Leave room for any other weights of the same formats: `qornn-hw reload`."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the bitstream for a board, with a report, the core's Verilog and the netlist."""
    from boards.build import build as run_build
    from boards.build import check_boot, check_request
    from boards.registry import find_board
    from boards.reload import check_reloadable
    from boards.report import report_table
    from sim.amaranth_bench import simulate_core_in_python
    from sim.stimuli import random_sequences

    found = find_board(board)
    if reloadable:
        check_reloadable(found)
    clock_mhz = _clock_mhz(clock)
    check_request(found, seed=seed, effort=effort, clock_mhz=clock_mhz)
    checkpoint = _load(model)
    design = _design(checkpoint, board, lanes, engine, reloadable, target_rate, clock_mhz)
    check_boot(design, found, boot)
    folder = out or Path("build") / f"{model.stem}-{found.name}"
    s = design.schedule
    if not as_json:
        print(
            f"{model}: {s.elements} elements of {s.columns_per_element} columns, {s.passes} passes of "
            f"{s.rows} rows, {s.accumulator_bits}-bit accumulator"
        )
    with _stage("counting cycles in simulation", as_json):
        counted = simulate_core_in_python(
            design, random_sequences(checkpoint.network, batch=1, steps=COUNTED_STEPS, seed=0)
        )
    stages: list[str] = []

    def progress(stage: str) -> None:
        stages.append(stage)
        if not as_json:
            print(stage, flush=True)

    report = run_build(
        design,
        found,
        folder,
        cycles_per_step=counted.cycles_per_step,
        seed=seed,
        effort=effort,
        clock_mhz=clock_mhz,
        clock_needed_mhz=(target_rate or 0.0) * (counted.cycles_per_step or s.cycles_per_step) / 1e6,
        boot=boot,
        progress=progress,
    )
    if as_json:
        _print_json(report)
    else:
        console.print(report_table(report))
        print(f"wrote {folder / report['files']['bitstream']} and {folder / 'report.json'}")
        if weights := report["files"].get("weights"):
            how = {
                Boot.LINK: "qornn-hw run loads it over the link after each start",
                Boot.FLASH: "qornn-hw program writes it into the flash, behind the bitstream",
            }[boot]
            print(f"wrote {folder / weights}: {how} (docs/boards.md)")


# -- run, program, simulate-board -------------------------------------------------------------------

board_command.add_to(app)
