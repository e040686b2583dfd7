"""The clocks that a board's clock source makes, exactly, within the limits of the data sheets."""

from fractions import Fraction

from qornn_hw.boards.clock_source import PIN, ClockSource, PllSettings, within
from qornn_hw.errors import BoardError

__all__ = ["clock_hz", "fastest_settings", "sign_off_hz", "solve_pll"]


def solve_pll(source: ClockSource, input_hz: int, output_hz: int) -> PllSettings:
    """Return settings that make ``output_hz``, exact to the hertz; the least jitter first.

    Args:
        source: what makes the clock.
        input_hz: frequency of its input.
        output_hz: wanted frequency.

    >>> from qornn_hw.boards.registry import find_board
    >>> solve_pll(find_board("ulx3s-25f").clock_source, 25_000_000, 90_000_000).parameters["CLKOP_DIV"]
    18

    Raises:
        BoardError: the source cannot make the clock; says which is the nearest that it makes.
    """
    limits = source.output_limits(input_hz)
    if not within(output_hz, limits):
        lowest, highest = (f"{hz / 1e6:g}" for hz in limits)
        if source is PIN:
            raise BoardError(
                f"clock must be that of the board's oscillator without a PLL, {highest} MHz, not "
                f"{output_hz / 1e6:g} MHz"
            )
        raise BoardError(
            f"clock must be {lowest} to {highest} MHz to come from the board, not {output_hz / 1e6:g} MHz"
        )
    half = Fraction(1, 2)
    for settings in source.settings(input_hz, output_hz - half, output_hz + half):
        return settings
    # Twice as far on either side until there is one.
    reach = 1_000
    while True:
        low, high = (Fraction(min(max(output_hz + d, limits[0]), limits[1])) for d in (-reach, reach))
        near = [s.output_hz(input_hz) for s in source.settings(input_hz, low, high)]
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

    >>> from qornn_hw.boards.registry import find_board
    >>> fastest_settings(find_board("icebreaker").clock_source, 12_000_000, 49.1e6).output_hz(12_000_000)
    Fraction(48750000, 1)

    Raises:
        BoardError: the slowest clock is faster.
    """
    limits = source.output_limits(input_hz)
    high = min(Fraction(limit_hz), Fraction(limits[1]))
    low = high * Fraction(15, 16)
    while high >= limits[0]:
        found = source.settings(input_hz, max(low, Fraction(limits[0])), high)
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

    >>> from qornn_hw.boards.registry import find_board
    >>> sign_off_hz(find_board("upduino-internal").clock_source, 48_000_000)
    52800000.0
    """
    return float(hz * (1 + source.tolerance)) if source.tolerance else float(hz)
