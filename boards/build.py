"""From a compiled network to a bitstream and a report."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from boards.board import Board
from boards.clock import cell_parameters, retune, uart_baud
from boards.estimation import estimate_whole
from boards.flow import Flow, flow_of
from boards.kept import KEPT_FILE, Kept, block_rams_of
from boards.netlist import NETLIST_TOP, boundary_models, netlist_script
from boards.placed_text import replaced_settings
from boards.pll import clock_hz, fastest_settings, sign_off_hz
from boards.reclock import NetlistModule, cell_places, cells_alone, read_module
from boards.report import (
    ModelFacts,
    Placement,
    make_report,
    read_flip_flops,
    read_placement,
    read_utilisation_log,
)
from boards.timing import multiplier_mhz
from boards.toolchain import Toolchain, amaranth_environment, find_toolchain
from boards.top import BoardTop
from boards.workshop import LOG_FOLDER, Workshop, work_folder
from qornn_hw.design import Design
from qornn_hw.device import Resources
from qornn_hw.engine import Boot, Engine
from qornn_hw.errors import (
    BoardError,
    CapacityError,
    FormatError,
    TimingError,
    ToolError,
)
from qornn_hw.fixed_schedule import Plan
from qornn_hw.link_protocol import LinkFormat
from qornn_hw.weight_image import encode_image
from rtl_gen.emit import emit_core_verilog, port_table
from rtl_gen.engines import make_core
from rtl_gen.ram import FORGET_INITIAL

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
# What reads the weights from a flash, in cells of an iCE40.
FLASH_READER_CELLS = 60
# Nobody waits for more.
MOST_SEEDS = 1000
# Net of the core clock in the netlist.
CLOCK_NET = "clk"
# nextpnr gives a cell up after cells squared / 200 attempts, not / 8: where a device is nearly full it tried
# for more than ten minutes, and placed badly. Then there are fewer sets of control signals, and it gets four
# times the attempts.
PLACER_OPTIONS = ("--placer-heap-cell-placement-timeout", "200")
CROWDED_PLACER_OPTIONS = ("--placer-heap-cell-placement-timeout", "50")
# Placements of netlists that differ in their clock alone do not differ: more than one is for a nextpnr that
# sees that otherwise.
SIGN_OFFS = 3
WEIGHTS_FILE = "weights.bin"
YOSYS_SCRIPT = f"{NETLIST_TOP}.ys"
# A component class without annotations is Any to mypy.
Component: TypeAlias = Any
Progress: TypeAlias = Callable[[str], None]


class CrowdedError(CapacityError):
    """There are cells enough, and no place for each."""


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
        boot: where those come from.
        design: what the core is made of; a build keeps what it takes to put another network into it.
    """

    core: Callable[[], Component]
    form: LinkFormat
    facts: ModelFacts
    documents: Callable[[], dict[str, str]] = field(default=dict)
    multipliers: bool = True
    weights: bytes | None = None
    boot: Boot = Boot.LINK
    design: Design | None = None


def buildable(
    design: Design,
    *,
    cycles_per_step: float | None = None,
    estimated: Resources | None = None,
    boot: Boot = Boot.LINK,
) -> Buildable:
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
            estimated=estimated,
        ),
        documents=lambda: {
            "core.v": emit_core_verilog(design, vendor_cells=design.needs_vendor_cells),
            "core_ports.md": port_table(design),
        },
        multipliers=design.engine is not Engine.DSP,
        weights=encode_image(design) if design.schedule.weight_banks else None,
        boot=boot,
        design=design,
    )


