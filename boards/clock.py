"""Clock, reset and link rate of a design, and the cells that hold them.

Everything that depends on the frequency of the clock is a parameter of some cell and changes no other cell
and no net: so a netlist is placed once to learn its fastest clock, and then gets that clock.
"""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Out

from qornn_hw.boards.board import Board
from qornn_hw.boards.clock_source import PIN, ClockNets, Parameter, instance_parameters
from qornn_hw.boards.pll import solve_pll
from qornn_hw.errors import FormatError, ToolError
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK

__all__ = [
    "BoardRate",
    "ClockGenerator",
    "board_as_built",
    "board_for_clock",
    "cell_parameters",
    "reset_cycles",
    "retune",
]

# Names of the cells below, from the top of the board.
PLL_CELL = "clock.pll"
RATE_CELL = "linked.rate.bit_{}"


def board_for_clock(board: Board, clock: str) -> tuple[Board, float | None]:
    """Return the board and the core clock in MHz that a user's word for the clock asks for.

    Args:
        board: the board.
        clock: ``auto`` for the fastest that the placed design reaches, ``oscillator`` for the frequency of
            the board's oscillator, or a number of MHz. The oscillator's own frequency needs no PLL, by
            whichever word.

    Returns:
        The board, with its oscillator as the clock where that is asked for, and MHz, None for ``auto``.

    Raises:
        FormatError: another word.
    """
    if clock == "auto":
        return board, None
    if clock == "oscillator":
        return board.on_oscillator(), board.oscillator_hz / 1e6
    try:
        mhz = float(clock)
    except ValueError:
        raise FormatError(f"clock must be auto, oscillator or a number of MHz, not {clock!r}") from None
    return (board.on_oscillator() if mhz * 1e6 == board.oscillator_hz else board), mhz


def board_as_built(board: Board, report: Mapping[str, Any]) -> Board:
    """Return the board with the clock source and the link that a build's report names.

    Raises:
        BoardError: the board does not have that link.
    """
    board = board.over(report.get("link", DEFAULT_LINK.name))
    return board.on_oscillator() if report.get("clock_source") == PIN.value else board


def reset_cycles(board: Board) -> int:
    """Return how many cycles of the core clock the board's reset lasts beyond the lock.

    A power of two, so that the counter's top bit ends it.
    """
    return 1 << int(board.clock_source.reset_seconds * Fraction(board.fastest_mhz) * 1_000_000).bit_length()


def _constant_bits(board: Board) -> int:
    """Return the bits of the link's constant that serve every clock of a board."""
    fastest_hz = Fraction(board.fastest_mhz) * 1_000_000
    return board.physical_link.constant_bits(board.baud_rates, fastest_hz)


def cell_parameters(board: Board, hz: int) -> dict[str, dict[str, Parameter]]:
    """Return the parameters that make a clock of ``hz``: cell name to parameter name to value.

    Raises:
        BoardError: the board cannot make the clock, or it is too slow for the link.
    """
    settings = solve_pll(board.clock_source, board.oscillator_hz, hz)
    constant = board.family.flow.constant
    link, bits = board.physical_link, _constant_bits(board)
    # Without a constant, too: the clock may be too slow for the link.
    board.link_rate(hz)
    value = link.constant_value(board.baud_rates, hz, bits) if bits else 0
    pll: dict[str, dict[str, Parameter]] = (
        {PLL_CELL: dict(settings.parameters)} if settings.parameters else {}
    )
    return pll | {
        RATE_CELL.format(bit): {
            constant.parameter: ((1 << constant.bits) - 1 if value >> bit & 1 else 0, constant.bits)
        }
        for bit in range(bits)
    }


