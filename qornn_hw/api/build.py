"""A build: a bitstream with its report, the way onto a board, and its netlist in a simulation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from qornn_hw.api.board import Board, check_connection, open_board
from qornn_hw.api.network import Network
from qornn_hw.api.simulation import NETLIST_COUNTS, stimuli
from qornn_hw.api.virtual_board import VirtualBoard
from qornn_hw.storage.folder_lock import folder_lock

if TYPE_CHECKING:
    from qornn_hw.boards.board import Board as BoardModel
    from qornn_hw.boards.stages import Stage
    from qornn_hw.compiler.design import Design as Core
    from qornn_hw.sim.core_simulation import SimulationResult

__all__ = ["Build", "program", "reload"]


@dataclass(frozen=True, eq=False, repr=False)
class Build:
    """A bitstream for a board, and what belongs to it.

    From :meth:`qornn_hw.Design.build`, or of a folder with :meth:`read`. ``print`` shows the report's tables.

    >>> import tempfile, numpy as np, qornn_hw
    >>> x = np.random.default_rng(0).normal(size=(20, 10, 2))
    >>> w, u, v = np.diag([0.9, -0.8]), np.ones((2, 2)), np.eye(2)
    >>> net = qornn_hw.quantize((w, u, v), x, activation="relu", weight_bits=8)
    >>> folder = tempfile.mkdtemp()
    >>> build = qornn_hw.compile(net, "icebreaker", clock=12).build(folder)
    >>> build.bitstream.name, build.report["clock_mhz"]
    ('top.bin', 12.0)
    >>> qornn_hw.Build.read(folder, net).core.digest == build.core.digest
    True

    Attributes:
        folder: with the bitstream, ``report.json``, the core's Verilog and the netlist.
        report: what ``report.json`` says (docs/boards.md).
        network: what the board computes.
        core: the compiled design in it.
        model: of the board.
        reloaded_block_rams: block RAMs whose contents a reload replaced; None of another build.
    """

    folder: Path
    report: dict[str, Any]
    network: Network
    core: "Core"
    model: "BoardModel"
    reloaded_block_rams: int | None = None

    @property
    def board(self) -> "BoardModel":
        """The board's description."""
        return self.model

    @classmethod
    def read(cls, folder: str | Path, net: Network, board: str | None = None) -> Self:
        """Return the build in a folder.

        Args:
            folder: what :meth:`qornn_hw.Design.build` wrote.
            net: the network that it was made of.
            board: the build's board; needed where a file of your own defines it, since no file that only a
                report names is run.

        Raises:
            DataError: there is no build, or its report is damaged.
            BoardError: the board is not listed, and none is named.
            FormatError: the build is of another network, or for another board.
        """
        from qornn_hw.boards.build_folder import board_of_build, design_of_build
        from qornn_hw.boards.report import read_report

        folder = Path(folder)
        report = read_report(folder)
        model = board_of_build(folder, report, board)
        return cls(folder, report, net, design_of_build(folder, report, model, net.network), model)

    @property
    def bitstream(self) -> Path:
        """The bitstream."""
        return self.folder / str(self.report["files"]["bitstream"])

    def program(self, *, tell: Callable[[str], None] | None = None, **options: Any) -> Board:
        """Load the bitstream into the board with an installed programmer, and return the board.

        Args:
            tell: called with each command line of the programmer before it runs.
            options: those of :meth:`open`.

        Raises:
            ToolError: no programmer is installed, or it failed.
            BoardError, LinkError: as :meth:`open`.
        """
        _program(self.folder, self.model, tell)
        return self.open(**options)

    def open(
        self,
        port: str | None = None,
        *,
        baud: int | None = None,
        timeout: float = 1.0,
        history: int | None = None,
    ) -> Board:
        """Return the board that holds this build; as a context manager it connects.

        Args:
            port: its serial port, as "/dev/ttyUSB1"; found by the ids of its USB bridge where None.
            baud: rate of the line; the build's where None.
            timeout: seconds of silence after which something is taken to be lost, up to 3600.
            history: steps of a stream that are kept to restore its state after a fault.

        Raises:
            BoardError: no such board is found, or several.
            LinkError: the port cannot be used.
            FormatError: an argument is out of its range.
        """
        from qornn_hw.boards.build_folder import weights_of_build
        from qornn_hw.link.protocol import LinkFormat

        check_connection(timeout, baud, history)
        waits = LinkFormat.of(self.core).weights is not None
        return open_board(
            self.network, self.core, self.model, port=port, baud=baud, timeout=timeout, history=history,
            image=weights_of_build(self.folder, self.report) if waits else None, report=self.report,
        )  # fmt: skip

    def virtual_board(self, *, through: str = "rtl") -> VirtualBoard:
        """Return the board of this build in a simulation; a context manager, whose ``open`` gives a Board.

        Args:
            through: ``rtl``, the board's design before synthesis, or ``netlist``, as it is placed.

        Raises:
            FormatError: another word.
        """
        return VirtualBoard(
            self.network, self.core, self.model, through=through, folder=self.folder, report=self.report
        )

    def simulate(
        self,
        inputs: Any = None,
        *,
        integers: bool = False,
        sequences: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        simulator: str | None = None,
        reset_after: int | None = None,
        waves: Path | None = None,
    ) -> "SimulationResult":
        """Simulate the placed netlist through the board's pins, and compare every answer.

        Arguments as for :meth:`qornn_hw.Design.simulate`; by default 4 sequences of 4 steps, which take
        minutes.

        Raises:
            MismatchError: the first integer that differs.
            ToolError: a simulator is missing or failed.
        """
        from qornn_hw.api.placed_netlist import simulate_build

        played = stimuli(
            self.network.network, inputs, integers=integers, counts=NETLIST_COUNTS, sequences=sequences,
            steps=steps, seed=seed,
        )  # fmt: skip
        return simulate_build(
            self.folder, self.model, self.report, self.core, played, simulator=simulator,
            reset_after=reset_after, waves=waves,
        )  # fmt: skip

    def reload(
        self, net: Network, out: str | Path, *, progress: "Callable[[Stage], None] | None" = None
    ) -> "Build":
        """Return a build with another network of the same shape, made without place and route, in seconds.

        Args:
            net: the network; its formats and sizes must be those of the build.
            out: folder of the results; that of this build replaces it.
            progress: called with each stage as it begins.

        Raises:
            BoardError: the build cannot be reloaded.
            FormatError: the network does not fit the hardware that is there; says what differs.
            ToolError: a tool is missing or failed.
        """
        return _reload(self.folder, net, self.model, Path(out), progress)

    def write_page(self, path: str | Path, title: str | None = None) -> None:
        """Write the report with plots as one HTML page that needs nothing else.

        Raises:
            OutputError: the file cannot be written.
        """
        from qornn_hw.link.step_parts import link_microseconds, step_cycles
        from qornn_hw.reports.html_report import build_page, write_page

        link = link_microseconds(self.core, self.report["baud"], self.model.physical_link.line)
        heading = title or f"{self.network!r} on {self.model.name}"
        write_page(Path(path), build_page(heading, self.report, step_cycles(self.core.schedule), link))

    def __str__(self) -> str:
        from qornn_hw.boards.report import report_table
        from qornn_hw.terminal.text import PlainConsole

        console = PlainConsole(width=110, color_system=None)
        with console.capture() as text:
            console.print(report_table(self.report))
        return text.get().rstrip()

    def __repr__(self) -> str:
        return f"Build({str(self.folder)!r}, {self.model.name!r}, {self.report['clock_mhz']:g} MHz)"


