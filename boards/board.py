"""What a build must know of a board."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias

from qornn_hw.device import Family, Resources

__all__ = ["BAUD_RATES", "SURROUNDINGS", "Board", "ClockSource"]


# Clock, UART, link and LEDs, by the tools' family. The part of the link that grows with the words is in the
# core's estimate (:mod:`qornn_hw.estimate`).
SURROUNDINGS = {
    "ice40": Resources(lut=500, ff=375, bram=2),
    "ecp5": Resources(lut=500, ff=375, bram=2),
    "gowin": Resources(lut=720, ff=375, bram=2),
}

# Rates that an FTDI bridge makes exactly (3 MHz over an integer and eighths), the fastest first.
BAUD_RATES = (3_000_000, 2_000_000, 1_500_000, 1_000_000, 500_000, 250_000)

# Amaranth, which is untyped, defines the platform classes.
Platform: TypeAlias = Any


class ClockSource(Enum):
    """Where a board's clock comes from."""

    ICE40_PAD = "SB_PLL40_PAD, fed by the PLL's own pin"
    ICE40_CORE = "SB_PLL40_CORE, fed by any pin"
    ICE40_OSCILLATOR = "SB_HFOSC, the oscillator on the chip, 48 MHz +-10 %"
    ECP5_PLL = "EHXPLLL"
    GOWIN_PLL = "rPLL"


@dataclass(frozen=True)
class Board:
    """A board and its device.

    Attributes:
        name: what ``--board`` takes.
        description: one line for people.
        family: device family.
        device: device name.
        package: package name.
        available: resources of the device.
        clock_source: what makes the core clock.
        oscillator_hz: frequency of the clock input.
        clock_resource: name of the clock input in the platform, "" for an oscillator on the chip.
        fastest_mhz: no clock beyond it is tried; somewhat above what the device's logic can do.
        platform: makes the Amaranth platform; each one can be built once.
        uart: (name, number) of the UART in the platform, of ``rx`` and ``tx`` alone.
        leds: (name, number) of up to two LEDs in the platform: state, and fault. One LED shows both.
        baud_rates: rates that the board's USB bridge can do, the fastest first.
        link: the way to the UART, in words.
        programmer: the command that loads a bitstream, whose name follows.
        other_programmers: commands that can be taken instead.
        usb: (vendor, product) of the USB bridges that the board's UART may have; none where the link is an
            adapter of the user's own.
        usb_interface: the bridge's interface that is the UART, counted from 0; None where it has but one.
        high_pins: (name, number) of outputs of the platform that are held at their active level.
        flash: (name, number) of the serial flash in the platform, of single data lines, if a design may read
            it beside its UART.
        flash_address: where in it the image of the weights lies, behind every bitstream.
        flash_option: of its programmers, for an address in bytes.
    """

    name: str
    description: str
    family: Family
    device: str
    package: str
    available: Resources
    clock_source: ClockSource
    oscillator_hz: int
    clock_resource: str
    fastest_mhz: float
    platform: Callable[[], Platform]
    leds: tuple[tuple[str, int], ...]
    link: str
    programmer: str
    uart: tuple[str, int] = ("uart", 0)
    baud_rates: tuple[int, ...] = BAUD_RATES
    other_programmers: tuple[str, ...] = ()
    usb: tuple[tuple[int, int], ...] = ()
    usb_interface: int | None = None
    high_pins: tuple[tuple[str, int], ...] = ()
    flash: tuple[str, int] | None = None
    flash_address: int = 1 << 20
    flash_option: str = "-o"

    @property
    def planned_mhz(self) -> float:
        """A clock to plan with; the slowest of the designs in docs/benchmarks.md has that of an iCE40UP5K."""
        return self.fastest_mhz / 3

    @property
    def surroundings(self) -> Resources:
        """What clock, UART, link and LEDs take."""
        return SURROUNDINGS[self.family.name]

    @property
    def for_core(self) -> Resources:
        """What is left for the core beside them.

        Where there are fewer flip-flops than logic cells, no more cells than those: nearly each cell of a
        core has its flip-flop or is an adder's, which have their places in common.
        """
        there = replace(self.available, lut=min(self.available.lut, self.available.ff))
        return there - self.surroundings
