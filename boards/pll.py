"""Settings of the PLLs: which frequencies they make, exactly, within the limits of the data sheets."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from boards.board import ClockSource
from qornn_hw.errors import BoardError

__all__ = [
    "Ecp5Pll",
    "GowinPll",
    "Ice40Oscillator",
    "Ice40Pll",
    "PllSettings",
    "clock_hz",
    "fastest_settings",
    "sign_off_hz",
    "solve_pll",
]


class PllSettings(Protocol):
    """What makes a clock of another."""

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""

    @property
    def parameters(self) -> dict[str, tuple[int, int] | int | str]:
        """Parameters of the cell that depend on the frequency: (value, bits), a number, or a string."""


@dataclass(frozen=True)
class _Limits:
    """Limits of a PLL in Hz, each (lowest, highest).

    Attributes:
        input: clock input.
        detector: phase detector.
        oscillator: the PLL's oscillator.
        output: clock output.
    """

    input: tuple[int, int]
    detector: tuple[int, int]
    oscillator: tuple[int, int]
    output: tuple[int, int]


# Ref: iCE40 UltraPlus Family Data Sheet, Document Number FPGA-DS-02008, and iCE40 LP/HX Family Data Sheet,
# FPGA-DS-02029, both under sysCLOCK PLL timing.
ICE40_LIMITS = _Limits(
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

# Ref: ECP5 and ECP5-5G Family Data Sheet, Document Number FPGA-DS-02012, sysCLOCK PLL timing.
ECP5_LIMITS = _Limits(
    input=(8_000_000, 400_000_000),
    detector=(10_000_000, 400_000_000),
    oscillator=(400_000_000, 800_000_000),
    output=(3_125_000, 400_000_000),
)
# Ref: ECP5 and ECP5-5G sysCLOCK PLL/DLL Design and Usage Guide, Document Number FPGA-TN-02200: input,
# feedback and output dividers.
CLKI_DIV = range(1, 129)
CLKFB_DIV = range(1, 81)
CLKOP_DIV = range(1, 129)
CLKOS_DIV = range(1, 129)

# Ref: GW1NR Series of FPGA Products Data Sheet, Document Number DS117, PLL parameters of a GW1NR-9 of speed
# grade C6/I5. Its phase detector bounds the input.
GOWIN_LIMITS = _Limits(
    input=(3_000_000, 400_000_000),
    detector=(3_000_000, 400_000_000),
    oscillator=(400_000_000, 1_200_000_000),
    output=(3_125_000, 600_000_000),
)
# Ref: Gowin Clock User Guide, Document Number UG286, rPLL: input and feedback divider are one more than
# IDIV_SEL and FBDIV_SEL; the clock is the oscillator over ODIV_SEL, and goes back to the detector.
IDIV = range(1, 65)
FBDIV = range(1, 65)
ODIV_SEL = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)

# Ref: FPGA-DS-02008: SB_HFOSC makes 48 MHz +-10 % from 0 to 70 degrees; its divider follows.
HFOSC_HZ = 48_000_000
HFOSC_TOLERANCE = Fraction(1, 10)


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
    def parameters(self) -> dict[str, tuple[int, int] | int | str]:
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
    def parameters(self) -> dict[str, tuple[int, int] | int | str]:
        """Parameters of the cell that depend on the frequency."""
        return {"CLKHF_DIV": f"0b{self.divider:02b}"}


@dataclass(frozen=True)
class Ecp5Pll:
    """Parameters of an EHXPLLL cell: CLKOP closes the loop, CLKOS is the clock.

    The oscillator runs at ``input / clki_div * clkfb_div * clkop_div``, and CLKOS divides it on its own: far
    more frequencies than CLKOP makes.
    """

    clki_div: int
    clkfb_div: int
    clkop_div: int
    clkos_div: int

    def oscillator_hz(self, input_hz: int) -> Fraction:
        """Return the frequency of the PLL's oscillator."""
        return Fraction(input_hz * self.clkfb_div * self.clkop_div, self.clki_div)

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return self.oscillator_hz(input_hz) / self.clkos_div

    @property
    def parameters(self) -> dict[str, tuple[int, int] | int | str]:
        """Parameters of the cell that depend on the frequency; phases in the middle, as Lattice sets them."""
        return {
            "CLKI_DIV": self.clki_div,
            "CLKFB_DIV": self.clkfb_div,
            "CLKOP_DIV": self.clkop_div,
            "CLKOP_CPHASE": self.clkop_div // 2,
            "CLKOS_DIV": self.clkos_div,
            "CLKOS_CPHASE": self.clkos_div // 2,
        }


