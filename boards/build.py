"""From a compiled network to a bitstream and a report."""

import errno
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from boards.board import Board
from boards.clock import clock_hz, solve_pll, uart_baud
from boards.netlist import NETLIST_TOP, boundary_models, netlist_script
from boards.report import (
    ICE40_CELLS,
    ModelFacts,
    make_report,
    read_flip_flops,
    read_placement,
    read_utilisation_log,
)
from boards.toolchain import Tool, Toolchain, amaranth_environment, find_toolchain, tool_environment
from boards.top import BoardTop
from qornn_hw.design import Design
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.errors import CapacityError, FormatError, OutputError, QornnError, TimingError, ToolError
from qornn_hw.link_protocol import LinkFormat
from qornn_hw.weight_image import encode_image
from rtl_gen.emit import emit_core_verilog, port_table
from rtl_gen.engines import make_core
from rtl_gen.yosys import tool_cache

__all__ = [
    "LOG_FOLDER",
    "STAGES",
    "Buildable",
    "Progress",
    "build",
    "build_core",
    "buildable",
    "check_request",
]

STAGES = ("elaborate", "synthesize", "netlist", "place", "pack")
LOG_FOLDER = "logs"
WEIGHTS_FILE = "weights.bin"
# Free space below which a tool's death is put down to a full disk.
DISK_FULL_BYTES = 1 << 20
# A component class without annotations is Any to mypy.
Component: TypeAlias = Any
Progress: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Buildable:
    """A core and what the build says about it.

    Attributes:
        core: makes the core; a component can be elaborated once.
        form: words of a step and of an answer.
        facts: what the report says of it.
        documents: makes further text files that belong to the core: name to content.
        multipliers: synthesis makes hard multipliers of products; else the core brings its own.
        weights: the image of the weights that are loaded after start-up, None where they are in the
            bitstream.
    """

    core: Callable[[], Component]
    form: LinkFormat
    facts: ModelFacts
    documents: Callable[[], dict[str, str]] = field(default=dict)
    multipliers: bool = True
    weights: bytes | None = None


def buildable(design: Design, *, cycles_per_step: float | None = None) -> Buildable:
    """Return what is built of a compiled network; ``cycles_per_step`` is the caller's count in simulation."""
    net = design.network
    return Buildable(
        core=lambda: make_core(design),
        form=LinkFormat.of(design),
        facts=ModelFacts(
            hidden_size=net.hidden_size,
            input_size=net.input_size,
            output_size=net.output_size,
            weight_bits=net.weight_bits.recurrent,
            state_bits=net.state_bits,
            activation=str(net.activation),
            engine=str(design.engine),
            lanes=design.lanes,
            macs_per_step=net.macs_per_step,
            cycles_per_step=cycles_per_step,
            accumulator_bits=design.schedule.accumulator_bits,
            digest=design.digest,
        ),
        documents=lambda: {
            "core.v": emit_core_verilog(design, vendor_cells=design.engine is Engine.DSP),
            "core_ports.md": port_table(design),
        },
        multipliers=design.engine is not Engine.DSP,
        weights=encode_image(design) if design.schedule.store is WeightStore.SPRAM else None,
    )


