"""What a build must know of a board."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from qornn_hw.estimate import Resources

__all__ = ["SURROUNDINGS", "Board"]


# Clock, UART, link and LEDs as measured on the UP5K (365 logic cells for link and UART with 28 words of 8
# bits in and 10 of 20 bits out, 40 for clock and LEDs), with a margin for wider words.
SURROUNDINGS = Resources(lut=440, ff=220, bram=1)


# Amaranth, which is untyped, defines the platform classes.
Platform: TypeAlias = Any


@dataclass(frozen=True)
class Board:
    """A board and its device.

    Attributes:
        name: what ``--board`` takes.
        description: one line for people.
        family: device family, as in the report.
        device: device name.
        package: package name.
        available: resources of the device.
        oscillator_hz: frequency of the clock input.
        clock_resource: name of the clock input in the platform.
        clock_mhz: core clock where the user asks for none.
        platform: makes the Amaranth platform; each one can be built once.
        programmer: the command that loads a bitstream, for the user's eyes.
    """

    name: str
    description: str
    family: str
    device: str
    package: str
    available: Resources
    oscillator_hz: int
    clock_resource: str
    clock_mhz: float
    platform: Callable[[], Platform]
    programmer: str

    @property
    def for_core(self) -> Resources:
        """What is left for the core beside clock, UART, link and LEDs."""
        return Resources(
            **{
                f.name: getattr(self.available, f.name) - getattr(SURROUNDINGS, f.name)
                for f in fields(Resources)
            }
        )
