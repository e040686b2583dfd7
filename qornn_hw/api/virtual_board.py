"""A whole board in a simulation: its pins at a pseudo-terminal that a host opens like a serial port."""

import tempfile
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qornn_hw.api.board import Board, open_board
from qornn_hw.api.network import Network
from qornn_hw.errors import FormatError

if TYPE_CHECKING:
    from qornn_hw.boards.board import Board as BoardModel
    from qornn_hw.compiler.design import Design as Core
    from qornn_hw.sim.virtual_board import Statistics, VirtualBoardBuild

__all__ = ["THROUGH", "VirtualBoard"]

THROUGH = ("rtl", "netlist")
# Simulated boards are slow: seconds of silence until something is taken to be lost.
TIMEOUT_SECONDS = 10.0


class VirtualBoard:
    """A board in Verilator; a context manager that compiles and starts it on entry, and ends it on exit.

    ``port`` is then the path of a pseudo-terminal, which any host opens as a serial port; :meth:`open` gives
    the :class:`qornn_hw.Board` behind it. From :meth:`qornn_hw.Design.virtual_board` or
    :meth:`qornn_hw.Build.virtual_board`.

    >>> import qornn_hw
    >>> qornn_hw.compile(qornn_hw.load("models/mnist_rows.npz")).virtual_board()    # doctest: +ELLIPSIS
    VirtualBoard('icebreaker', 'rtl', Network(28 inputs, 64 units, 10 outputs; ...))

    Args:
        network: what it computes.
        core: the design in it.
        model: of the board.
        through: ``rtl``, the board's design before synthesis, or ``netlist``, the placed netlist of a build.
        folder: of the build; for ``netlist``.
        report: of the build.

    Raises:
        FormatError: ``through`` is neither, or a netlist is asked for without a build.
        BoardError: the board's clock has no pin.
        ToolError: Verilator is missing, or does not compile the board.
    """

    def __init__(
        self,
        network: Network,
        core: "Core",
        model: "BoardModel",
        *,
        through: str = "rtl",
        folder: Path | None = None,
        report: dict[str, Any] | None = None,
    ) -> None:
        check_through(through, folder)
        self.network, self.core, self.model, self.through = network, core, model, through
        self._folder, self._report = folder, report or {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            work = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="qornn-board-")))
            self._build = self._compiled(work)
            self._running = self._stack.enter_context(self._build.start())
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def port(self) -> str:
        """Path of the terminal: the serial port."""
        return self._running.port

    @property
    def baud(self) -> int:
        """Rate of its line, bits a second of its own time."""
        return self._build.baud

    @property
    def clock_mhz(self) -> float:
        """Its core clock."""
        return self._build.hz / 1e6

    @property
    def compile_seconds(self) -> float:
        """Time that Verilator took."""
        return self._build.seconds

    def open(self, *, timeout: float = TIMEOUT_SECONDS, history: int | None = None) -> Board:
        """Return the board at its port; as a context manager it connects. Arguments as for a real one."""
        from qornn_hw.boards.build_folder import weights_of_build
        from qornn_hw.link.protocol import LinkFormat

        loaded = self._folder is not None and LinkFormat.of(self.core).weights is not None
        image = weights_of_build(self._folder, self._report) if self._folder and loaded else None
        return open_board(
            self.network, self.core, self.model, port=self.port, baud=self.baud, timeout=timeout,
            history=history, image=image,
        )  # fmt: skip

    def statistics(self) -> "Statistics":
        """Return the cycles that were simulated, and what they took."""
        return self._running.statistics()

    def wait(self) -> None:
        """Wait until the simulation ends, which it does not by itself."""
        self._running.wait()

    def __repr__(self) -> str:
        return f"VirtualBoard({self.model.name!r}, {self.through!r}, {self.network!r})"

    def _compiled(self, work: Path) -> "VirtualBoardBuild":
        from qornn_hw.boards.netlist import find_netlist
        from qornn_hw.boards.virtual import emit_board, simulated_hz
        from qornn_hw.sim.virtual_board import build_virtual_board

        if self.through == "netlist":
            assert self._folder is not None
            netlist = find_netlist(self._folder, self.model)
            hz = round(Fraction(str(self._report["clock_mhz"])) * 1_000_000)
            baud = self._report["baud"]
        else:
            hz = simulated_hz(self.model)
            baud = self.model.link_rate(hz)
            netlist = emit_board(self.core, self.model, work, hz)
        return build_virtual_board(
            netlist.sources, netlist.top, work, hz=hz, baud=baud, link=self.model.physical_link,
            ports=netlist.ports, defines=netlist.defines,
        )  # fmt: skip


def check_through(through: str, folder: Path | None) -> None:
    """Refuse what a virtual board cannot be made of.

    Raises:
        FormatError: another word than ``rtl`` and ``netlist``, or a netlist without a build.
    """
    if through not in THROUGH:
        raise FormatError(f"through must be {' or '.join(THROUGH)}, not {through!r}")
    if through == "netlist" and folder is None:
        raise FormatError("`through` netlist must come with `build` DIR, the output folder of a build")
