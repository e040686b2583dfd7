"""From a compiled network to a bitstream and a report."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from qornn_hw.boards.board import Board
from qornn_hw.boards.build_request import check_boot, check_request
from qornn_hw.boards.buildable import Buildable, buildable
from qornn_hw.boards.clock import retune
from qornn_hw.boards.estimation import estimate_whole
from qornn_hw.boards.flow import Flow, tool_arguments
from qornn_hw.boards.kept import KEPT_FILE, Kept, block_rams_of
from qornn_hw.boards.netlist import NETLIST_TOP, boundary_models, netlist_script
from qornn_hw.boards.placer import CrowdedError, Placer, placed_files
from qornn_hw.boards.pll import fastest_settings, sign_off_hz
from qornn_hw.boards.reclock import read_module
from qornn_hw.boards.report import Placement, make_report, read_flip_flops
from qornn_hw.boards.sign_off import Reclock, reclock
from qornn_hw.boards.stages import Stage, usual_seconds
from qornn_hw.boards.toolchain import Toolchain, amaranth_environment, find_toolchain
from qornn_hw.boards.top import BoardTop
from qornn_hw.boards.workshop import LOG_FOLDER, Workshop, work_folder
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.family import Resources
from qornn_hw.errors import BoardError, FormatError, TimingError, ToolError
from qornn_hw.rtl_gen.ram import FORGET_INITIAL
from qornn_hw.rtl_gen.yosys import preparation

__all__ = [
    "LOG_FOLDER",
    "STAGES",
    "Buildable",
    "Progress",
    "build",
    "build_core",
    "buildable",
    "check_boot",
    "check_request",
]

# "sign-off" only where the build looks for the clock.
STAGES = ("elaborate", "synthesize", "place", "sign-off", "netlist", "pack")
# Logic cells of the flash reader: LUT4s with flip-flops.
FLASH_READER_CELLS = 60
# Net of the core clock in the netlist.
CLOCK_NET = "clk"
# Placements of netlists that differ in their clock alone do not differ: more than one is for a nextpnr that
# sees that otherwise.
SIGN_OFFS = 3
WEIGHTS_FILE = "weights.bin"
YOSYS_SCRIPT = f"{NETLIST_TOP}.ys"
Progress: TypeAlias = Callable[[Stage], None]


def build(
    design: Design,
    board: Board,
    out_dir: Path,
    *,
    cycles_per_step: float | None = None,
    answer_cycles: tuple[int, int] | None = None,
    seed: int = 1,
    effort: int = 1,
    clock_mhz: float | None = None,
    clock_needed_mhz: float = 0.0,
    boot: Boot = Boot.LINK,
    name: str = "top",
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build the bitstream of ``design`` for ``board`` in ``out_dir`` and return the report.

    On success ``out_dir`` holds the bitstream, ``<name>`` with the ending of the family's flow, ``core.v``,
    ``core_ports.md``, ``netlist.v``, ``report.json`` and ``logs/``, and ``weights.bin`` where the weights are
    loaded after start-up. On failure it holds the logs, and otherwise what it held before.

    Args:
        design: the compiled network.
        board: where it goes.
        out_dir: folder of the results; made if absent.
        cycles_per_step: cycles of a step, counted in simulation, for the report.
        answer_cycles: cycles from a step's last input word to the first and to the last word of its answer,
            counted in simulation, for the report.
        seed: nextpnr's first seed.
        effort: seeds that are tried, from ``seed`` on; the fastest placement is kept.
        clock_mhz: core clock; the fastest that the placed design reaches if None.
        clock_needed_mhz: what that one must be at least.
        boot: where weights that are no part of the bitstream come from; see :func:`check_boot`.
        name: of the bitstream file.
        command: what was typed to build this, for the report; "" where nothing was.
        progress: called with each stage of :data:`STAGES` as it begins.

    Raises:
        BoardError: the clock cannot be made, or is too slow for the link; there is no flash to boot from.
        FormatError: there are no weights to boot.
        CapacityError: the device is too small.
        TimingError: the design is slower than the clock.
        ToolError: a tool is missing or failed.
        OutputError: ``out_dir`` cannot be written, or the disk is full.
    """
    check_boot(design, board, boot)
    estimated = estimate_whole(design, board)
    if boot is Boot.FLASH:
        estimated += Resources(lut=FLASH_READER_CELLS)
    return build_core(
        buildable(
            design,
            cycles_per_step=cycles_per_step,
            answer_cycles=answer_cycles,
            estimated=estimated,
            boot=boot,
        ),
        board,
        out_dir,
        seed=seed,
        effort=effort,
        clock_mhz=clock_mhz,
        clock_needed_mhz=clock_needed_mhz,
        name=name,
        command=command,
        progress=progress,
    )


