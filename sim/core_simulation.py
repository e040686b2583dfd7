"""The core as Verilog in a simulator, every hidden unit and every answer compared with the integer model."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.weight_image import HEADER_BYTES, WeightFormat, encode_image
from qornn_hw.counts import require_compared
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.ir.interpreter import check_inputs
from qornn_hw.rtl_gen.emit import emit_core_verilog
from qornn_hw.sim.comparison import Observation, compare_observations
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.plan import PLAN_VARIABLE
from qornn_hw.sim.runner import BenchBuild, Simulator, build_bench, find_simulator

__all__ = [
    "CoreBuild",
    "Play",
    "SimulationResult",
    "build_core",
    "check_sequence",
    "cycles_from_step_to_step",
    "input_words",
    "simulate_core",
    "work_folder",
]

IntArray = NDArray[np.int64]

CORE_NAME = "qornn_core"
BENCH = "qornn_hw.sim.core_bench"


@dataclass(frozen=True)
class SimulationResult:
    """A simulation in which every integer was right.

    Attributes:
        simulator: name of the simulator.
        sequences: sequences that were played to their end.
        steps: time steps of these.
        integers_compared: hidden units and answer words.
        mismatches: 0; a mismatch raises.
        cycles_per_step: clock cycles from step to step in the steady state, nothing waiting; None if the
            streams were made to wait or no sequence has the four steps that it takes to see it.
        cycles: clock cycles of the whole run.
        build_seconds: emission and compilation.
        seconds: the run itself.
        waves: the file with the signal traces, if asked for.
    """

    simulator: str
    sequences: int
    steps: int
    integers_compared: int
    cycles_per_step: float | None
    cycles: int
    build_seconds: float
    seconds: float
    waves: Path | None = None
    mismatches: int = 0


@dataclass(frozen=True)
class CoreBuild:
    """A core compiled for a simulator; one build serves any number of runs."""

    design: Design
    bench: BenchBuild
    seconds: float

    def run(
        self,
        sequences: Sequence[ArrayLike],
        *,
        idle: str = "none",
        back_pressure: str = "none",
        reset_after: int | None = None,
        seed: int = 0,
        waves: Path | None = None,
        run_dir: Path | None = None,
    ) -> SimulationResult:
        """Play sequences and compare; arguments as in :func:`simulate_core`."""
        if waves is not None and not self.bench.traced:
            raise FormatError("waves must be asked for when the core is built")
        start = time.perf_counter()
        play = Play.of(self.design, sequences, idle, back_pressure, reset_after, seed)
        folder = (run_dir or self.bench.folder / "run").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        plan_file, record_file = folder / "plan.json", folder / "record.json"
        record_file.unlink(missing_ok=True)
        plan_file.write_text(json.dumps(play.plan | {"record": str(record_file)}))
        waves = self.bench.run(
            BENCH, run_dir=folder, environment={PLAN_VARIABLE: str(plan_file)}, waves=waves
        )
        return play.judge(
            json.loads(record_file.read_text()),
            simulator=self.bench.simulator.name,
            build_seconds=self.seconds,
            start=start,
            waves=waves,
        )


@dataclass(frozen=True)
class Play:
    """What a bench of the core plays, and the judgement of what it records.

    Attributes:
        design: the core's.
        sequences: checked inputs.
        plan: plain data for :mod:`qornn_hw.sim.core_bench` and :mod:`qornn_hw.sim.amaranth_bench`.
    """

    design: Design
    sequences: list[IntArray]
    plan: dict[str, Any]

    @classmethod
    def of(
        cls,
        design: Design,
        sequences: Sequence[ArrayLike],
        idle: str,
        back_pressure: str,
        reset_after: int | None,
        seed: int,
    ) -> "Play":
        """Return the play of ``sequences``; arguments as in :func:`simulate_core`."""
        for name, pattern in (("idle", idle), ("back_pressure", back_pressure)):
            if pattern not in PATTERNS:
                raise FormatError(f"{name} must be one of {', '.join(PATTERNS)}, not {pattern!r}")
        net, s = design.network, design.schedule
        if not sequences:
            raise FormatError("there must be at least 1 sequence, not 0")
        checked = [check_sequence(net, sequence) for sequence in sequences]
        steps = sum(len(sequence) for sequence in checked)
        width, units = design.input_format.bits, design.state_words
        whole = {
            "words": _pack([w for q in checked for w in input_words(q)], width),
            "units": steps * units,
            "answers": (steps if design.every_step else len(checked)) * design.answer_words,
            "cut": False,
        }
        segments = [whole]
        if reset_after is not None:
            if not 0 <= reset_after < steps:
                raise FormatError(f"reset_after must be 0 to {steps - 1}, not {reset_after!r}")
            shown = reset_after * units + (units + 1) // 2
            segments.insert(0, {**whole, "units": shown, "answers": 0, "cut": True})
        a_step = s.longest_step + design.input_words_per_step + design.answer_words
        plan = {
            "segments": segments,
            # More than that is wrong in any segment, and the end of it.
            "most_units": whole["units"],
            "most_answers": whole["answers"],
            "word_bits": width + 2,
            "idle": idle,
            "back_pressure": back_pressure,
            "seed": seed,
            # Longer than any pause of a core that works.
            "quiet_cycles": 8 * a_step + 500,
            # Long enough for words that nobody asked for to come out.
            "flush_cycles": 4 * a_step,
        }
        return cls(design, checked, plan)

    def judge(
        self,
        record: Mapping[str, Any],
        *,
        simulator: str,
        build_seconds: float,
        start: float,
        waves: Path | None = None,
    ) -> SimulationResult:
        """Compare a bench's record with the integer model.

        Raises:
            MismatchError: the first integer that differs.
        """
        design, form = self.design, self.design.input_format
        if record["undefined"] is not None:
            raise MismatchError(f"the hardware gave an undefined value: {record['undefined']}")
        observations = [
            Observation(
                inputs=_unpack(seen["words"], form.bits, form.signed),
                states=seen["units"],
                answers=_unpack_answers(seen["answers"], design.answer_bits),
                complete=not segment["cut"],
            )
            for segment, seen in zip(self.plan["segments"], record["segments"], strict=True)
        ]
        compared = compare_observations(design.network, observations, design.schedule.state_order)
        for segment, seen in zip(self.plan["segments"], record["segments"], strict=True):
            wanted = segment["words"]
            if seen["words"] != wanted[: len(seen["words"])] or (
                not segment["cut"] and len(seen["words"]) != len(wanted)
            ):
                raise MismatchError(
                    f"the hardware must take all {len(wanted)} input words as they are, "
                    f"and took {len(seen['words'])}"
                )
            if not seen["units"]:
                raise MismatchError("the hardware must give hidden units before it is reset, and gave none")
        waiting = self.plan["idle"] != "none" or self.plan["back_pressure"] != "none"
        steps = [len(sequence) for sequence in self.sequences]
        first_units = record["segments"][-1]["unit_cycles"][:: design.state_words]
        return SimulationResult(
            simulator=simulator,
            sequences=len(steps),
            steps=sum(steps),
            integers_compared=require_compared(compared),
            cycles_per_step=None if waiting else cycles_from_step_to_step(first_units, steps),
            cycles=record["cycles"],
            build_seconds=build_seconds,
            seconds=time.perf_counter() - start,
            waves=waves,
        )


def build_core(
    design: Design,
    simulator: Simulator,
    build_dir: Path,
    *,
    sources: Sequence[Path] = (),
    defines: Mapping[str, object] | None = None,
    name: str = CORE_NAME,
    traced: bool = False,
    loaded: Design | None = None,
) -> CoreBuild:
    """Compile a core for a simulator.

    Args:
        design: what is built, and what the answers are compared with.
        simulator: for what.
        build_dir: folder for everything that is written.
        sources: Verilog with a module ``name`` that has the ports of the core, for example a netlist with its
            cells; the emitted core where empty.
        defines: Verilog macros.
        name: module of the core.
        traced: let runs write waves.
        loaded: the design whose weights are loaded into ``sources`` where they are in SPRAM, if not
            ``design``.
    """
    start = time.perf_counter()
    build_dir = build_dir.resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    if not sources:
        core = build_dir / f"{name}.v"
        core.write_text(emit_core_verilog(design, name=name))
        sources = [core]
        loading = ""
    else:
        loading = _loading(loaded or design, build_dir)
    harness = build_dir / "core_harness.v"
    harness.write_text(_harness(design, name, loading))
    bench = build_bench(
        simulator,
        sources=[*sources, harness],
        top="core_harness",
        build_dir=build_dir / simulator.name,
        defines=defines,
        traced=traced,
    )
    return CoreBuild(design, bench, time.perf_counter() - start)


def simulate_core(
    design: Design,
    sequences: Sequence[ArrayLike],
    *,
    simulator: str | None = None,
    idle: str = "none",
    back_pressure: str = "none",
    reset_after: int | None = None,
    seed: int = 0,
    waves: Path | None = None,
    work_dir: Path | None = None,
) -> SimulationResult:
    """Simulate the Verilog of a core and compare every hidden unit and every answer with the integer model.

    Args:
        design: a compiled network.
        sequences: back to back, (steps,) symbols or (steps, m) vectors each, lengths as they like.
        simulator: ``icarus`` or ``verilator``; whichever is there, where absent.
        idle: pauses of the input stream: ``none``, ``periodic`` (three cycles of four) or ``random``.
        back_pressure: pauses of the output stream, likewise.
        reset_after: first play the sequences until, after that many whole steps, half of the units of the
            next have come out; reset the core there, and begin anew.
        seed: of the random pauses.
        waves: write signal traces there (the simulator decides between .fst and .vcd).
        work_dir: folder for what is written, kept; a temporary one, kept only after an error, where absent.

    Raises:
        MismatchError: the first integer that differs.
        ToolError: a tool is missing or failed.
        FormatError: a sequence does not fit the network's input.
    """
    found = find_simulator(simulator)
    with work_folder(work_dir) as folder:
        build = build_core(design, found, folder, traced=waves is not None)
        return build.run(
            sequences,
            idle=idle,
            back_pressure=back_pressure,
            reset_after=reset_after,
            seed=seed,
            waves=waves,
        )


@contextmanager
def work_folder(work_dir: Path | None) -> Iterator[Path]:
    """Yield ``work_dir``, or a temporary folder that goes if all goes well and stays for a look if not."""
    if work_dir is not None:
        work_dir.mkdir(parents=True, exist_ok=True)
        yield work_dir.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="qornn-sim-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def input_words(sequence: IntArray) -> list[tuple[int, int, int]]:
    """Return the words (data, first, last) of a sequence on the input stream."""
    rows = sequence.reshape(len(sequence), -1).tolist()
    count = sum(len(row) for row in rows)
    flat = [int(value) for row in rows for value in row]
    return [(value, int(at == 0), int(at == count - 1)) for at, value in enumerate(flat)]


def cycles_from_step_to_step(first_units: Sequence[int], steps: Sequence[int]) -> float | None:
    """Return the mean distance of steps from the cycles of their first units.

    The first two distances of a sequence are left out: there the pipeline fills. The result is an int where
    all distances are the same.
    """
    distances: list[int] = []
    at = 0
    for count in steps:
        cycles = first_units[at : at + count]
        distances += [b - a for a, b in pairwise(cycles[2:])]
        at += count
    if not distances:
        return None
    return distances[0] if len(set(distances)) == 1 else round(sum(distances) / len(distances), 2)


def check_sequence(network: AnyNetwork, sequence: ArrayLike) -> IntArray:
    """Return a sequence as int64 if its shape and range are those of the network's input."""
    checked: IntArray = check_inputs(operations_of(network).input, np.asarray(sequence)[np.newaxis])[0]
    return checked


