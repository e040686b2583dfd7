"""A network compiled for a board: its cost, its cycles, its simulation, its export and its build."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qornn_hw.api.build import Build
from qornn_hw.api.network import Network
from qornn_hw.api.simulation import RTL_COUNTS, check_simulation, simulate, stimuli
from qornn_hw.api.virtual_board import VirtualBoard
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.engines import engine_named, engines
from qornn_hw.errors import CapacityError, FormatError

if TYPE_CHECKING:
    from rich.table import Table

    from qornn_hw.boards.board import Board as BoardModel
    from qornn_hw.boards.stages import Stage
    from qornn_hw.compiler.design import Design as Core
    from qornn_hw.compiler.family import Resources
    from qornn_hw.sim.core_simulation import SimulationResult

__all__ = ["DEFAULT_BOARD", "Design", "Explanation", "compile"]

DEFAULT_BOARD = "icebreaker"
# Steps of the simulation that counts the cycles of a step: enough for a mean where they are not all alike.
COUNTED_STEPS = 19


@dataclass(frozen=True)
class Explanation:
    """The designs that were considered, the fastest first, and what limits them.

    Attributes:
        rows: of each ``engine``, ``lanes``, ``passes``, ``cycles_per_step``, its resources, and ``too_many``,
            by how many of each it is too large; empty where it fits.
    """

    rows: list[dict[str, Any]]

    def table(self) -> "Table":
        """Return the designs as a table for a terminal."""
        from qornn_hw.boards.estimation import explanation_table

        return explanation_table(self.rows)

    def __str__(self) -> str:
        from qornn_hw.terminal.text import PlainConsole

        console = PlainConsole(width=110, color_system=None)
        with console.capture() as text:
            console.print(self.table())
        return text.get().rstrip()

    def __repr__(self) -> str:
        return f"Explanation({len(self.rows)} designs)"


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """A network compiled for a board, or for no board; from :func:`qornn_hw.compile`.

    Attributes:
        network: what it computes.
        core: the compiled design: plan and memories.
        model: of the board; None where the core is for no board.
        clock_mhz: the core clock that was asked for; None: the fastest that the placed design reaches.
        target_rate: steps a second that were asked for.

    >>> import qornn_hw
    >>> design = qornn_hw.compile(qornn_hw.load("models/mnist_rows.npz"), board="icebreaker")
    >>> design
    Design('icebreaker', lut engine, 48 lanes, 128 cycles a step)
    >>> design.cost.bram, design.cycles
    (21, 128)
    """

    network: Network
    core: "Core"
    model: "BoardModel | None" = None
    clock_mhz: float | None = None
    target_rate: float | None = None

    @property
    def board(self) -> "BoardModel":
        """The board's description.

        Raises:
            FormatError: the core is for no board.
        """
        if self.model is None:
            raise FormatError("board must be named to compile for one, and was None")
        return self.model

    @property
    def cost(self) -> "Resources":
        """The estimated resources, the board's own logic included; flip-flops are not estimated."""
        from qornn_hw.boards.estimation import estimate_whole

        return estimate_whole(self.core, self.board)

    @property
    def cycles(self) -> int:
        """Clock cycles from step to step; a lower bound where a step's input takes longer than its rows."""
        return int(self.core.schedule.cycles_per_step)

    @property
    def summary(self) -> str:
        """The shape of the core in one line: elements, passes and the accumulator's width."""
        return self.core.schedule.described()

    def estimate(self) -> dict[str, Any]:
        """Return the estimate with the keys of ``report.json``, as far as they are known before a build."""
        from qornn_hw.boards.estimation import estimate_report

        return estimate_report(self.core, self.board, clock_mhz=self.clock_mhz)

    def explain(self) -> Explanation:
        """Return the designs that were considered, and what limits them; ``print`` shows a table."""
        from qornn_hw.boards.estimation import explanation

        return Explanation(explanation(self.core, self.board))

    def simulate(
        self,
        inputs: Any = None,
        *,
        integers: bool = False,
        through: str = "core",
        sequences: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        idle: str = "none",
        back_pressure: str = "none",
        reset_after: int | None = None,
        simulator: str | None = None,
        waves: Path | None = None,
    ) -> "SimulationResult":
        """Simulate the Verilog, and compare every integer with the integer model.

        Args:
            inputs: real inputs as for a call of the network; random ones where None.
            integers: ``inputs`` are the network's own integers, a list of (steps, m) or (steps,).
            through: ``core``, every hidden unit and answer of the core; or ``pins``, the core
                through the pins of the board's link.
            sequences: how many, played back to back; 3 random ones where None.
            steps: of each random sequence; 16 where None.
            seed: of random sequences and pauses.
            idle: pauses of the input: ``none``, ``periodic`` or ``random``; with ``core``.
            back_pressure: pauses of the reader, likewise.
            reset_after: reset in the middle of this step, then play all from the start.
            simulator: ``icarus`` or ``verilator``; the one that is installed where None.
            waves: write a trace there (.fst Icarus, .vcd Verilator).

        Returns:
            Counts of what was compared, and the cycles of a step as counted.

        Raises:
            MismatchError: the first integer that differs, with sequence, step and unit.
            FormatError: an argument is out of its range, or the inputs are none of this network.
            ToolError: a simulator is missing or failed.

        >>> import numpy as np, qornn_hw
        >>> net = qornn_hw.load("models/mnist_rows.npz")
        >>> result = qornn_hw.compile(net).simulate(np.zeros((1, 6, 28)))
        >>> result.mismatches, result.integers_compared     # 6 steps of 64 units, 10 logits and a class
        (0, 395)
        """
        check_simulation(through, None, idle, back_pressure)
        played = stimuli(
            self.network.network, inputs, integers=integers, counts=RTL_COUNTS, sequences=sequences,
            steps=steps, seed=seed,
        )  # fmt: skip
        return simulate(
            self.core, played, through=through, simulator=simulator, idle=idle, back_pressure=back_pressure,
            link=None if self.model is None else self.model.physical_link, reset_after=reset_after, seed=seed,
            waves=waves,
        )  # fmt: skip

    def export(
        self,
        out: str | Path,
        *,
        name: str = "qornn_core",
        sequences: int = 3,
        steps: int = 8,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Write the core as portable Verilog with golden vectors, a self-checking bench and a port table.

        Args:
            out: folder of the results.
            name: of the module, so that a design can hold several.
            sequences: random sequences among the golden vectors.
            steps: of each of them.
            seed: of them.

        Raises:
            FormatError: the name is no Verilog identifier, or a count is out of its range.
            OutputError: the folder cannot be written.
            ToolError: yosys is missing or failed.
        """
        from qornn_hw.sim.export import export_core

        return export_core(self.core, Path(out), name=name, sequences=sequences, steps=steps, seed=seed)

    def build(
        self,
        out: str | Path,
        *,
        seed: int = 1,
        effort: int = 1,
        boot: Boot | str = Boot.LINK,
        command: str = "",
        progress: "Callable[[Stage], None] | None" = None,
    ) -> Build:
        """Build the bitstream, with a report, the core's Verilog and the netlist.

        The cycles of a step are counted in simulation first.

        Args:
            out: folder of the results; on failure it holds the logs, and otherwise what it held before.
            seed: the first seed of place and route.
            effort: seeds that are tried; the fastest placement is kept.
            boot: where weights that do not fit the bitstream come from at start-up: ``link`` or ``flash``.
            command: what was typed to build this, for the report.
            progress: called with each stage as it begins.

        Raises:
            BoardError: the clock cannot be made, or there is no flash to boot from.
            CapacityError: the device is too small.
            TimingError: the design is slower than the clock.
            ToolError: a tool is missing or failed.
            OutputError: the folder cannot be written, or the disk is full.
        """
        from qornn_hw.boards.build import build
        from qornn_hw.sim.amaranth_bench import simulate_core_in_python
        from qornn_hw.sim.answer_latency import measure_answer_latency
        from qornn_hw.sim.stimuli import random_sequences

        self.check_build(seed=seed, effort=effort, boot=boot)
        sequences = random_sequences(self.network.network, batch=1, steps=COUNTED_STEPS, seed=0)
        counted = simulate_core_in_python(self.core, sequences).cycles_per_step
        latency = measure_answer_latency(self.core)
        report = build(
            self.core,
            self.board,
            Path(out),
            cycles_per_step=counted,
            answer_cycles=(latency.first, latency.last),
            seed=seed,
            effort=effort,
            clock_mhz=self.clock_mhz,
            clock_needed_mhz=(self.target_rate or 0.0) * (counted or self.cycles) / 1e6,
            boot=Boot(boot),
            command=command,
            progress=progress,
        )
        return Build(Path(out), report, self.network, self.core, self.board)

    def check_build(self, *, seed: int = 1, effort: int = 1, boot: Boot | str = Boot.LINK) -> None:
        """Refuse arguments with which :meth:`build` cannot begin; as there."""
        from qornn_hw.boards.build_request import check_boot, check_request

        check_request(self.board, seed=seed, effort=effort, clock_mhz=self.clock_mhz)
        check_boot(self.core, self.board, Boot(boot))

    def open(self, port: str | None = None, **options: Any) -> Any:
        """Return a board that holds this design already; as :meth:`qornn_hw.Build.open`."""
        from qornn_hw.api.board import open_board

        return open_board(self.network, self.core, self.board, port=port, **options)

    def virtual_board(self, *, through: str = "rtl") -> VirtualBoard:
        """Return the board in a simulation, as a context manager whose ``open`` gives a Board.

        It needs Verilator. ``with design.virtual_board() as virtual, virtual.open() as board: ...``

        Args:
            through: ``rtl``; the netlist is a build's.

        Raises:
            FormatError: the core is for no board, or another word.
        """
        return VirtualBoard(self.network, self.core, self.board, through=through)

    def __repr__(self) -> str:
        where = repr(None if self.model is None else self.model.name)
        core = self.core
        return f"Design({where}, {core.engine.name} engine, {core.lanes} lanes, {self.cycles} cycles a step)"


def compile(
    net: Network,
    board: str | None = DEFAULT_BOARD,
    *,
    lanes: int | None = None,
    engine: str | None = None,
    target_rate: float | None = None,
    clock: str | float = "auto",
    reloadable: bool = False,
) -> Design:
    """Compile a network for a board: the fastest design that fits, or what is asked for.

    Args:
        net: any network. The engines ``lut`` and ``dsp`` compute one Elman layer and a readout; the other
            networks, of gated cells and of several layers, have the engine ``tile``, or ``simple`` where that
            does not fit or cannot compute them.
        board: name of a board, or the path of a Python file that defines one (docs/boards.md); None for a
            core that is for no board.
        lanes: at most so many multiply-accumulates a cycle; what fits where None, without a board 32, or 8
            of the dsp engine.
        engine: ``lut``, products in logic cells, ``dsp``, in hard multipliers, ``tile``, for gated cells and
            several layers, or ``simple``, one multiplier for all; where None the first that can compute the
            network and fits.
        target_rate: steps a second that are enough: the smallest design that does them.
        clock: ``auto`` for the fastest core clock that the placed design reaches, ``oscillator`` for the
            board's own, without a PLL, or MHz.
        reloadable: leave room for any other weights of the same formats (:meth:`qornn_hw.Build.reload`).

    Raises:
        BoardError: there is no such board, or it has no such clock.
        CapacityError: the network does not fit, or no design is fast enough; says what would.
        FormatError: an argument is out of its range, or the engine cannot compute the network.

    >>> import qornn_hw
    >>> net = qornn_hw.load("models/copy.npz")
    >>> qornn_hw.compile(net, "ulx3s-12f", engine="lut")     # doctest: +ELLIPSIS
    Design('ulx3s-12f', lut engine, ... lanes, ... cycles a step)
    """
    network, chosen = net.network, None if engine is None else engine_named(engine).name
    if board is None:
        return Design(net, _boardless(network, lanes, chosen))
    from qornn_hw.boards.build_request import check_request
    from qornn_hw.boards.clock import board_for_clock
    from qornn_hw.boards.estimation import plan_for
    from qornn_hw.boards.registry import find_board
    from qornn_hw.boards.reload import check_reloadable

    model = find_board(board)
    if reloadable:
        check_reloadable(model)
    if target_rate is not None and not (target_rate > 0 and math.isfinite(target_rate)):
        raise FormatError(f"target_rate must be a number of steps a second above 0, not {target_rate:g}")
    clocked, mhz = board_for_clock(model, clock if isinstance(clock, str) else repr(clock))
    check_request(clocked, clock_mhz=mhz)
    core = plan_for(network, model, lanes, chosen, room=reloadable, target_rate=target_rate, clock_mhz=mhz)
    return Design(net, core, clocked, mhz, target_rate)


def _boardless(network: Any, lanes: int | None, engine: str | None) -> "Core":
    """Return the design of a core that is for no board."""
    from qornn_hw.compiler.design import compile_schedule

    if engine is None:
        found = next(one for one in engines() if one.refuses(network, None) is None)
    else:
        found = engine_named(engine)
        if (reason := found.refuses(network, None)) is not None:
            raise CapacityError(reason)
    return compile_schedule(found.usual_schedule(network, lanes))
