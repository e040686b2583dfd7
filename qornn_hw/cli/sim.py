"""The command `qornn-hw sim`: the hardware against the integer model, every integer."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qornn_hw.cli.options import BoardOption, EngineOption, JsonOption, LanesOption, ModelArgument
from qornn_hw.cli.output import print_json, stage, warn
from qornn_hw.errors import CapacityError, FormatError
from qornn_hw.terminal.text import say

if TYPE_CHECKING:
    from qornn_hw.api.build import Build
    from qornn_hw.api.design import Design
    from qornn_hw.api.network import Network

__all__ = ["add_to"]

PAUSES = "none|periodic|random"


SimulatorOption = Annotated[
    str | None,
    typer.Option("--simulator", metavar="icarus|verilator", help="Else the one that is installed."),
]
ThroughOption = Annotated[
    str,
    typer.Option(
        metavar="core|pins|netlist",
        help="core: the core's Verilog, every hidden unit and answer. pins: core and link through the pins "
        "of the board's link. netlist: the synthesized netlist of a build through the board's pins.",
    ),
]
BuildOption = Annotated[
    Path | None, typer.Option("--build", metavar="DIR", help="The build whose netlist is simulated.")
]
SequencesOption = Annotated[
    int | None, typer.Option(help="Random sequences, played back to back; 3, of a netlist 4.")
]
StepsOption = Annotated[
    int | None, typer.Option(help="Steps of each sequence; 16, of a netlist, which takes minutes, 4.")
]
InputsOption = Annotated[
    Path | None,
    typer.Option(
        "--input",
        metavar="FILE",
        help="Sequences of a file in place of random ones, as for `run`, the first --sequences of them.",
    ),
]
IdleOption = Annotated[
    str, typer.Option(metavar=PAUSES, help="Pauses of the input; with --through core only.")
]
BackPressureOption = Annotated[
    str, typer.Option(metavar=PAUSES, help="Pauses of the reader; with --through core only.")
]
ResetAfterOption = Annotated[
    int | None, typer.Option(help="Reset in the middle of this step, then play all from the start.")
]
WavesOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a trace (.fst Icarus, .vcd Verilator).")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("sim")(sim)


def sim(
    model: ModelArgument,
    board: BoardOption = "icebreaker",
    lanes: LanesOption = None,
    engine: EngineOption = None,
    simulator: SimulatorOption = None,
    through: ThroughOption = "core",
    build: BuildOption = None,
    sequences: SequencesOption = None,
    steps: StepsOption = None,
    inputs: InputsOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the sequences and of the pauses.")] = 0,
    idle: IdleOption = "none",
    back_pressure: BackPressureOption = "none",
    reset_after: ResetAfterOption = None,
    waves: WavesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate the hardware against the integer model and compare every integer."""
    from qornn_hw.api.network import load
    from qornn_hw.api.simulation import check_simulation
    from qornn_hw.storage.output_folder import check_file

    check_simulation(through, build, idle, back_pressure)
    if waves is not None:
        check_file(waves)
    net = load(model)
    found: Design | Build
    if build is None:
        found = _design_of(net, board, lanes, engine, through)
    else:
        found = _build_of(net, build, board, lanes, engine)
    options: dict[str, Any] = {"simulator": simulator, "reset_after": reset_after, "waves": waves}
    if build is None:
        options |= {"through": through, "idle": idle, "back_pressure": back_pressure, "seed": seed}
    played = _played(net, inputs, build is not None, sequences, steps, seed)
    _run(model, found, through, played, as_json, options)


def _design_of(net: "Network", board: str, lanes: int | None, engine: str | None, through: str) -> "Design":
    """Return the design for the board; of a core alone that fits no board, one for none."""
    from qornn_hw.api.design import compile
    from qornn_hw.compiler.engines import engine_named

    try:
        return compile(net, board, lanes=lanes, engine=engine)
    except CapacityError as error:
        refused = engine is not None and engine_named(engine).refuses(net.network, None) is not None
        if through != "core" or refused:
            raise
        say(f"the core alone, not for a board: {error}", file=sys.stderr)
        return compile(net, None, lanes=lanes, engine=engine)


def _build_of(net: "Network", build: Path, board: str, lanes: int | None, engine: str | None) -> "Build":
    """Return the build in a folder; lanes and engine, where they are named, must be those that it has."""
    from qornn_hw.api.build import Build
    from qornn_hw.api.design import DEFAULT_BOARD

    found = Build.read(build, net, None if board == DEFAULT_BOARD else board)
    if lanes is not None and found.core.lanes > lanes:
        raise FormatError(f"lanes must be at least {found.core.lanes}, those of `build`, not {lanes}")
    if engine is not None and str(found.core.engine) != engine:
        raise FormatError(f"engine must be {found.core.engine}, that of `build`, not {engine!r}")
    return found


def _played(
    net: "Network", inputs: Path | None, netlist: bool, sequences: int | None, steps: int | None, seed: int
) -> list[Any]:
    """Return the sequences of a file, or random ones."""
    from qornn_hw.api.simulation import NETLIST_COUNTS, RTL_COUNTS, check_counts, stimuli
    from qornn_hw.data.inference import file_sequences

    counts, network = NETLIST_COUNTS if netlist else RTL_COUNTS, net.network
    check_counts(counts, inputs, sequences, steps, seed)
    if inputs is None:
        return stimuli(network, None, counts=counts, sequences=sequences, steps=steps, seed=seed)
    found, converter = file_sequences(network, inputs, sequences)
    warn(converter.text)
    return list(found)


def _run(
    model: Path,
    found: "Design | Build",
    through: str,
    played: list[Any],
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """Simulate and print what came of it."""
    from qornn_hw.boards.stages import preparation

    lengths = sorted({len(one) for one in played})
    counts = f"{len(played)} x {' to '.join(map(str, lengths[:: max(1, len(lengths) - 1)]))} steps"
    with stage(f"simulating {model} ({found.core.lanes} lanes, {counts}, {through})", as_json, preparation()):
        result = found.simulate(played, integers=True, **options)
    compared = "hidden units and answer words" if through == "core" else "answer words"
    if as_json:
        print_json(
            {"model": str(model), "through": through, "lanes": found.core.lanes, **asdict(result)}
            | {
                "steps_per_sequence": lengths[0] if len(lengths) == 1 else None,
                "total_steps": result.steps,
                "total_cycles": result.cycles,
                "compared": compared,
            }
        )
    else:
        _say(result, compared)


def _say(result: Any, compared: str) -> None:
    """Print the counts of a simulation; ``compared`` says of which integers."""
    counted = "" if result.cycles_per_step is None else f", {result.cycles_per_step} cycles a step"
    say(
        f"{result.simulator}: {result.steps} steps in {result.sequences} "
        f"sequence{'' if result.sequences == 1 else 's'}, {result.integers_compared} integers compared "
        f"({compared}), {result.mismatches} mismatches{counted}"
    )
    if result.waves is not None:
        say(f"wrote {result.waves}")
