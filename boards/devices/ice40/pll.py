"""The PLLs and the oscillator of the iCE40."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Const, Instance, Module

from qornn_hw.boards.clock_source import (
    ClockNets,
    ClockSource,
    Parameter,
    PllLimits,
    PllSource,
    buffered,
    instance_parameters,
    within,
)

__all__ = [
    "ICE40_CORE",
    "ICE40_LIMITS",
    "ICE40_OSCILLATOR",
    "ICE40_PAD",
    "Ice40Oscillator",
    "Ice40Pll",
]

# Ref: iCE40 UltraPlus Family Data Sheet, Document Number FPGA-DS-02008, and iCE40 LP/HX Family Data Sheet,
# FPGA-DS-02029, both under sysCLOCK PLL timing.
ICE40_LIMITS = PllLimits(
    input=(10_000_000, 133_000_000),
    detector=(10_000_000, 133_000_000),
    oscillator=(533_000_000, 1_066_000_000),
    output=(16_000_000, 275_000_000),
)
# Ref: iCE40 sysCLOCK PLL Design and Usage Guide, Document Number FPGA-TN-02052. DIVF is 7 bits wide and all
# of them work in SIMPLE mode.
DIVR = range(16)
DIVF = range(128)
DIVQ = range(1, 7)
# Phase detector below this many hertz: this loop filter setting.
FILTER_RANGES = ((17_000_000, 1), (26_000_000, 2), (44_000_000, 3), (66_000_000, 4), (101_000_000, 5))

# Block RAM reads as zero for about 3 us after configuration (YosysHQ/icestorm issue 76), which the reset of
# every clock source outlasts.
# Ref: FPGA-DS-02008: SB_HFOSC makes 48 MHz +-10 % from 0 to 70 degrees; its divider follows. It takes up to
# 100 us to settle.
HFOSC_TOLERANCE = Fraction(1, 10)
HFOSC_RESET_SECONDS = Fraction(100, 1_000_000)


@dataclass(frozen=True)
class Ice40Pll:
    """Parameters of an SB_PLL40 cell in SIMPLE feedback mode."""

    divr: int
    divf: int
    divq: int
    filter_range: int

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return Fraction(input_hz * (self.divf + 1), (self.divr + 1) << self.divq)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the cell that depend on the frequency."""
        return {
            "DIVR": (self.divr, 4),
            "DIVF": (self.divf, 7),
            "DIVQ": (self.divq, 3),
            "FILTER_RANGE": (self.filter_range, 3),
        }


@dataclass(frozen=True)
class Ice40Oscillator:
    """The setting of an SB_HFOSC cell: 48 MHz over ``2 ** divider``."""

    divider: int

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the nominal output frequency."""
        return Fraction(input_hz, 1 << self.divider)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the cell that depend on the frequency."""
        return {"CLKHF_DIV": f"0b{self.divider:02b}"}


@dataclass(frozen=True)
class _Pll(PllSource):
    """An SB_PLL40 cell.

    Attributes:
        cell: its name.
        input: name of its input.
    """

    cell: str = ""
    input: str = ""

    def settings(self, input_hz: int, low: Fraction, high: Fraction) -> Iterator[Ice40Pll]:
        """Yield the settings for outputs from ``low`` to ``high``.

        The fastest phase detector, which makes the least jitter, comes first.
        """
        for divr in DIVR:
            detector = Fraction(input_hz, divr + 1)
            if not within(detector, self.limits.detector):
                continue
            filter_range = next((r for limit, r in FILTER_RANGES if detector < limit), 6)
            for divq in DIVQ:
                step = detector / (1 << divq)
                for divf in range(max(DIVF.start, -(-low // step) - 1), min(DIVF.stop, high // step)):
                    if within(detector * (divf + 1), self.limits.oscillator):
                        yield Ice40Pll(divr, divf, divq, filter_range)

    def connect(self, m: Module, nets: ClockNets, parameters: Mapping[str, Parameter]) -> Instance:
        """Return the PLL. The PAD variant has its pin itself: a buffer on that pin would not be placed."""
        source = (
            {f"io_{self.input}": nets.pin.io}
            if self.input == "PACKAGEPIN"
            else {f"i_{self.input}": buffered(m, nets.pin)}
        )
        return Instance(
            self.cell,
            p_FEEDBACK_PATH="SIMPLE",
            **instance_parameters(parameters),
            **source,
            i_RESETB=Const(1),
            i_BYPASS=Const(0),
            o_PLLOUTGLOBAL=nets.clk,
            o_LOCK=nets.lock,
        )


class _Oscillator(ClockSource):
    """SB_HFOSC."""

    def output_limits(self, input_hz: int) -> tuple[int, int]:
        """Return an eighth of the oscillator's frequency, and the frequency."""
        return input_hz >> 3, input_hz

    def settings(self, input_hz: int, low: Fraction, high: Fraction) -> Iterator[Ice40Oscillator]:
        """Yield the dividers for outputs from ``low`` to ``high``."""
        for divider in range(4):
            if low <= Fraction(input_hz, 1 << divider) <= high:
                yield Ice40Oscillator(divider)

    def connect(self, m: Module, nets: ClockNets, parameters: Mapping[str, Parameter]) -> Instance:
        """Return the oscillator."""
        m.d.comb += nets.lock.eq(1)
        return Instance(
            "SB_HFOSC",
            **instance_parameters(parameters),
            i_CLKHFEN=Const(1),
            i_CLKHFPU=Const(1),
            o_CLKHF=nets.clk,
        )


ICE40_PAD = _Pll(
    "SB_PLL40_PAD, fed by the PLL's own pin", limits=ICE40_LIMITS, cell="SB_PLL40_PAD", input="PACKAGEPIN"
)
ICE40_CORE = _Pll(
    "SB_PLL40_CORE, fed by any pin", limits=ICE40_LIMITS, cell="SB_PLL40_CORE", input="REFERENCECLK"
)
ICE40_OSCILLATOR = _Oscillator(
    "SB_HFOSC, the oscillator on the chip, 48 MHz +-10 %",
    has_pin=False,
    tolerance=HFOSC_TOLERANCE,
    reset_seconds=HFOSC_RESET_SECONDS,
)