def retune(netlist: Path, board: Board, hz: int) -> None:
    """Give a netlist of yosys or nextpnr another clock, cell by cell of :func:`cell_parameters`.

    Raises:
        BoardError: as for :func:`cell_parameters`.
        ToolError: a parameter is not there.
    """
    data = json.loads(netlist.read_text())
    cells = data["modules"]["top"]["cells"]
    for cell, parameters in cell_parameters(board, hz).items():
        for name, value in parameters.items():
            if cell not in cells or name not in cells[cell]["parameters"]:
                raise ToolError(f"{netlist.name} must have {name} of {cell}, the clock, and has it not")
            cells[cell]["parameters"][name] = _json_parameter(value)
    netlist.write_text(json.dumps(data, indent=1))


def _json_parameter(value: Parameter) -> str:
    """Return a parameter as yosys writes it: binary digits, or a string."""
    if isinstance(value, str):
        return value
    number, bits = value if isinstance(value, tuple) else (value, 32)
    return f"{number:0{bits}b}"


class BoardRate(wiring.Component):
    """The constant of the board's link, each bit in a LUT with constant inputs, for :func:`retune`.

    Parameters:
        board: Whose clocks, link and rates decide the width.
        hz: Clock.

    Members:
        increment, ...: Out: The link's constant, by its name
            (:attr:`qornn_hw.link.physical.PhysicalLink.constant`).
    """

    def __init__(self, *, board: Board, hz: int) -> None:
        self._board = board
        self._cells = cell_parameters(board, hz)
        super().__init__({board.physical_link.constant: Out(_constant_bits(board))})

    @property
    def value(self) -> Any:
        """The constant."""
        return getattr(self, self._board.physical_link.constant)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        constant = self._board.family.flow.constant
        for bit in range(len(self.value)):
            m.submodules[f"bit_{bit}"] = Instance(
                constant.cell,
                **instance_parameters(self._cells[RATE_CELL.format(bit)]),
                # Not to be taken for the constant that it is.
                a_keep=1,
                **{f"o_{constant.output}": self.value[bit]},
            )
        return m


class ClockGenerator(wiring.Component):
    """Clock and reset of a design: the PLL's output, and a reset that lasts 15 us beyond its lock.

    Without a PLL the clock is that of the board's clock pin, and the reset is timed from power-up.
    The clock source itself is the family's (:class:`qornn_hw.boards.clock_source.ClockSource`).

    Only the platform of a board can elaborate it. The domain itself is made by the top, where Amaranth 0.6
    wants it.

    Parameters:
        board: Whose clock input feeds the PLL, or is the clock.
        hz: Frequency of the clock.

    Members:
        clk: Out(1): The clock, on a global net.
        rst: Out(1): Active high, synchronous to ``clk``.

    Latency: ``rst`` falls at least 15 us after the PLL has locked, or 100 us after the start of an oscillator
    on the chip, and at most twice as long: a power of two cycles at the board's fastest clock.
    """

    def __init__(self, *, board: Board, hz: int) -> None:
        self._board = board
        self._parameters = cell_parameters(board, hz).get(PLL_CELL, {})
        super().__init__({"clk": Out(1), "rst": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        lock = Signal(init=1)
        source = self._board.clock_source
        nets = ClockNets(
            pin=platform.request(self._board.clock_resource, dir="-") if source.has_pin else None,
            oscillator_hz=self._board.oscillator_hz,
            device=self._board.device,
            clk=self.clk,
            lock=lock,
        )
        if (cell := source.connect(m, nets, self._parameters)) is not None:
            m.submodules.pll = cell
        m.domains.por = ClockDomain("por", reset_less=True, local=True)
        m.d.comb += ClockSignal("por").eq(self.clk)

        locked = Signal()
        m.submodules.lock_sync = FFSynchronizer(lock, locked, o_domain="por")
        timer = Signal(range(reset_cycles(self._board) + 1))
        running = timer[-1]
        with m.If(~locked):
            m.d.por += timer.eq(0)
        with m.Elif(~running):
            m.d.por += timer.eq(timer + 1)
        m.d.comb += self.rst.eq(~running)
        return m