def _pack(words: Sequence[tuple[int, int, int]], bits: int) -> list[int]:
    mask = (1 << bits) - 1
    return [data & mask | first << bits | last << (bits + 1) for data, first, last in words]


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _unpack(payloads: Sequence[int], bits: int, signed: bool) -> list[tuple[int, int, int]]:
    mask = (1 << bits) - 1
    data = [p & mask for p in payloads]
    if signed:
        data = [_signed(value, bits) for value in data]
    return [(v, p >> bits & 1, p >> (bits + 1) & 1) for v, p in zip(data, payloads, strict=True)]


def _unpack_answers(payloads: Sequence[int], bits: int) -> list[tuple[int, int]]:
    mask = (1 << bits) - 1
    return [(_signed(p & mask, bits), p >> bits) for p in payloads]


def _loading(design: Design, folder: Path) -> str:
    """Return Verilog that writes the weights before anything else, or nothing where they are there."""
    form = WeightFormat.of(design)
    if form is None:
        return ""
    weights = encode_image(design)[HEADER_BYTES : HEADER_BYTES + form.weight_bytes]
    file = folder / "weights.hex"
    file.write_text("".join(f"{byte:02x}\n" for byte in weights))
    return _LOADING.format(file=file, count=form.weight_bytes, bank_bits=form.bank_bits, banks=form.banks)