def build(
    design: Design,
    board: Board,
    out_dir: Path,
    *,
    cycles_per_step: float | None = None,
    seed: int = 1,
    effort: int = 1,
    clock_mhz: float | None = None,
    clock_needed_mhz: float = 0.0,
    boot: Boot = Boot.LINK,
    name: str = "top",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build the bitstream of ``design`` for ``board`` in ``out_dir`` and return the report.

    On success ``out_dir`` holds ``<name>.bin`` (ECP5: ``.bit``, Gowin: ``.fs``), ``core.v``,
    ``core_ports.md``, ``netlist.v``, ``report.json`` and ``logs/``, and ``weights.bin`` where the weights are
    loaded after start-up. On failure it holds the logs, and otherwise what it held before.

    Args:
        design: the compiled network.
        board: where it goes.
        out_dir: folder of the results; made if absent.
        cycles_per_step: cycles of a step, counted in simulation, for the report.
        seed: nextpnr's first seed.
        effort: seeds that are tried, from ``seed`` on; the fastest placement is kept.
        clock_mhz: core clock; the fastest that the placed design reaches if None.
        clock_needed_mhz: what that one must be at least.
        boot: where weights that are no part of the bitstream come from; see :func:`check_boot`.
        name: of the bitstream file.
        progress: called with the name of each stage of :data:`STAGES` as it begins.

    Raises:
        BoardError: the clock cannot be made, or is too slow for the UART; there is no flash to boot from.
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
        buildable(design, cycles_per_step=cycles_per_step, estimated=estimated, boot=boot),
        board,
        out_dir,
        seed=seed,
        effort=effort,
        clock_mhz=clock_mhz,
        clock_needed_mhz=clock_needed_mhz,
        name=name,
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
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build any core with the streams of :class:`rtl_gen.linked_core.LinkedCore`; see :func:`build`."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise FormatError(f"name must be letters, digits, '_', '-' and '.', not {name!r}")
    hz = check_request(board, seed=seed, effort=effort, clock_mhz=clock_mhz)
    flow = flow_of(board)
    tools = find_toolchain(flow.place, flow.pack)
    seeds = range(seed, seed + effort)
    with work_folder(out_dir) as work:
        shop = Workshop(work, out_dir)
        return _Run(
            part, board, flow, tools, shop, hz, clock_needed_mhz, seeds, name,
            progress or (lambda stage: None),
        ).build()  # fmt: skip


def check_boot(design: Design, board: Board, boot: Boot) -> None:
    """Raise an error unless the weights of ``design`` can come from there on ``board``.

    Raises:
        FormatError: they are in the bitstream.
        BoardError: the board has no flash that a design may read.
    """
    if boot is Boot.LINK:
        return
    if not design.schedule.weight_banks:
        raise FormatError(
            "--boot flash must have weights that are loaded after start-up, those of this design are in the "
            "bitstream, which the flash holds anyway; leave --boot out"
        )
    if board.flash is None:
        raise BoardError(
            f"--boot flash must have a board whose flash the design may read, {board.name} has none; take "
            "--boot link"
        )


def check_request(
    board: Board, *, seed: int = 1, effort: int = 1, clock_mhz: float | None = None
) -> int | None:
    """Return the core clock in Hz, None for the fastest, if a build can be tried with these options.

    Raises:
        FormatError: seed or effort is none.
        BoardError: the clock cannot be made, or is too slow for the UART.
    """
    if not 0 <= seed < 1 << 30:
        raise FormatError(f"seed must be 0 to 1073741823, not {seed!r}")
    if not 1 <= effort <= MOST_SEEDS:
        raise FormatError(f"effort must be 1 to {MOST_SEEDS}, not {effort!r}")
    if clock_mhz is None:
        return None
    hz = clock_hz(clock_mhz)
    if hz > board.fastest_mhz * 1e6:
        raise BoardError(
            f"clock must be at most {board.fastest_mhz:g} MHz on {board.name}, not {clock_mhz:g} MHz"
        )
    cell_parameters(board, hz)
    return hz


@dataclass
class _Run:
    """One build; ``hz`` is None until the clock is known."""

    part: Buildable
    board: Board
    flow: Flow
    tools: Toolchain
    shop: Workshop
    hz: int | None
    needed_mhz: float
    seeds: Sequence[int]
    name: str
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    placer_options: tuple[str, ...] = PLACER_OPTIONS

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
        with self._stage("place"):
            try:
                seed, placement = self._place("place", commands[self.flow.place], self.seeds)
            except CrowdedError:
                self._relax(commands["yosys"])
                seed, placement = self._place("place", commands[self.flow.place], self.seeds)
        if self.hz is None:
            with self._stage("sign-off"):
                hz, placement = self._sign_off(commands[self.flow.place], seed, placement)
        else:
            hz = self.hz
        reached, needed = placement.fmax_mhz, sign_off_hz(self.board.clock_source, hz) / 1e6
        if reached < needed:
            raise TimingError(
                f"the design must reach its clock of {hz / 1e6:g} MHz{_margin(hz / 1e6, needed)}, it reaches "
                f"{reached:.2f} MHz; ask for a slower clock, fewer lanes or more --effort; "
                f"full log: {self.out_dir / LOG_FOLDER / 'place.log'}"
            )
        if hz / 1e6 < self.needed_mhz:
            raise TimingError(
                f"the design must have a clock of {self.needed_mhz:.2f} MHz for its rate, it reaches "
                f"{hz / 1e6:g} MHz: {100 * hz / 1e6 / self.needed_mhz:.1f} % of the rate; ask for less, or "
                f"for more --effort; full log: {self.out_dir / LOG_FOLDER / 'place.log'}"
            )
        with self._stage("netlist"):
            self._netlist()
        with self._stage("pack"):
            self.shop.run("pack", self.tools.packer, commands[self.flow.pack], (f"top{self.flow.bitstream}",))
        bitstream = f"{self.name}{self.flow.bitstream}"
        documents = self.documents
        report = make_report(
            board=self.board,
            facts=self.part.facts,
            placement=placement,
            flip_flops=read_flip_flops(self.work / "cells.json", self.flow.flip_flops),
            clock_hz=hz,
            baud=uart_baud(self.board, hz),
            tools=self.tools.versions,
            seed=seed,
            files={
                "bitstream": bitstream,
                **({"verilog": "core.v"} if "core.v" in documents else {}),
                **({"ports": "core_ports.md"} if "core_ports.md" in documents else {}),
                **({} if self.part.weights is None else {"weights": WEIGHTS_FILE}),
                "netlist": "netlist.v",
                **({} if self.part.design is None else {"placed": KEPT_FILE}),
                "logs": LOG_FOLDER,
            },
            seconds=self.seconds,
        )
        if self.part.weights is not None:
            report["boot"] = str(self.part.boot)
        (self.work / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        results = {
            f"top{self.flow.bitstream}": bitstream,
            "netlist.v": "netlist.v",
            **{n: n for n in documents},
        }
        if self.part.weights is not None:
            (self.work / WEIGHTS_FILE).write_bytes(self.part.weights)
            results[WEIGHTS_FILE] = WEIGHTS_FILE
        if self.part.design is not None:
            self._keep(self.part.design, start, commands[self.flow.pack])
            results[KEPT_FILE] = KEPT_FILE
        self.shop.install(results)
        return report

    def _keep(self, design: Design, hz: int, pack: list[str]) -> None:
        """Write what it takes to put another network into the bitstream."""
        kept = Kept(
            plan=Plan.of(design),
            network=design.network,
            digest=design.digest,
            hz=hz,
            rtlil=(self.work / f"{NETLIST_TOP}.il").read_text(),
            netlist=(self.work / f"{NETLIST_TOP}.json").read_text(),
            placed=(self.work / self._placed_file).read_text(),
            block_rams=block_rams_of((self.work / self.flow.placed_cells).read_text()),
            pack=pack,
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
                self._reclock(arguments, before, hz)
                break
            except ToolError as error:
                # Not with this nextpnr: it is placed once more.
                (self.work / LOG_FOLDER / "sign-off-again.log").write_text(f"{error}\n")
            _, placement = self._place("sign-off", arguments, (seed,))
            if placement.fmax_mhz * 1e6 >= hz * margin:
                break
        return hz, placement

    def _reclock(self, arguments: Sequence[str], before: NetlistModule, hz: int) -> None:
        """Give the placed design the clock that the netlist has now, without placing it again.

        Args:
            arguments: of nextpnr.
            before: the netlist that was placed.
            hz: the clock.

        Raises:
            ToolError: it cannot be done.
        """
        path = self.work / self._placed_file
        if path.name == self.flow.placed_cells:
            # A placed design as a netlist has the parameters as they are.
            retune(path, self.board, hz)
            return
        cells = list(cell_parameters(self.board, hz))
        placed = read_module(self.work / self.flow.placed_cells)
        places = cell_places(before, placed, cells)
        texts = []
        for clock, netlist in (("before", before), ("after", read_module(self.work / "top.json"))):
            alone = cells_alone(netlist, places)
            names = {name: f"{clock}-{name}" for name in (*self._placed_files, "top.json")}
            (self.work / names["top.json"]).write_text(json.dumps({"modules": {NETLIST_TOP: alone}}))
            outputs = (names[path.name], names[self.flow.placed_cells])
            options = [names.get(a, a) for a in arguments]
            self.shop.run(f"sign-off-{clock}", self.tools.nextpnr, options, outputs)
            if cell_places(alone, read_module(self.work / outputs[1]), cells) != places:
                raise ToolError("nextpnr must place the cells that hold the clock where it did before")
            texts.append((self.work / outputs[0]).read_text())
        path.write_text(replaced_settings(self.board.family.name, path.read_text(), *texts))

    @property
    def _placed_file(self) -> str:
        """The placed design, which is packed."""
        return f"{NETLIST_TOP}{self.flow.placed}"

    @property
    def _placed_files(self) -> tuple[str, ...]:
        """All that nextpnr writes."""
        return (self._placed_file, "timing.json", "placed.json", "top.tim")

    @contextmanager
    def _stage(self, stage: str) -> Iterator[None]:
        self.progress(stage)
        start = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - start

    def _synth_options(self) -> str:
        options = [self.flow.synth_options]
        # With -dsp yosys takes an SB_MAC16 that is there for one of its own, and ties its C and D to zero.
        if self.part.multipliers:
            options.append(self.flow.multiplier_options)
        return " ".join(filter(None, options))

    def _elaborate(self, hz: int) -> dict[str, list[str]]:
        """Write what the tools read; return their command lines by tool."""
        top = BoardTop(
            board=self.board, core=self.part.core(), form=self.part.form, hz=hz, boot=self.part.boot
        )
        # The same for every clock, so that the placement is the same: beyond what can be reached.
        constraint = self.flow.constraint.format(net=CLOCK_NET, mhz=float(self.board.fastest_mhz))
        with amaranth_environment(self.tools.yosys):
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
                + (f" --write {placed}" if (placed := self.flow.placed_cells) == "placed.json" else ""),
                **{self.flow.constraint_override: constraint},
            )
            self.documents = self.part.documents()
        for name, content in plan.files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (self.work / name).write_bytes(data)
        for name, content in self.documents.items():
            (self.work / name).write_text(content)
        commands = json.loads((self.work / f"build_{NETLIST_TOP}.json").read_text())["commands"]
        return {command[0]: command[1:] for command in commands}

    def _synthesize(self, arguments: Sequence[str]) -> None:
        self.shop.run("synthesize", self.tools.yosys, arguments, ("top.json", "cells.json"))
        self._check_drivers()

    def _relax(self, arguments: Sequence[str]) -> None:
        """Make it easier to find a place for each cell, after a :class:`CrowdedError`."""
        self.placer_options = CROWDED_PLACER_OPTIONS
        self.shop.reopen()
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

    def _place(self, stage: str, arguments: Sequence[str], seeds: Sequence[int]) -> tuple[int, Placement]:
        """Place with each seed, side by side; keep the fastest, the first of those that are equal."""
        results = {name: f"{{}}-{name}" for name in self._placed_files}

        def place(seed: int) -> Placement:
            names = {name: new.format(seed) for name, new in results.items()}
            mine = [names.get(a, a) for a in arguments]
            log = stage if len(seeds) == 1 else f"{stage}-{seed}"
            outputs = (names[self._placed_file], names["timing.json"])
            try:
                options = [*self.placer_options, "--seed", str(seed), *mine]
                self.shop.run(log, self.tools.nextpnr, options, outputs)
            except ToolError as error:
                self._refuse_what_does_not_fit(log, error)
                raise
            placement = read_placement(self.work / names["timing.json"])
            limit = multiplier_mhz(self.work / "top.json", self.work / names["timing.json"])
            return placement if limit is None else placement.limited(limit)

        placements = dict(zip(seeds, self._side_by_side(place, seeds), strict=True))
        best = max(placements, key=lambda seed: placements[seed].fmax_mhz)
        for name, new in results.items():
            if (self.work / new.format(best)).exists():
                (self.work / new.format(best)).replace(self.work / name)
        if len(seeds) > 1:
            logs = self.work / LOG_FOLDER
            (logs / f"{stage}-{best}.log").replace(logs / f"{stage}.log")
            for seed in seeds:
                (logs / f"{stage}-{seed}.log").unlink(missing_ok=True)
        return best, placements[best]

    def _side_by_side(self, work: Callable[[int], Placement], seeds: Sequence[int]) -> list[Placement]:
        """Do ``work`` for all seeds, as many at a time as there are cores; the first failure ends all."""
        if len(seeds) == 1:
            return [work(seeds[0])]
        with ThreadPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
            tasks = [pool.submit(work, seed) for seed in seeds]
            try:
                for task in as_completed(tasks):
                    task.result()
                return [task.result() for task in tasks]
            except BaseException:
                for task in tasks:
                    task.cancel()
                self.shop.kill()
                raise

    def _refuse_what_does_not_fit(self, stage: str, error: ToolError) -> None:
        """Raise a CapacityError if that is why the placement failed."""
        log = (self.work / LOG_FOLDER / f"{stage}.log").read_text(errors="replace")
        used = read_utilisation_log(log)
        names = {cell: name for name, of in self.flow.cells.items() for cell in of}
        over = [f"{u} {names.get(k, k)} where there are {a}" for k, (u, a) in used.items() if u > a]
        if not over and not re.search(r"^ERROR:.*(legal|no more|[Nn]o Bels|unable to place)", log, re.M):
            return
        what = ", ".join(over) or "all but a few of its logic cells, which leaves no legal placement"
        kind = CapacityError if over else CrowdedError
        raise kind(
            f"the design must fit {self.board.name}, it needs {what}; take a smaller network, fewer bits "
            f"or fewer lanes; full log: {self.out_dir / LOG_FOLDER / stage}.log"
        ) from error


def _margin(mhz: float, needed: float) -> str:
    return "" if needed == mhz else f" and its oscillator's tolerance, {needed:g} MHz"