def program(
    folder: str | Path, board: str | None = None, *, tell: Callable[[str], None] | None = None
) -> None:
    """Load the bitstream of a build's folder, and weights that it boots from flash; as :meth:`Build.program`.

    Args:
        folder: of the build.
        board: as for :meth:`Build.read`.
        tell: called with each command line of the programmer before it runs.
    """
    _program(Path(folder), _board_of(Path(folder), board), tell)


def reload(
    folder: str | Path,
    net: Network,
    out: str | Path,
    *,
    board: str | None = None,
    progress: "Callable[[Stage], None] | None" = None,
) -> Build:
    """Put another network into the bitstream of a build's folder; as :meth:`Build.reload`.

    Args:
        folder: of the build.
        net: the network to put in.
        out: folder of the results.
        board: as for :meth:`Build.read`.
        progress: called with each stage as it begins.
    """
    return _reload(Path(folder), net, _board_of(Path(folder), board), Path(out), progress)


def _board_of(folder: Path, board: str | None) -> "BoardModel":
    from qornn_hw.boards.build_folder import board_of_build
    from qornn_hw.boards.report import read_report

    return board_of_build(folder, read_report(folder), board)


def _program(folder: Path, model: "BoardModel", tell: Callable[[str], None] | None) -> None:
    from qornn_hw.boards.programmer import program
    from qornn_hw.boards.report import read_report

    # Nobody replaces the bitstream while it is loaded.
    with folder_lock(folder, shared=True):
        program(folder, read_report(folder), model, tell=tell)


def _reload(
    folder: Path, net: Network, model: "BoardModel", out: Path, progress: "Callable[[Stage], None] | None"
) -> Build:
    from qornn_hw.boards.reload import reload

    done = reload(folder, net.network, model, out, progress=progress)
    return Build(out, done.report, net, done.design, model, done.block_rams)
