"""A core behind its UART, simulated through the pins and compared with the integer model."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from qornn_hw.compare import Observation, compare_observations
from qornn_hw.design import Design
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.link_protocol import LinkFormat
from qornn_hw.network import OutputMode
from qornn_hw.weight_image import encode_image
from rtl_gen.emit import emit_verilog
from rtl_gen.engines import make_core
from rtl_gen.linked_core import LinkedCore, LinkedCorePins
from sim.core_simulation import SimulationResult, check_sequence, input_words, work_folder
from sim.plan import CLOCK_NS, PLAN_VARIABLE
from sim.runner import BenchBuild, Simulator, build_bench, find_simulator

__all__ = ["RTL_PORTS", "LinkBuild", "build_link", "emit_linked_core", "harness", "simulate_link"]

BENCH = "sim.link_bench"
RTL_PORTS = {"clock": "clk", "reset": "rst", "rx": "rx", "tx": "tx"}


@dataclass(frozen=True)
class LinkBuild:
    """A design with UART pins compiled for a simulator; one build serves any number of runs.

    Attributes:
        design: what the answers are compared with.
        clocks_per_bit: cycles of the clock in a UART bit.
        bench: the compiled hardware.
        seconds: that it took to compile.
        loaded: the design that the hardware was made of, if another: its weights are loaded.
    """

    design: Design
    clocks_per_bit: Fraction | int
    bench: BenchBuild
    seconds: float
    loaded: Design | None = None

    def run(
        self,
        sequences: Sequence[ArrayLike],
        *,
        image: bytes | None = None,
        reset_after: int | None = None,
        waves: Path | None = None,
        run_dir: Path | None = None,
    ) -> SimulationResult:
        """Play sequences and compare every answer; arguments as in :func:`simulate_link`.

        ``image`` is loaded instead of the design's own, where the weights are in SPRAM.
        """
        start = time.perf_counter()
        design, net, s = self.design, self.design.network, self.design.schedule
        form = LinkFormat.of(design)
        checked = [check_sequence(net, sequence) for sequence in sequences]
        steps: list[tuple[list[int], int, int]] = []
        for sequence in checked:
            rows = sequence.reshape(len(sequence), -1).tolist()
            steps += [
                ([int(v) for v in row], int(t == 0), int(t == len(rows) - 1)) for t, row in enumerate(rows)
            ]
        if not steps:
            raise FormatError("there must be at least 1 sequence, not 0")
        every = net.output_mode is OutputMode.EVERY_STEP
        segments: list[dict[str, Any]] = [
            {"steps": steps, "answers": len(steps) if every else len(checked), "cut": False}
        ]
        if reset_after is not None:
            if not 1 <= reset_after <= len(steps):
                raise FormatError(f"reset_after must be 1 to {len(steps)}, not {reset_after!r}")
            segments.insert(0, {"steps": steps[:reset_after], "answers": 0, "cut": True})
        folder = (run_dir or self.bench.folder / "run").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        plan_file, record_file = folder / "plan.json", folder / "record.json"
        record_file.unlink(missing_ok=True)
        if form.weights is not None and image is None:
            image = encode_image(self.loaded or design)
        plan = {
            "form": {
                "words_per_step": form.words_per_step,
                "word_bits": form.word_format.bits,
                "word_signed": form.word_format.signed,
                "words_per_answer": form.words_per_answer,
                "answer_bits": form.answer_bits,
            },
            "bit_ps": round(self.clocks_per_bit * CLOCK_NS * 1000),
            "segments": segments,
            "silent_cycles": 4 * (s.passes * s.joint_period + s.step_gap) + 200,
            "identity": LinkFormat.of(self.loaded or design).identity.constant.hex(),
            "image": None if image is None else image.hex(),
            "record": str(record_file),
        }
        plan_file.write_text(json.dumps(plan))
        waves = self.bench.run(
            BENCH, run_dir=folder, environment={PLAN_VARIABLE: str(plan_file)}, waves=waves
        )
        record = json.loads(record_file.read_text())
        observations = []
        sent = [word for sequence in checked for word in input_words(net, sequence)]
        for segment, seen in zip(segments, record["segments"], strict=False):
            answers = [
                (word, int(bool(last) and k == len(words) - 1))
                for words, last in seen["answers"]
                for k, word in enumerate(words)
            ]
            count = len(segment["steps"]) * form.words_per_step
            complete = not segment["cut"] and record["trouble"] is None
            observations.append(Observation(sent[:count], None, answers, complete))
        compared = compare_observations(net, observations)
        if record["trouble"] is not None:
            raise MismatchError(record["trouble"])
        for seen in record["segments"]:
            if seen["other"]:
                raise MismatchError(f"the board must send nothing but answers, and sent {seen['other'][0]}")
        return SimulationResult(
            simulator=self.bench.simulator.name,
            sequences=len(checked),
            steps=len(steps),
            integers_compared=compared,
            cycles_per_step=None,
            cycles=record["ns"] // CLOCK_NS,
            build_seconds=self.seconds,
            seconds=time.perf_counter() - start,
            waves=waves,
        )


def emit_linked_core(design: Design, *, clocks_per_bit: Fraction | int, name: str = "linked_core") -> str:
    """Return the core of ``design`` behind link and UART as Verilog, ports as in ``RTL_PORTS``."""
    linked = LinkedCore(core=make_core(design), form=LinkFormat.of(design), clocks_per_bit=clocks_per_bit)
    return emit_verilog(LinkedCorePins(linked), name)


def build_link(
    design: Design,
    simulator: Simulator,
    build_dir: Path,
    *,
    sources: Sequence[Path],
    top: str,
    clocks_per_bit: Fraction | int,
    ports: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | None = None,
    traced: bool = False,
    loaded: Design | None = None,
) -> LinkBuild:
    """Compile a design with UART pins for a simulator; arguments as in :func:`simulate_link`.

    ``loaded`` is the design that the hardware was made of, if not ``design``.
    """
    start = time.perf_counter()
    build_dir = build_dir.resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    wrapper = build_dir / "link_harness.v"
    wrapper.write_text(harness(top, ports or RTL_PORTS))
    bench = build_bench(
        simulator,
        sources=[*sources, wrapper],
        top="link_harness",
        build_dir=build_dir / simulator.name,
        defines=defines,
        traced=traced,
    )
    return LinkBuild(design, clocks_per_bit, bench, time.perf_counter() - start, loaded)


def simulate_link(
    sources: Sequence[Path],
    top: str,
    clocks_per_bit: Fraction | int,
    design: Design,
    sequences: Sequence[ArrayLike],
    *,
    simulator: str | None = None,
    ports: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | None = None,
    image: bytes | None = None,
    reset_after: int | None = None,
    waves: Path | None = None,
    work_dir: Path | None = None,
) -> SimulationResult:
    """Talk to a design through its UART pins as a host does, and compare every answer with the model.

    Args:
        sources: Verilog files: RTL, or a netlist with the models of its cells.
        top: top module.
        clocks_per_bit: cycles of the clock pin in a UART bit.
        design: what is behind the pins.
        sequences: (steps,) symbols or (steps, m) vectors each.
        simulator: ``icarus`` or ``verilator``; whichever is there, where absent.
        ports: pins of ``top`` by meaning: ``clock``, ``rx``, ``tx``, and, if there is one, ``reset``.
        defines: Verilog macros.
        image: what is loaded first, where the weights are in SPRAM; the design's own where absent.
        reset_after: first send that many steps, then a RESET, then everything from the start.
        waves: write signal traces there (the simulator decides between .fst and .vcd).
        work_dir: folder for what is written, kept; a temporary one, kept only after an error, where absent.

    Raises:
        MismatchError: the first integer that differs, or what else the board did wrong.
        ToolError: a tool is missing or failed.
    """
    found = find_simulator(simulator)
    with work_folder(work_dir) as folder:
        build = build_link(
            design,
            found,
            folder,
            sources=sources,
            top=top,
            clocks_per_bit=clocks_per_bit,
            ports=ports,
            defines=defines,
            traced=waves is not None,
        )
        return build.run(sequences, image=image, reset_after=reset_after, waves=waves)


def harness(top: str, ports: Mapping[str, str], *, public: bool = True) -> str:
    """Return the module ``link_harness`` around a design with UART pins: ports clk, rst, rx and tx.

    ``public`` lets a bench under Verilator see them, which costs speed.
    """
    write, read = (f" /*verilator public_flat_{how}*/" if public else "" for how in ("rw", "rd"))
    pins = {"clock": "clk", "reset": "rst", "rx": "rx", "tx": "tx"}
    # A netlist's pins are bidirectional: each gets a wire of its own, which Verilator cannot give an input.
    wires = "".join(f"  wire {pin}_pin;\n" for pin in pins.values())
    inputs = "".join(f"  assign {pin}_pin = {pin};\n" for pin in pins.values() if pin != "tx")
    connections = ", ".join(
        f".{ports[meaning]}({pin}_pin)" for meaning, pin in pins.items() if meaning in ports
    )
    return (
        "`timescale 1ns/1ps\n"
        "module link_harness (\n"
        f"  input clk{write}, input rst{write}, input rx{write}, output tx{read}\n"
        ");\n"
        f"{wires}{inputs}  assign tx = tx_pin;\n"
        f"  {top} dut ({connections});\n"
        "endmodule\n"
    )
