"""A core behind its link, simulated through the pins and compared with the integer model."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import ArrayLike

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.weight_image import encode_image
from qornn_hw.counts import require_compared
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.link.physical import PhysicalLink
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.emit import emit_verilog
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.links.linked_core import LinkedCore, LinkedCorePins
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK
from qornn_hw.sim.comparison import Observation, compare_observations
from qornn_hw.sim.core_simulation import SimulationResult, check_sequence, input_words, work_folder
from qornn_hw.sim.plan import CLOCK_NS, PLAN_VARIABLE
from qornn_hw.sim.runner import BenchBuild, Simulator, build_bench, find_simulator

__all__ = ["LinkBuild", "build_link", "emit_linked_core", "harness", "rtl_ports", "simulate_link"]

BENCH = "qornn_hw.sim.link_bench"
Step: TypeAlias = tuple[list[int], int, int]
"""The words of a step, whether it is the first of its sequence, and whether it is the last."""


def rtl_ports(link: PhysicalLink = DEFAULT_LINK) -> dict[str, str]:
    """Return the ports of :func:`emit_linked_core`, by meaning."""
    return {"clock": "clk", "reset": "rst"} | {pin.name: pin.name for pin in link.pins}


@dataclass(frozen=True)
class LinkBuild:
    """A design with the pins of a link compiled for a simulator; one build serves any number of runs.

    Attributes:
        design: what the answers are compared with.
        clocks_per_bit: cycles of the clock in a bit of the link.
        bench: the compiled hardware.
        seconds: that it took to compile.
        loaded: the design that the hardware was made of, if another: its weights are loaded.
        link: the physical link.
    """

    design: Design
    clocks_per_bit: Fraction | int
    bench: BenchBuild
    seconds: float
    loaded: Design | None = None
    link: PhysicalLink = DEFAULT_LINK

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
        net = self.design.network
        checked = [check_sequence(net, sequence) for sequence in sequences]
        steps = _steps(checked)
        segments = _segments(self.design, steps, len(checked), reset_after)
        folder = (run_dir or self.bench.folder / "run").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        plan_file, record_file = folder / "plan.json", folder / "record.json"
        record_file.unlink(missing_ok=True)
        plan = self._plan(image) | {"segments": segments, "record": str(record_file)}
        plan_file.write_text(json.dumps(plan))
        waves = self.bench.run(
            BENCH, run_dir=folder, environment={PLAN_VARIABLE: str(plan_file)}, waves=waves
        )
        record = json.loads(record_file.read_text())
        compared = self._compare(checked, segments, record)
        return SimulationResult(
            simulator=self.bench.simulator.name,
            sequences=len(checked),
            steps=len(steps),
            integers_compared=require_compared(compared),
            cycles_per_step=None,
            cycles=record["ns"] // CLOCK_NS,
            build_seconds=self.seconds,
            seconds=time.perf_counter() - start,
            waves=waves,
        )

    def _plan(self, image: bytes | None) -> dict[str, Any]:
        """Return what the bench must know beside the steps."""
        form, s = LinkFormat.of(self.design), self.design.schedule
        if form.weights is not None and image is None:
            image = encode_image(self.loaded or self.design)
        return {
            "form": {
                "words_per_step": form.words_per_step,
                "word_bits": form.word_format.bits,
                "word_signed": form.word_format.signed,
                "words_per_answer": form.words_per_answer,
                "answer_bits": form.answer_bits,
            },
            "driver": self.link.pin_driver,
            "idle_levels": {pin.name: pin.idle_level for pin in self.link.pins if not pin.driven},
            "bit_ps": round(self.clocks_per_bit * CLOCK_NS * 1000),
            "silent_cycles": 4 * s.longest_step + 200,
            "identity": LinkFormat.of(self.loaded or self.design).identity.constant.hex(),
            "image": None if image is None else image.hex(),
        }

    def _compare(
        self, sequences: Sequence[Any], segments: Sequence[dict[str, Any]], record: dict[str, Any]
    ) -> int:
        """Compare what the bench recorded with the model; return the number of integers.

        Raises:
            MismatchError: the first integer that differs, or what else the board did wrong.
        """
        net, words_per_step = self.design.network, LinkFormat.of(self.design).words_per_step
        sent = [word for sequence in sequences for word in input_words(sequence)]
        observations = []
        for segment, seen in zip(segments, record["segments"], strict=False):
            answers = [
                (word, int(bool(last) and k == len(words) - 1))
                for words, last in seen["answers"]
                for k, word in enumerate(words)
            ]
            count = len(segment["steps"]) * words_per_step
            complete = not segment["cut"] and record["trouble"] is None
            observations.append(Observation(sent[:count], None, answers, complete))
        compared = compare_observations(net, observations)
        if record["trouble"] is not None:
            raise MismatchError(record["trouble"])
        for seen in record["segments"]:
            if seen["other"]:
                raise MismatchError(f"the board must send nothing but answers, and sent {seen['other'][0]}")
        return compared


def _steps(sequences: Sequence[Any]) -> list[Step]:
    """Return the steps of all sequences."""
    steps: list[Step] = []
    for sequence in sequences:
        rows = sequence.reshape(len(sequence), -1).tolist()
        steps += [([int(v) for v in row], int(t == 0), int(t == len(rows) - 1)) for t, row in enumerate(rows)]
    if not steps:
        raise FormatError("there must be at least 1 sequence, not 0")
    return steps


def _segments(
    design: Design, steps: list[Step], sequences: int, reset_after: int | None
) -> list[dict[str, Any]]:
    """Return what is sent from a reset to the next: first some of the steps where a reset cuts them."""
    answers = len(steps) if design.every_step else sequences
    segments: list[dict[str, Any]] = [{"steps": steps, "answers": answers, "cut": False}]
    if reset_after is not None:
        if not 1 <= reset_after <= len(steps):
            raise FormatError(f"reset_after must be 1 to {len(steps)}, not {reset_after!r}")
        segments.insert(0, {"steps": steps[:reset_after], "answers": 0, "cut": True})
    return segments


def emit_linked_core(
    design: Design,
    *,
    clocks_per_bit: Fraction | int,
    link: PhysicalLink = DEFAULT_LINK,
    name: str = "linked_core",
) -> str:
    """Return the core of ``design`` behind its link as Verilog, ports as in :func:`rtl_ports`."""
    linked = LinkedCore(
        core=make_core(design), form=LinkFormat.of(design), link=link, clocks_per_bit=clocks_per_bit
    )
    return emit_verilog(LinkedCorePins(linked, link), name)


def build_link(
    design: Design,
    simulator: Simulator,
    build_dir: Path,
    *,
    sources: Sequence[Path],
    top: str,
    clocks_per_bit: Fraction | int,
    link: PhysicalLink = DEFAULT_LINK,
    ports: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | None = None,
    traced: bool = False,
    loaded: Design | None = None,
) -> LinkBuild:
    """Compile a design with the pins of a link for a simulator; arguments as in :func:`simulate_link`.

    ``loaded`` is the design that the hardware was made of, if not ``design``.
    """
    start = time.perf_counter()
    build_dir = build_dir.resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    wrapper = build_dir / "link_harness.v"
    wrapper.write_text(harness(top, ports or rtl_ports(link), link))
    bench = build_bench(
        simulator,
        sources=[*sources, wrapper],
        top="link_harness",
        build_dir=build_dir / simulator.name,
        defines=defines,
        traced=traced,
    )
    return LinkBuild(design, clocks_per_bit, bench, time.perf_counter() - start, loaded, link)


def simulate_link(
    sources: Sequence[Path],
    top: str,
    clocks_per_bit: Fraction | int,
    design: Design,
    sequences: Sequence[ArrayLike],
    *,
    simulator: str | None = None,
    link: PhysicalLink = DEFAULT_LINK,
    ports: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | None = None,
    image: bytes | None = None,
    reset_after: int | None = None,
    waves: Path | None = None,
    work_dir: Path | None = None,
) -> SimulationResult:
    """Talk to a design through its link's pins as a host does, and compare every answer with the model.

    Args:
        sources: Verilog files: RTL, or a netlist with the models of its cells.
        top: top module.
        clocks_per_bit: cycles of the clock pin in a bit of the link.
        design: what is behind the pins.
        sequences: (steps,) symbols or (steps, m) vectors each.
        simulator: ``icarus`` or ``verilator``; whichever is there, where absent.
        link: the physical link.
        ports: pins of ``top`` by meaning: ``clock``, those of the link by their names, and, if there is one,
            ``reset``; those of :func:`rtl_ports` where absent.
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
            link=link,
            ports=ports,
            defines=defines,
            traced=waves is not None,
        )
        return build.run(sequences, image=image, reset_after=reset_after, waves=waves)


