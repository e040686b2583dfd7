"""What a build must know of a board."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Board", "Resources"]


@dataclass(frozen=True)
class Resources:
    """A number of each resource of a device.

    Attributes:
        lut: logic cells (on iCE40 ICESTORM_LC: a LUT, a carry and a flip-flop).
        ff: flip-flops.
        bram: block RAMs.
        spram: large single-port RAMs.
        dsp: multiplier blocks.
    """

    lut: int
    ff: int
    bram: int
    spram: int
    dsp: int


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