@dataclass(frozen=True)
class GowinPll:
    """Parameters of an rPLL cell: ``input / idiv * fbdiv``, of an oscillator ``odiv`` times as fast."""

    idiv: int
    fbdiv: int
    odiv: int

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return Fraction(input_hz * self.fbdiv, self.idiv)

    @property
    def parameters(self) -> dict[str, tuple[int, int] | int | str]:
        """Parameters of the cell that depend on the frequency."""
        return {"IDIV_SEL": self.idiv - 1, "FBDIV_SEL": self.fbdiv - 1, "ODIV_SEL": self.odiv}


def _within(hz: Fraction | int, limits: tuple[int, int]) -> bool:
    return limits[0] <= hz <= limits[1]


def _ice40_settings(input_hz: int, low: Fraction, high: Fraction) -> Iterator[Ice40Pll]:
    """Yield the settings for outputs from ``low`` to ``high``.

    The fastest phase detector, which makes the least jitter, comes first.
    """
    limits = ICE40_LIMITS
    for divr in DIVR:
        detector = Fraction(input_hz, divr + 1)
        if not _within(detector, limits.detector):
            continue
        filter_range = next((r for limit, r in FILTER_RANGES if detector < limit), 6)
        for divq in DIVQ:
            step = detector / (1 << divq)
            for divf in range(max(DIVF.start, -(-low // step) - 1), min(DIVF.stop, high // step)):
                if _within(detector * (divf + 1), limits.oscillator):
                    yield Ice40Pll(divr, divf, divq, filter_range)


def _ecp5_settings(input_hz: int, low: Fraction, high: Fraction) -> Iterator[Ecp5Pll]:
    """Yield the settings for outputs from ``low`` to ``high``; the fastest phase detector first."""
    limits = ECP5_LIMITS
    for clki_div in CLKI_DIV:
        detector = Fraction(input_hz, clki_div)
        if not _within(detector, limits.detector):
            continue
        lowest, highest = (-(-limits.oscillator[0] // detector), limits.oscillator[1] // detector)
        for multiple in range(lowest, highest + 1):
            factors = _feedback(multiple, detector)
            if factors is None:
                continue
            oscillator = detector * multiple
            for clkos_div in range(
                max(CLKOS_DIV.start, -(-oscillator // high)), min(CLKOS_DIV.stop, oscillator // low + 1)
            ):
                yield Ecp5Pll(clki_div, *factors, clkos_div)


def _feedback(multiple: int, detector: Fraction) -> tuple[int, int] | None:
    """Split the oscillator's multiple of the phase detector into CLKFB_DIV and CLKOP_DIV."""
    for clkfb_div in CLKFB_DIV:
        clkop_div, rest = divmod(multiple, clkfb_div)
        if rest == 0 and clkop_div in CLKOP_DIV and _within(detector * clkfb_div, ECP5_LIMITS.output):
            return clkfb_div, clkop_div
    return None


def _gowin_settings(input_hz: int, low: Fraction, high: Fraction) -> Iterator[GowinPll]:
    """Yield the settings for outputs from ``low`` to ``high``; the fastest phase detector first."""
    limits = GOWIN_LIMITS
    for idiv in IDIV:
        detector = Fraction(input_hz, idiv)
        if not _within(detector, limits.detector):
            continue
        for fbdiv in range(max(FBDIV.start, -(-low // detector)), min(FBDIV.stop, high // detector + 1)):
            for odiv in ODIV_SEL:
                if _within(detector * fbdiv * odiv, limits.oscillator):
                    yield GowinPll(idiv, fbdiv, odiv)


def _oscillator_settings(input_hz: int, low: Fraction, high: Fraction) -> Iterator[Ice40Oscillator]:
    for divider in range(4):
        if low <= Fraction(input_hz, 1 << divider) <= high:
            yield Ice40Oscillator(divider)


def _settings(source: ClockSource, input_hz: int, low: Fraction, high: Fraction) -> Iterator[PllSettings]:
    """Yield the settings for outputs from ``low`` to ``high`` Hz, the best of each output first."""
    if source is ClockSource.ICE40_OSCILLATOR:
        return _oscillator_settings(input_hz, low, high)
    if source is ClockSource.ECP5_PLL:
        return _ecp5_settings(input_hz, low, high)
    if source is ClockSource.GOWIN_PLL:
        return _gowin_settings(input_hz, low, high)
    return _ice40_settings(input_hz, low, high)


_LIMITS = {ClockSource.ECP5_PLL: ECP5_LIMITS, ClockSource.GOWIN_PLL: GOWIN_LIMITS}


def _output_limits(source: ClockSource, input_hz: int) -> tuple[int, int]:
    """Return the lowest and the highest output of a clock source, whose input must be within its limits."""
    if source is ClockSource.ICE40_OSCILLATOR:
        return input_hz >> 3, input_hz
    limits = _LIMITS.get(source, ICE40_LIMITS)
    if not _within(input_hz, limits.input):
        low, high = (f"{hz / 1e6:g}" for hz in limits.input)
        raise BoardError(f"the PLL's input must be {low} to {high} MHz, not {input_hz / 1e6:g} MHz")
    return limits.output


def solve_pll(source: ClockSource, input_hz: int, output_hz: int) -> PllSettings:
    """Return settings that make ``output_hz``, exact to the hertz; the least jitter first.

    >>> solve_pll(ClockSource.ICE40_PAD, 12_000_000, 36_000_000)
    Ice40Pll(divr=0, divf=47, divq=4, filter_range=1)
    >>> solve_pll(ClockSource.ECP5_PLL, 25_000_000, 90_000_000)
    Ecp5Pll(clki_div=1, clkfb_div=1, clkop_div=18, clkos_div=5)
    """
    limits = _output_limits(source, input_hz)
    if not _within(output_hz, limits):
        lowest, highest = (f"{hz / 1e6:g}" for hz in limits)
        raise BoardError(
            f"clock must be {lowest} to {highest} MHz to come from the board, not {output_hz / 1e6:g} MHz"
        )
    half = Fraction(1, 2)
    for settings in _settings(source, input_hz, output_hz - half, output_hz + half):
        return settings
    # Twice as far on either side until there is one.
    reach = 1_000
    while True:
        low, high = (Fraction(min(max(output_hz + d, limits[0]), limits[1])) for d in (-reach, reach))
        near = [s.output_hz(input_hz) for s in _settings(source, input_hz, low, high)]
        if near:
            nearest = min(near, key=lambda hz: abs(hz - output_hz))
            break
        reach *= 2
    raise BoardError(
        f"clock must be one that the board makes exactly from {input_hz / 1e6:g} MHz, "
        f"not {output_hz / 1e6:g} MHz; the nearest is {round(nearest) / 1e6:.9g} MHz"
    )


def fastest_settings(source: ClockSource, input_hz: int, limit_hz: float) -> PllSettings:
    """Return the settings of the fastest clock of at most ``limit_hz``.

    >>> fastest_settings(ClockSource.ICE40_PAD, 12_000_000, 49.1e6).output_hz(12_000_000)
    Fraction(48750000, 1)
    """
    limits = _output_limits(source, input_hz)
    high = min(Fraction(limit_hz), Fraction(limits[1]))
    low = high * Fraction(15, 16)
    while high >= limits[0]:
        found = _settings(source, input_hz, max(low, Fraction(limits[0])), high)
        # The first of those that are equally fast has the least jitter: max() keeps it.
        best = max(found, key=lambda s: s.output_hz(input_hz), default=None)
        if best is not None:
            return best
        low = low / 2
        if low < limits[0] / 4:
            break
    raise BoardError(
        f"the board's slowest clock is {limits[0] / 1e6:g} MHz, beyond the {limit_hz / 1e6:.2f} MHz that the "
        "design reaches"
    )


def clock_hz(clock_mhz: float) -> int:
    """Return a clock given in MHz in whole hertz.

    >>> clock_hz(37.5)
    37500000
    """
    if not 0 < clock_mhz < 1e6:
        raise BoardError(f"clock must be a number of MHz above 0 and below a million, not {clock_mhz!r}")
    return round(clock_mhz * 1e6)


def sign_off_hz(source: ClockSource, hz: int) -> float:
    """Return what a placed design must reach for a nominal clock: more for one that is not exact.

    >>> sign_off_hz(ClockSource.ICE40_OSCILLATOR, 48_000_000)
    52800000.0
    """
    return float(hz * (1 + HFOSC_TOLERANCE)) if source is ClockSource.ICE40_OSCILLATOR else float(hz)
