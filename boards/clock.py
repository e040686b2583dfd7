"""Clock, reset and UART rate of a design, and the cells that hold them.

Everything that depends on the frequency of the clock is a parameter of some cell and changes no other cell
and no net: so a netlist is placed once to learn its fastest clock, and then gets that clock.
"""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Out

from boards.board import Board, ClockSource
from boards.flow import flow_of
from boards.pll import solve_pll
from qornn_hw.errors import BoardError, ToolError
from rtl_gen.uart import CLOCKS_PER_BIT_MIN, phase_bits, phase_increment

__all__ = [
    "BoardRate",
    "ClockGenerator",
    "cell_parameters",
    "reset_cycles",
    "retune",
    "uart_baud",
    "uart_clocks_per_bit",
]

# Block RAM of an iCE40 reads as zero for about 3 us after configuration (YosysHQ/icestorm issue 76); five
# times that, as Amaranth's own reset has, which a design with its own clock domain does not get. The
# oscillators on the chip take up to 100 us to settle. Counted at the board's fastest clock, so that the
# counter is the same at any.
RESET_SECONDS = Fraction(15, 1_000_000)
OSCILLATOR_RESET_SECONDS = Fraction(100, 1_000_000)

# Names of the cells below, from the top of the board.
PLL_CELL = "clock.pll"
RATE_CELL = "linked.rate.bit_{}"

Parameter: TypeAlias = tuple[int, int] | int | str
"""A parameter of a cell: (value, bits), a number, or a string."""


def uart_baud(board: Board, hz: int) -> int:
    """Return the fastest rate of the board's bridge that leaves a bit at least 8 cycles of a clock."""
    for baud in board.baud_rates:
        if hz >= CLOCKS_PER_BIT_MIN * baud:
            return baud
    slowest = board.baud_rates[-1]
    raise BoardError(
        f"clock must be at least {CLOCKS_PER_BIT_MIN * slowest / 1e6:g} MHz, {CLOCKS_PER_BIT_MIN} cycles of "
        f"a UART bit at {slowest / 1e6:g} Mbaud, not {hz / 1e6:g} MHz"
    )


def reset_cycles(board: Board) -> int:
    """Return how many cycles of the core clock the board's reset lasts beyond the lock.

    A power of two, so that the counter's top bit ends it.
    """
    on_chip = board.clock_source is ClockSource.ICE40_OSCILLATOR
    seconds = OSCILLATOR_RESET_SECONDS if on_chip else RESET_SECONDS
    return 1 << int(seconds * Fraction(board.fastest_mhz) * 1_000_000).bit_length()


def uart_clocks_per_bit(board: Board, hz: int) -> Fraction:
    """Return the cycles of a UART bit."""
    return Fraction(hz, uart_baud(board, hz))


def _rate_bits(board: Board) -> int:
    """Return the bits of a UART phase that serves every clock of a board."""
    fastest = Fraction(board.fastest_mhz) * 1_000_000 / board.baud_rates[0]
    # Just below the clock for the next rate a bit is longest, for the rates between the first and the last.
    steps = [
        Fraction(CLOCKS_PER_BIT_MIN * a, b)
        for a, b in zip(board.baud_rates, board.baud_rates[1:], strict=False)
    ]
    return phase_bits(max(fastest, *steps, Fraction(CLOCKS_PER_BIT_MIN)))