def _harness(design: Design, name: str, loading: str) -> str:
    """Return a module around the core that samples, at each rising edge, what goes in and out at it.

    Sampled in Verilog, it is the same in every simulator, whatever order it runs Python and logic in.
    """
    values: dict[str, Any] = {
        "name": name,
        "w": design.input_format.bits + 2,
        "a": design.answer_bits + 1,
        "u": design.state_bits,
    }
    form = WeightFormat.of(design)
    if not loading:
        loading = "  wire loaded = 1'b1;\n"
        if form is not None:
            loading += _NO_LOADING.format(banks=form.banks)
    values["write"] = "" if form is None else _WRITE_PORTS
    return _HARNESS.format(**values, w1=values["w"] + 1, w2=values["w"] + 2, loading=loading)


_WRITE_PORTS = """,
    .write__en(write_en), .write__high(write_high), .write__addr(write_addr), .write__data(write_data)"""

_NO_LOADING = """\
  wire [{banks}-1:0] write_en = 0;
  wire write_high = 0;
  wire [13:0] write_addr = 0;
  wire [7:0] write_data = 0;
"""

_LOADING = """\
  reg [7:0] weights [0:{count}-1];
  initial $readmemh("{file}", weights);
  reg [31:0] at = 0;
  wire loaded = at == {count};
  wire [{banks}-1:0] write_en = loaded ? 0 : 1 << at[{bank_bits}:1];
  wire write_high = at[0];
  wire [13:0] write_addr = at >> ({bank_bits} + 1);
  wire [7:0] write_data = weights[at];
  always @(posedge clk) if (!loaded) at <= at + 1;
"""