def build_core(
    part: Buildable,
    board: Board,
    out_dir: Path,
    *,
    seed: int = 1,
    effort: int = 1,
    clock_mhz: float | None = None,
    clock_needed_mhz: float = 0.0,
    name: str = "top",
    command: str = "",
    progress: Progress | None = None,
    reclock: Reclock = reclock,
) -> dict[str, Any]:
    """Build any core that has the streams of a ``LinkedCore``, as :func:`build` does.

    Args:
        part: the core.
        board: as there.
        out_dir: as there.
        seed: as there.
        effort: as there.
        clock_mhz: as there.
        clock_needed_mhz: as there.
        name: as there.
        command: as there.
        progress: as there.
        reclock: gives the placed design another clock; the design is placed again after its ToolError.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise FormatError(f"name must be letters, digits, '_', '-' and '.', not {name!r}")
    hz = check_request(board, seed=seed, effort=effort, clock_mhz=clock_mhz)
    tools = find_toolchain(board.family.flow.place, board.family.flow.pack)
    seeds = range(seed, seed + effort)
    with work_folder(out_dir) as work:
        shop = Workshop(work, out_dir)
        return _Run(
            part, board, tools, shop, hz, clock_needed_mhz, seeds, name, command,
            progress or (lambda stage: None), reclock,
        ).build()  # fmt: skip


@dataclass
class _Run:
    """One build; ``hz`` is None until the clock is known."""

    part: Buildable
    board: Board
    tools: Toolchain
    shop: Workshop
    hz: int | None
    needed_mhz: float
    seeds: Sequence[int]
    name: str
    command: str
    progress: Progress
    reclock: Reclock
    seconds: dict[str, float] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.placer = Placer(self.board, self.tools.nextpnr, self.shop)

    @property
    def flow(self) -> Flow:
        """The tools of the board's family."""
        return self.board.family.flow

    @property
    def work(self) -> Path:
        """Where the tools run."""
        return self.shop.work

    @property
    def out_dir(self) -> Path:
        """Where the results go."""
        return self.shop.out_dir

    def build(self) -> dict[str, Any]:
        """Run every stage and put the results in place."""
        start = self.hz or self._fastest(self.board.fastest_mhz * 1e6)
        with self._stage("elaborate"):
            commands = self._elaborate(start)
        with self._stage("synthesize"):
            self._synthesize(commands["yosys"])
        place = commands[self.flow.place.native]
        with self._stage("place"):
            try:
                seed, placement = self.placer.place("place", place, self.seeds)
            except CrowdedError:
                self._relax(commands["yosys"])
                seed, placement = self.placer.place("place", place, self.seeds)
        if self.hz is None:
            with self._stage("sign-off"):
                hz, placement = self._sign_off(place, seed, placement)
        else:
            hz = self.hz
        self._check_clock(hz, placement)
        with self._stage("netlist"):
            self._netlist()
        with self._stage("pack"):
            outputs = (f"top{self.flow.bitstream}",)
            self.shop.run("pack", self.tools.packer, commands[self.flow.pack.native], outputs)
        report = self._report(hz, seed, placement)
        self._install(report, start)
        return report

    def _check_clock(self, hz: int, placement: Placement) -> None:
        """Raise a TimingError unless the placement reaches its clock, and the clock is fast enough."""
        reached, needed = placement.fmax_mhz, sign_off_hz(self.board.clock_source, hz) / 1e6
        log = self.out_dir / LOG_FOLDER / "place.log"
        if reached < needed:
            raise TimingError(
                f"the design must reach its clock of {hz / 1e6:g} MHz{_margin(hz / 1e6, needed)}, it reaches "
                f"{reached:.2f} MHz; ask for a slower clock, fewer lanes or more effort; full log: {log}"
            )
        if hz / 1e6 < self.needed_mhz:
            raise TimingError(
                f"the design must have a clock of {self.needed_mhz:.2f} MHz for its rate, it reaches "
                f"{hz / 1e6:g} MHz: {100 * hz / 1e6 / self.needed_mhz:.1f} % of the rate; ask for less, or "
                f"for more effort; full log: {log}"
            )

    def _report(self, hz: int, seed: int, placement: Placement) -> dict[str, Any]:
        """Return the report of a build that worked."""
        report = make_report(
            board=self.board,
            facts=self.part.facts,
            placement=placement,
            flip_flops=read_flip_flops(self.work / "cells.json", self.flow.flip_flops),
            clock_hz=hz,
            baud=self.board.link_rate(hz),
            tools=self.tools.versions,
            seed=seed,
            files=self._files(),
            seconds=self.seconds,
        )
        if self.part.weights is not None:
            report["boot"] = str(self.part.boot)
        if self.command:
            report["command"] = self.command
        return report

    def _files(self) -> dict[str, str]:
        """Return the names of the results, by what they are."""
        files = {"bitstream": f"{self.name}{self.flow.bitstream}"}
        files |= {
            key: name
            for key, name in (("verilog", "core.v"), ("ports", "core_ports.md"))
            if name in self.documents
        }
        if self.part.weights is not None:
            files["weights"] = WEIGHTS_FILE
        files["netlist"] = "netlist.v"
        if self.part.design is not None:
            files["placed"] = KEPT_FILE
        return files | {"logs": LOG_FOLDER}

    def _install(self, report: Mapping[str, Any], hz: int) -> None:
        """Put the results in place; ``hz`` is the clock that the design was elaborated with."""
        (self.work / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        results = {
            f"top{self.flow.bitstream}": report["files"]["bitstream"],
            "netlist.v": "netlist.v",
            **{name: name for name in self.documents},
        }
        if self.part.weights is not None:
            (self.work / WEIGHTS_FILE).write_bytes(self.part.weights)
            results[WEIGHTS_FILE] = WEIGHTS_FILE
        if self.part.design is not None:
            self._keep(self.part.design, hz)
            results[KEPT_FILE] = KEPT_FILE
        self.shop.install(results)

    def _keep(self, design: Design, hz: int) -> None:
        """Write what it takes to put another network into the bitstream."""
        kept = Kept(
            plan=design.schedule.plan,
            network=design.network,
            digest=design.digest,
            hz=hz,
            rtlil=(self.work / f"{NETLIST_TOP}.il").read_text(),
            netlist=(self.work / f"{NETLIST_TOP}.json").read_text(),
            placed=(self.work / placed_files(self.board)[0]).read_text(),
            block_rams=block_rams_of(
                (self.work / self.flow.placed_cells).read_text(), self.board.family.block_ram
            ),
        )
        kept.write(self.work / KEPT_FILE, self.work)

    def _fastest(self, hz: float) -> int:
        """Return the fastest clock of the board of at most ``hz``."""
        settings = fastest_settings(self.board.clock_source, self.board.oscillator_hz, hz)
        return round(settings.output_hz(self.board.oscillator_hz))

    def _sign_off(self, arguments: Sequence[str], seed: int, placement: Placement) -> tuple[int, Placement]:
        """Give netlist and placed design the fastest clock that the placement reaches."""
        margin = sign_off_hz(self.board.clock_source, 1)
        for _ in range(SIGN_OFFS):
            before = read_module(self.work / "top.json")
            try:
                hz = self._fastest(min(placement.fmax_mhz / margin, self.board.fastest_mhz) * 1e6)
                retune(self.work / "top.json", self.board, hz)
            except BoardError as error:
                raise TimingError(
                    f"the design must reach a clock of {self.board.name}, it reaches "
                    f"{placement.fmax_mhz:.2f} MHz: {error}"
                ) from error
            try:
                self.reclock(self.shop, self.board, self.tools.nextpnr, arguments, before, hz)
                break
            except ToolError as error:
                # Not with this nextpnr: it is placed once more.
                (self.work / LOG_FOLDER / "sign-off-again.log").write_text(f"{error}\n")
            _, placement = self.placer.place("sign-off", arguments, (seed,))
            if placement.fmax_mhz * 1e6 >= hz * margin:
                break
        return hz, placement

    @contextmanager
    def _stage(self, stage: str) -> Iterator[None]:
        self.progress(self._described(stage))
        start = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - start

    def _described(self, stage: str) -> Stage:
        """Return a stage with all that is known of it before it begins."""
        names = [name for name in STAGES if name != "sign-off" or self.hz is None]
        cells = self.part.facts.estimated
        usual = {} if cells is None else usual_seconds(self.board.family.stage_rates, cells.lut)
        if usual:
            # Placements run side by side, as many as there are cores.
            usual["place"] *= -(-len(self.seeds) // (os.cpu_count() or 1))
        log = {"elaborate": "", "sign-off": "sign-off-before.log"}.get(stage, f"{stage}.log")
        if stage == "place" and len(self.seeds) > 1:
            log = f"place-{self.seeds[0]}.log"
        return Stage(
            stage,
            names.index(stage) + 1,
            len(names),
            usual_seconds=usual.get(stage),
            usual_total=sum(usual[name] for name in names) if usual else None,
            logs=self.work / LOG_FOLDER,
            log=log,
            note=preparation(self.tools.yosys.path) if stage == "elaborate" else "",
        )

    def _synth_options(self) -> str:
        options = [self.flow.synth_options]
        if self.part.multipliers:
            options.append(self.board.family.synthesis.multiplier_options)
        return " ".join(filter(None, options))

    def _elaborate(self, hz: int) -> dict[str, list[str]]:
        """Write what the tools read; return their command lines by tool."""
        top = BoardTop(
            board=self.board, core=self.part.core(), form=self.part.form, hz=hz, boot=self.part.boot
        )
        # The same for every clock, so that the placement is the same: beyond what can be reached.
        constraint = self.flow.constraint.format(net=CLOCK_NET, mhz=float(self.board.fastest_mhz))
        with amaranth_environment(self.tools.yosys, self.work):
            plan = self.board.platform().prepare(
                top,
                name=NETLIST_TOP,
                # No source paths: the same bitstream from every folder.
                emit_src=False,
                debug_verilog=False,
                verbose=True,
                synth_opts=self._synth_options(),
                script_after_read=FORGET_INITIAL,
                script_after_synth="tee -q -o cells.json stat -json",
                # Judged by us from its report, which it writes only if it may fail.
                nextpnr_opts="--timing-allow-fail --report timing.json --detailed-timing-report"
                + (f" --write {self.flow.placed_cells}" if self.flow.writes_placed_cells else ""),
                **{self.flow.constraint_override: constraint},
            )
            self.documents = self.part.documents()
        for name, content in plan.files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (self.work / name).write_bytes(data)
        for name, content in self.documents.items():
            (self.work / name).write_text(content)
        return tool_arguments((self.work / f"build_{NETLIST_TOP}.json").read_text())

    def _synthesize(self, arguments: Sequence[str]) -> None:
        self.shop.run("synthesize", self.tools.yosys, arguments, ("top.json", "cells.json"))
        self._check_drivers()

    def _relax(self, arguments: Sequence[str]) -> None:
        """Make it easier to find a place for each cell, after a :class:`CrowdedError`."""
        self.placer.relax()
        if not self.flow.crowded:
            return
        script = self.work / YOSYS_SCRIPT
        text, found = re.subn(
            r"^(synth_\S+ .*)$",
            lambda synth: f"{synth[1]} -run begin:map_ffs\n{self.flow.crowded}\n{synth[1]} -run map_ffs:",
            script.read_text(),
            flags=re.MULTILINE,
        )
        if found != 1:
            raise ToolError(f"Amaranth's {YOSYS_SCRIPT} must have one line with synth_..., it has {found}")
        script.write_text(text)
        self._synthesize(arguments)

    def _check_drivers(self) -> None:
        """Raise a ToolError if yosys contradicted itself: what it makes then is not the design."""
        log = (self.work / LOG_FOLDER / "synthesize.log").read_text(errors="replace")
        if (found := re.search(r"^Warning: (Driver-driver conflict for .*)", log, re.MULTILINE)) is not None:
            raise ToolError(
                f"yosys must make one driver of each net, and does not: {found[1]} (synthesize)",
                self.out_dir / LOG_FOLDER / "synthesize.log",
            )

    def _netlist(self) -> None:
        (self.work / "netlist.ys").write_text(netlist_script(self.board.family, "top.json", "netlist.v"))
        self.shop.run("netlist", self.tools.yosys, ["netlist.ys"], ("netlist.v",))
        path = self.work / "netlist.v"
        # The first line names yosys' version and the machine that built it.
        _, _, body = path.read_text().partition("\n")
        path.write_text(body.lstrip("\n") + boundary_models(self.board.family))


def _margin(mhz: float, needed: float) -> str:
    return "" if needed == mhz else f" and its oscillator's tolerance, {needed:g} MHz"