def cell_parameters(board: Board, hz: int) -> dict[str, dict[str, Parameter]]:
    """Return the parameters that make a clock of ``hz``: cell name to parameter name to value.

    Raises:
        BoardError: the board cannot make the clock, or it is too slow for the UART.
    """
    settings = solve_pll(board.clock_source, board.oscillator_hz, hz)
    _, name, bits, _ = flow_of(board).constant
    phase = _rate_bits(board)
    increment = phase_increment(uart_clocks_per_bit(board, hz), phase)
    return {PLL_CELL: dict(settings.parameters)} | {
        RATE_CELL.format(bit): {name: ((1 << bits) - 1 if increment >> bit & 1 else 0, bits)}
        for bit in range(phase)
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


def _instance_parameters(parameters: dict[str, Parameter]) -> dict[str, Any]:
    return {f"p_{k}": Const(*v) if isinstance(v, tuple) else v for k, v in parameters.items()}


class BoardRate(wiring.Component):
    """The increment of the UART's phase, each bit in a LUT with constant inputs, for :func:`retune`.

    Parameters:
        board: Whose clocks and rates decide the width.
        hz: Clock.

    Members:
        increment: Out: As in :class:`rtl_gen.uart.BitRate`.
    """

    def __init__(self, *, board: Board, hz: int) -> None:
        self._board = board
        self._cells = cell_parameters(board, hz)
        super().__init__({"increment": Out(_rate_bits(board))})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        kind, _, _, output = flow_of(self._board).constant
        for bit in range(len(self.increment)):
            m.submodules[f"bit_{bit}"] = Instance(
                kind,
                **_instance_parameters(self._cells[RATE_CELL.format(bit)]),
                # Not to be taken for the constant that it is.
                a_keep=1,
                **{f"o_{output}": self.increment[bit]},
            )
        return m


class ClockGenerator(wiring.Component):
    """Clock and reset of a design: the PLL's output, and a reset that lasts 15 us beyond its lock.

    Only the platform of a board can elaborate it. The domain itself is made by the top, where Amaranth 0.6
    wants it.

    Parameters:
        board: Whose clock input feeds the PLL.
        hz: Frequency of the clock.

    Members:
        clk: Out(1): The clock, on a global net.
        rst: Out(1): Active high, synchronous to ``clk``.

    Latency: ``rst`` falls at least 15 us after the PLL has locked, or 100 us after the start of an oscillator
    on the chip, and at most twice as long: a power of two cycles at the board's fastest clock.
    """

    def __init__(self, *, board: Board, hz: int) -> None:
        self._board = board
        self._parameters = cell_parameters(board, hz)[PLL_CELL]
        super().__init__({"clk": Out(1), "rst": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        lock = Signal(init=1)
        m.submodules.pll = self._source(m, platform, lock)
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

    def _source(self, m: Module, platform: Any, lock: Signal) -> Instance:
        """Return the cell that makes the clock."""
        parameters = _instance_parameters(self._parameters)
        source = self._board.clock_source
        if source is ClockSource.ICE40_OSCILLATOR:
            m.d.comb += lock.eq(1)
            return Instance(
                "SB_HFOSC", **parameters, i_CLKHFEN=Const(1), i_CLKHFPU=Const(1), o_CLKHF=self.clk
            )
        pin = platform.request(self._board.clock_resource, dir="-")
        if source is ClockSource.ICE40_PAD:
            # This variant takes the pin by itself: a buffer of its own on that pin would not place.
            return Instance(
                "SB_PLL40_PAD",
                p_FEEDBACK_PATH="SIMPLE",
                **parameters,
                io_PACKAGEPIN=pin.io,
                i_RESETB=Const(1),
                i_BYPASS=Const(0),
                o_PLLOUTGLOBAL=self.clk,
                o_LOCK=lock,
            )
        m.submodules.pin_buffer = buffer = io.Buffer("i", pin)
        if source is ClockSource.ICE40_CORE:
            return Instance(
                "SB_PLL40_CORE",
                p_FEEDBACK_PATH="SIMPLE",
                **parameters,
                i_REFERENCECLK=buffer.i,
                i_RESETB=Const(1),
                i_BYPASS=Const(0),
                o_PLLOUTGLOBAL=self.clk,
                o_LOCK=lock,
            )
        if source is ClockSource.GOWIN_PLL:
            return self._gowin_pll(parameters, buffer.i, lock)
        feedback = Signal()
        return Instance(
            "EHXPLLL",
            # Loop filter as Lattice's own tool sets it.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOS_ENABLE="ENABLED",
            p_FEEDBK_PATH="CLKOP",
            **parameters,
            i_CLKI=buffer.i,
            i_CLKFB=feedback,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_ENCLKOS=Const(0),
            o_CLKOP=feedback,
            o_CLKOS=self.clk,
            o_LOCK=lock,
        )

    def _gowin_pll(self, parameters: dict[str, Any], clock: Signal, lock: Signal) -> Instance:
        return Instance(
            "rPLL",
            p_FCLKIN=f"{self._board.oscillator_hz / 1e6:g}",
            p_DEVICE="GW1NR-9C",
            p_CLKFB_SEL="internal",
            **parameters,
            i_CLKIN=clock,
            i_CLKFB=Const(0),
            i_RESET=Const(0),
            i_RESET_P=Const(0),
            i_FBDSEL=Const(0, 6),
            i_IDSEL=Const(0, 6),
            i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4),
            o_CLKOUT=self.clk,
            o_LOCK=lock,
        )
