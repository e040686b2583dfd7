"""The commands `qornn-hw export`, a core for somebody else's design, and `qornn-hw reload`, other weights."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qornn_hw.command_options import JsonOption, ModelArgument, engine_of
from qornn_hw.errors import FormatError

if TYPE_CHECKING:
    from qornn_hw.design import Design
    from qornn_hw.network import IntegerNetwork

__all__ = ["add_to"]

# Lanes of a core that is for no board.
LUT_LANES = 32
DSP_LANES = 8


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("export")(export)
    app.command("reload")(reload)


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
            metavar="NAME",
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
    from qornn_hw.checkpoint import load_checkpoint
    from sim.export import export_core

    if seed < 0:
        raise FormatError(f"--seed must be 0 or more, not {seed}")
    design = _design(load_checkpoint(model).network, board, lanes, engine)
    value = {"model": str(model)} | export_core(
        design, out, name=name, sequences=sequences, steps=steps, seed=seed
    )
    if as_json:
        print(json.dumps(value, indent=2))
        return
    print(
        f"{model}: {value['lanes']} lanes ({value['engine']}), {value['cycles_per_step']} cycles a step, "
        f"{value['integers']} integers to compare"
    )
    print(
        f"wrote {out / 'README.md'} and {len(value['files']) - 1} more; check it there with: {value['check']}"
    )


# What the netlist is simulated with.
PROOF_SEQUENCES, PROOF_STEPS = 2, 3


def reload(
    build_dir: Annotated[Path, typer.Argument(metavar="BUILD", help="Folder of a build.")],
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
    from boards.registry import find_board
    from boards.reload import reload as run_reload
    from boards.report import read_report
    from qornn_hw.checkpoint import load_checkpoint

    found = find_board(board or str(read_report(build_dir).get("board")))

    def progress(stage: str) -> None:
        if not as_json:
            print(stage, flush=True)

    network = load_checkpoint(model).network
    done = run_reload(build_dir, network, found, out, progress=progress)
    value: dict[str, Any] = {
        "model": str(model),
        "block_rams": done.block_rams,
        "seconds": round(done.report["seconds"]["reload"], 2),
        "report": done.report,
    }
    if prove:
        progress("simulate")
        value["proof"] = _prove(out, done.design, found, done.report)
    if as_json:
        print(json.dumps(value, indent=2, default=str))
        return
    files = done.report["files"]
    print(
        f"wrote {out / files['bitstream']}: {done.block_rams} block RAMs changed, in {value['seconds']:.1f} s"
    )
    if weights := files.get("weights"):
        print(f"wrote {out / weights}: load it over the link after each start (docs/link.md, LOAD)")
    if prove:
        proof = value["proof"]
        print(
            f"{proof['simulator']}: {proof['steps']} steps of the netlist, {proof['integers_compared']} "
            f"integers compared, {proof['mismatches']} mismatches"
        )


def _prove(folder: Path, design: "Design", board: Any, report: dict[str, Any]) -> dict[str, Any]:
    from qornn_hw.placed_netlist import simulate_build
    from sim.stimuli import random_sequences

    sequences = random_sequences(design.network, batch=PROOF_SEQUENCES, steps=PROOF_STEPS, seed=0)
    return asdict(simulate_build(folder, board, report, design, sequences))


def _design(network: "IntegerNetwork", board: str | None, lanes: int | None, engine: str | None) -> "Design":
    from boards.estimation import plan_for
    from boards.registry import find_board
    from qornn_hw.design import compile_network
    from qornn_hw.engine import Engine, WeightStore
    from qornn_hw.planner import chain_for_lanes

    chosen = engine_of(engine)
    if board is not None:
        return plan_for(network, find_board(board), lanes, chosen)
    if chosen is Engine.DSP:
        if lanes is not None and lanes < 1:
            raise FormatError(f"--lanes must be at least 1, not {lanes}")
        columns = network.hidden_size + (network.input_size if network.vector_input else 0)
        return compile_network(
            network,
            elements=min(lanes or DSP_LANES, columns),
            engine=Engine.DSP,
            store=WeightStore.BLOCK_RAM,
        )
    columns, elements = chain_for_lanes(network, LUT_LANES if lanes is None else lanes)
    return compile_network(network, columns_per_element=columns, elements=elements)