_HARNESS = """\
`timescale 1ns/1ps
module core_harness (
  input clk /*verilator public_flat_rw*/,
  input [{w2}:0] drive /*verilator public_flat_rw*/,
  output reg [2:0] fired /*verilator public_flat_rd*/,
  output reg [{w}-1:0] word /*verilator public_flat_rd*/,
  output reg [{a}-1:0] answer /*verilator public_flat_rd*/,
  output reg signed [{u}-1:0] unit /*verilator public_flat_rd*/
);
  wire i_ready, o_valid, state_valid;
  wire [{a}-1:0] o_payload;
  wire signed [{u}-1:0] state_data;
{loading}  wire i_valid = drive[{w1}] & loaded;
  {name} core (
    .clk(clk), .rst(drive[{w2}] | ~loaded),
    .i__payload(drive[{w}-1:0]), .i__valid(i_valid), .i__ready(i_ready),
    .o__payload(o_payload), .o__valid(o_valid), .o__ready(drive[{w}]),
    .state__valid(state_valid), .state__data(state_data){write}
  );
  always @(posedge clk) begin
    fired <= {{state_valid, o_valid & drive[{w}], i_valid & i_ready}};
    word <= drive[{w}-1:0];
    answer <= o_payload;
    unit <= state_data;
  end
endmodule
"""