def harness(
    top: str, ports: Mapping[str, str], link: PhysicalLink = DEFAULT_LINK, *, public: bool = True
) -> str:
    """Return the module ``link_harness`` around a design: ports clk, rst, and the pins of the link.

    Args:
        top: top module of the design.
        ports: as in :func:`simulate_link`.
        link: the physical link.
        public: lets a bench under Verilator see the pins, which costs speed.
    """
    write, read = (f" /*verilator public_flat_{how}*/" if public else "" for how in ("rw", "rd"))
    meanings = {"clock": "clk", "reset": "rst"} | {pin.name: pin.name for pin in link.pins}
    driven = {pin.name for pin in link.pins if pin.driven}
    header = ", ".join(
        f"output {pin}{read}" if pin in driven else f"input {pin}{write}" for pin in meanings.values()
    )
    # A netlist's pins are bidirectional: each gets a wire of its own, which Verilator cannot give an input.
    wires = "".join(f"  wire {pin}_pin;\n" for pin in meanings.values())
    assignments = "".join(
        f"  assign {pin} = {pin}_pin;\n" if pin in driven else f"  assign {pin}_pin = {pin};\n"
        for pin in meanings.values()
    )
    connections = ", ".join(
        f".{ports[meaning]}({pin}_pin)" for meaning, pin in meanings.items() if meaning in ports
    )
    return (
        "`timescale 1ns/1ps\n"
        "module link_harness (\n"
        f"  {header}\n"
        ");\n"
        f"{wires}{assignments}"
        f"  {top} dut ({connections});\n"
        "endmodule\n"
    )
