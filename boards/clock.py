"""Clocks: the iCE40 PLL, the reset that its block RAM needs, and the UART's rate."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Out

from boards.board import Board
from qornn_hw.errors import BoardError
from rtl_gen.uart import CLOCKS_PER_BIT_MIN

__all__ = ["BAUD_RATES", "ClockGenerator", "PllSettings", "clock_hz", "solve_pll", "uart_baud"]

# Ref: iCE40 UltraPlus Family Data Sheet, Document Number FPGA-DS-02008, sysCLOCK PLL timing.
INPUT_HZ = (10_000_000, 133_000_000)
PHASE_DETECTOR_HZ = (10_000_000, 133_000_000)
OSCILLATOR_HZ = (533_000_000, 1_066_000_000)
OUTPUT_HZ = (16_000_000, 275_000_000)
# Ref: iCE40 sysCLOCK PLL Design and Usage Guide, Document Number FPGA-TN-02052. DIVF is 7 bits wide and all
# of them work in SIMPLE mode.
DIVR = range(16)
DIVF = range(128)
DIVQ = range(1, 7)
# Phase detector below this many hertz: this loop filter setting.
FILTER_RANGES = ((17_000_000, 1), (26_000_000, 2), (44_000_000, 3), (66_000_000, 4), (101_000_000, 5))

# Block RAM of an iCE40 reads as zero for about 3 us after configuration (YosysHQ/icestorm issue 76); five
# times that, as Amaranth's own reset has, which a design with its own clock domain does not get.
RESET_SECONDS = Fraction(15, 1_000_000)

# Rates that the board's FT2232H makes exactly (12 MHz or 3 MHz over an integer or eighths).
BAUD_RATES = (3_000_000, 2_000_000, 1_500_000, 1_000_000, 500_000, 250_000)


@dataclass(frozen=True)
class PllSettings:
    """Parameters of an SB_PLL40 cell in SIMPLE feedback mode."""

    divr: int
    divf: int
    divq: int
    filter_range: int

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return Fraction(input_hz * (self.divf + 1), (self.divr + 1) << self.divq)


def solve_pll(input_hz: int, output_hz: int) -> PllSettings:
    """Return settings that make exactly ``output_hz``; the least jitter first: the fastest phase detector.

    >>> solve_pll(12_000_000, 36_000_000)
    PllSettings(divr=0, divf=47, divq=4, filter_range=1)
    """
    if not INPUT_HZ[0] <= input_hz <= INPUT_HZ[1]:
        raise BoardError(f"the PLL's input must be 10 to 133 MHz, not {input_hz / 1e6:g} MHz")
    if not OUTPUT_HZ[0] <= output_hz <= OUTPUT_HZ[1]:
        raise BoardError(f"clock must be 16 to 275 MHz to come from the PLL, not {output_hz / 1e6:g} MHz")
    nearest: Fraction | None = None
    for divr in DIVR:
        detector = Fraction(input_hz, divr + 1)
        if not PHASE_DETECTOR_HZ[0] <= detector <= PHASE_DETECTOR_HZ[1]:
            continue
        for divq in DIVQ:
            divf = round(output_hz / detector * (1 << divq)) - 1
            if divf not in DIVF or not OSCILLATOR_HZ[0] <= detector * (divf + 1) <= OSCILLATOR_HZ[1]:
                continue
            filter_range = next((r for limit, r in FILTER_RANGES if detector < limit), 6)
            settings = PllSettings(divr, divf, divq, filter_range)
            made = settings.output_hz(input_hz)
            if made == output_hz:
                return settings
            if nearest is None or abs(made - output_hz) < abs(nearest - output_hz):
                nearest = made
    hint = "" if nearest is None else f"; the nearest is {float(nearest) / 1e6:g} MHz"
    raise BoardError(
        f"clock must be one that the PLL makes exactly from {input_hz / 1e6:g} MHz, "
        f"not {output_hz / 1e6:g} MHz{hint}"
    )


def clock_hz(clock_mhz: float) -> int:
    """Return a clock given in MHz in whole hertz.

    >>> clock_hz(37.5)
    37500000
    """
    if not 0 < clock_mhz < 1e6:
        raise BoardError(f"clock must be a positive number of MHz, not {clock_mhz!r}")
    return round(clock_mhz * 1e6)


def uart_baud(clock: int) -> int:
    """Return the fastest rate that divides a clock of ``clock`` Hz into at least 8 cycles a bit.

    >>> [uart_baud(f * 1_000_000) for f in (20, 24, 36, 48)]
    [2000000, 3000000, 3000000, 3000000]
    """
    for baud in BAUD_RATES:
        if clock % baud == 0 and clock // baud >= CLOCKS_PER_BIT_MIN:
            return baud
    raise BoardError(
        f"clock must be a whole multiple, at least {CLOCKS_PER_BIT_MIN}-fold, of a UART rate "
        f"({', '.join(f'{b / 1e6:g}' for b in BAUD_RATES)} Mbaud), not {clock / 1e6:g} MHz"
    )


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

    Latency: ``rst`` falls 15 us after the PLL has locked.
    """

    def __init__(self, *, board: Board, hz: int) -> None:
        self._board = board
        self._hz = hz
        self._settings = solve_pll(board.oscillator_hz, hz)
        super().__init__({"clk": Out(1), "rst": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        pin = platform.request(self._board.clock_resource, dir="-")
        lock = Signal()
        # The PAD variant takes the pin by itself: a buffer of its own on that pin would not place.
        m.submodules.pll = Instance(
            "SB_PLL40_PAD",
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=Const(self._settings.divr, 4),
            p_DIVF=Const(self._settings.divf, 7),
            p_DIVQ=Const(self._settings.divq, 3),
            p_FILTER_RANGE=Const(self._settings.filter_range, 3),
            io_PACKAGEPIN=pin.io,
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=self.clk,
            o_LOCK=lock,
        )
        m.domains.por = ClockDomain("por", reset_less=True, local=True)
        m.d.comb += ClockSignal("por").eq(self.clk)

        locked = Signal()
        m.submodules.lock_sync = FFSynchronizer(lock, locked, o_domain="por")
        cycles = int(RESET_SECONDS * self._hz) + 1
        timer = Signal(range(cycles + 1))
        running = Signal()
        with m.If(~locked):
            m.d.por += [timer.eq(0), running.eq(0)]
        with m.Elif(timer == cycles):
            m.d.por += running.eq(1)
        with m.Else():
            m.d.por += timer.eq(timer + 1)
        m.d.comb += self.rst.eq(~running)
        return m