def build(
    design: Design,
    board: Board,
    out_dir: Path,
    *,
    cycles_per_step: float | None = None,
    seed: int = 1,
    clock_mhz: float | None = None,
    name: str = "top",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build the bitstream of ``design`` for ``board`` in ``out_dir`` and return the report.

    On success ``out_dir`` holds ``<name>.bin``, ``core.v``, ``core_ports.md``, ``netlist.v``, ``report.json``
    and ``logs/``, and ``weights.bin`` where the weights are loaded after start-up. On failure it holds the
    logs, and otherwise what it held before.

    Args:
        design: the compiled network.
        board: where it goes.
        out_dir: folder of the results; made if absent.
        cycles_per_step: cycles of a step, counted in simulation, for the report.
        seed: nextpnr's seed.
        clock_mhz: core clock, the board's own if None.
        name: of the bitstream file.
        progress: called with the name of each stage of :data:`STAGES` as it begins.

    Raises:
        BoardError: the clock cannot be made, or no UART rate divides it.
        CapacityError: the device is too small.
        TimingError: the design is slower than the clock.
        ToolError: a tool is missing or failed.
        OutputError: ``out_dir`` cannot be written, or the disk is full.
    """
    return build_core(
        buildable(design, cycles_per_step=cycles_per_step),
        board,
        out_dir,
        seed=seed,
        clock_mhz=clock_mhz,
        name=name,
        progress=progress,
    )


def build_core(
    part: Buildable,
    board: Board,
    out_dir: Path,
    *,
    seed: int = 1,
    clock_mhz: float | None = None,
    name: str = "top",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build any core with the streams of :class:`rtl_gen.linked_core.LinkedCore`; see :func:`build`."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise FormatError(f"name must be letters, digits, '_', '-' and '.', not {name!r}")
    hz = check_request(board, seed=seed, clock_mhz=clock_mhz)
    tools = find_toolchain()
    with _work_folder(out_dir) as work:
        run = _Run(part, board, tools, work, out_dir, hz, seed, name, progress or (lambda stage: None))
        return run.build()


def check_request(board: Board, *, seed: int = 1, clock_mhz: float | None = None) -> int:
    """Return the core clock in Hz if seed and clock are such that a build can be tried.

    Raises:
        FormatError: the seed is none.
        BoardError: the clock cannot be made, or no UART rate divides it.
    """
    if not 0 <= seed < 1 << 31:
        raise FormatError(f"seed must be 0 to 2147483647, not {seed!r}")
    hz = clock_hz(board.clock_mhz if clock_mhz is None else clock_mhz)
    solve_pll(board.oscillator_hz, hz)
    uart_baud(hz)
    return hz


@contextmanager
def _work_folder(out_dir: Path) -> Iterator[Path]:
    """A folder inside ``out_dir``, so that results can be renamed into place; gone afterwards."""
    made = not out_dir.exists()
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".build-", dir=out_dir))
    except OSError as error:
        raise OutputError(
            f"the output folder must be one that can be written, {out_dir} is not: {_reason(error)}; "
            "choose another with --out"
        ) from error
    try:
        yield work
    except QornnError:
        _keep_logs(work, out_dir)
        raise
    except OSError as error:
        _keep_logs(work, out_dir)
        raise OutputError(f"the build could not be written to {out_dir}: {_reason(error)}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if made:
            # Only if nothing is in it: an interrupted build leaves no trace.
            with suppress(OSError):
                out_dir.rmdir()


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space"
    return error.strerror or str(error)


def _keep_logs(work: Path, out_dir: Path) -> None:
    """Move the logs to where their message says they are, as far as the disk lets us."""
    with suppress(OSError):
        folder = out_dir / LOG_FOLDER
        folder.mkdir(exist_ok=True)
        for log in sorted((work / LOG_FOLDER).glob("*.log")):
            log.replace(folder / log.name)


@dataclass
class _Run:
    """One build."""

    part: Buildable
    board: Board
    tools: Toolchain
    work: Path
    out_dir: Path
    hz: int
    seed: int
    name: str
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)

    def build(self) -> dict[str, Any]:
        """Run every stage and put the results in place."""
        (self.work / LOG_FOLDER).mkdir()
        with self._stage("elaborate"):
            commands = self._elaborate()
        with self._stage("synthesize"):
            self._tool("synthesize", self.tools.yosys, commands["yosys"], ("top.json", "cells.json"))
        with self._stage("netlist"):
            self._netlist()
        with self._stage("place"):
            self._place(commands["nextpnr-ice40"])
        with self._stage("pack"):
            self._tool("pack", self.tools.icepack, commands["icepack"], ("top.bin",))
        placement = read_placement(self.work / "timing.json")
        mhz = self.hz / 1e6
        if placement.fmax_mhz < mhz:
            raise TimingError(
                f"the design must reach its clock of {mhz:g} MHz, it reaches {placement.fmax_mhz:.2f} MHz; "
                f"ask for a slower clock, fewer lanes or another seed; "
                f"full log: {self.out_dir / LOG_FOLDER / 'place.log'}"
            )
        bitstream = f"{self.name}.bin"
        documents = self.documents
        report = make_report(
            board=self.board,
            facts=self.part.facts,
            placement=placement,
            flip_flops=read_flip_flops(self.work / "cells.json"),
            clock_hz=self.hz,
            tools=self.tools.versions,
            seed=self.seed,
            files={
                "bitstream": bitstream,
                **({"verilog": "core.v"} if "core.v" in documents else {}),
                **({"ports": "core_ports.md"} if "core_ports.md" in documents else {}),
                **({} if self.part.weights is None else {"weights": WEIGHTS_FILE}),
                "netlist": "netlist.v",
                "logs": LOG_FOLDER,
            },
            seconds=self.seconds,
        )
        (self.work / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        results = {"top.bin": bitstream, "netlist.v": "netlist.v", **{n: n for n in documents}}
        if self.part.weights is not None:
            (self.work / WEIGHTS_FILE).write_bytes(self.part.weights)
            results[WEIGHTS_FILE] = WEIGHTS_FILE
        self._install(results)
        return report

    @contextmanager
    def _stage(self, stage: str) -> Iterator[None]:
        self.progress(stage)
        start = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - start

    def _elaborate(self) -> dict[str, list[str]]:
        """Write what the tools read; return their command lines by tool."""
        top = BoardTop(board=self.board, core=self.part.core(), form=self.part.form, hz=self.hz)
        with amaranth_environment(self.tools.yosys):
            plan = self.board.platform().build(
                top,
                name=NETLIST_TOP,
                do_build=False,
                # No source paths: the same bitstream from every folder.
                emit_src=False,
                debug_verilog=False,
                verbose=True,
                # With -dsp yosys takes an SB_MAC16 that is there for one of its own, and ties its C and D to
                # zero.
                synth_opts="-dsp" if self.part.multipliers else "",
                script_after_synth="tee -q -o cells.json stat -json",
                # Judged by us from its report, which it writes only if it may fail.
                nextpnr_opts=f"--seed {self.seed} --timing-allow-fail --report timing.json",
            )
            self.documents = self.part.documents()
        for name, content in plan.files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (self.work / name).write_bytes(data)
        for name, content in self.documents.items():
            (self.work / name).write_text(content)
        commands = json.loads((self.work / f"build_{NETLIST_TOP}.json").read_text())["commands"]
        return {command[0]: command[1:] for command in commands}

    def _netlist(self) -> None:
        (self.work / "netlist.ys").write_text(netlist_script("top.json", "netlist.v"))
        self._tool("netlist", self.tools.yosys, ["netlist.ys"], ("netlist.v",))
        path = self.work / "netlist.v"
        # The first line names yosys' version and the machine that built it.
        _, _, body = path.read_text().partition("\n")
        path.write_text(body.lstrip("\n") + boundary_models())

    def _place(self, arguments: Sequence[str]) -> None:
        try:
            self._tool("place", self.tools.nextpnr, arguments, ("top.asc", "timing.json"))
        except ToolError as error:
            log = (self.work / LOG_FOLDER / "place.log").read_text(errors="replace")
            where = self.out_dir / LOG_FOLDER / "place.log"
            used = read_utilisation_log(log)
            names = {cell: name for name, cell in ICE40_CELLS.items()}
            over = [f"{u} {names.get(k, k)} where there are {a}" for k, (u, a) in used.items() if u > a]
            if not over and not re.search(r"^ERROR:.*(legal|no more|[Nn]o Bels|unable to place)", log, re.M):
                raise
            what = ", ".join(over) or "all but a few of its logic cells, which leaves no legal placement"
            raise CapacityError(
                f"the design must fit {self.board.name}, it needs {what}; take a smaller network, fewer bits "
                f"or fewer lanes; full log: {where}"
            ) from error

    def _tool(self, stage: str, tool: Tool, arguments: Sequence[str], outputs: Sequence[str]) -> None:
        """Run a tool in the work folder with its output in the stage's log; its outputs must be there."""
        log = self.out_dir / LOG_FOLDER / f"{stage}.log"
        environment = tool_environment() | tool_cache()
        with (self.work / LOG_FOLDER / f"{stage}.log").open("wb") as output:
            try:
                # Paths relative to the work folder only: YoWASP tools see a /tmp of their own.
                process = subprocess.Popen(
                    [tool.path, *arguments],
                    cwd=self.work,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:
                raise ToolError(f"{tool.name} could not start from {tool.path}: {error.strerror}") from error
            try:
                code = process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
        missing = [name for name in outputs if not _is_filled(self.work / name)]
        if code == 0 and not missing:
            return
        if shutil.disk_usage(self.work).free < DISK_FULL_BYTES:
            raise OutputError(f"{tool.name} failed: the disk of {self.out_dir} is full; free some space")
        if code < 0:
            reason = f"was killed by {signal.Signals(-code).name}"
            if code == -signal.SIGKILL:
                reason += ", often for want of memory"
        elif code:
            reason = f"failed with exit code {code}{self._error_line(stage)}"
        else:
            reason = f"ended well but wrote no {' and no '.join(missing)}"
        raise ToolError(f"{tool.name} {reason} ({stage})", log)

    def _error_line(self, stage: str) -> str:
        """Return the tool's own words, if it had any."""
        text = (self.work / LOG_FOLDER / f"{stage}.log").read_text(errors="replace")
        errors = [line.strip() for line in text.splitlines() if line.startswith("ERROR")]
        return f": {errors[-1]}" if errors else ""

    def _install(self, files: dict[str, str]) -> None:
        """Rename results into place; the report goes first and comes last, so that it means a whole build."""
        report = self.out_dir / "report.json"
        report.unlink(missing_ok=True)
        placed: list[Path] = []
        try:
            for source, target in files.items():
                (self.work / source).replace(self.out_dir / target)
                placed.append(self.out_dir / target)
            (self.out_dir / LOG_FOLDER).mkdir(exist_ok=True)
            for log in sorted((self.work / LOG_FOLDER).glob("*.log")):
                log.replace(self.out_dir / LOG_FOLDER / log.name)
            (self.work / "report.json").replace(report)
        except BaseException:
            for path in placed:
                path.unlink(missing_ok=True)
            raise


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
