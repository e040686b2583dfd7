"""What a build must know of a board."""

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, TypeAlias

from qornn_hw.boards.clock_source import PIN, ClockSource
from qornn_hw.boards.device_family import DeviceFamily
from qornn_hw.compiler.family import Resources
from qornn_hw.errors import BoardError
from qornn_hw.link.physical import PhysicalLink
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK, find_link

__all__ = ["BAUD_RATES", "PIN", "Board", "ClockSource"]


# Rates that an FTDI bridge makes exactly (3 MHz over an integer and eighths), the fastest first.
BAUD_RATES = (3_000_000, 2_000_000, 1_500_000, 1_000_000, 500_000, 250_000)

# Amaranth, which is untyped, defines the platform classes.
Platform: TypeAlias = Any


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
        clock_source: what makes the core clock: one of ``family.clock_sources``, or :data:`PIN`.
        oscillator_hz: frequency of the clock input.
        clock_resource: name of the clock input in the platform, "" for an oscillator on the chip.
        fastest_mhz: no clock beyond it is tried; somewhat above what the device's logic can do.
        platform: makes the Amaranth platform; each one can be built once.
        link_resources: (name, number) in the platform of each physical link of the board, by the link's name;
            a resource has the pins of the link (:attr:`qornn_hw.link.physical.PhysicalLink.pins`) alone.
            :data:`DEFAULT_LINK` is always there: (its name, 0) where it is not given.
        link_name: the link that is used (:meth:`over`).
        leds: (name, number) of up to two LEDs in the platform: state, and fault. One LED shows both.
        baud_rates: rates that the board's USB bridge can do, the fastest first.
        link: the way from the host to the default link, in words.
        programmer: the command that loads a bitstream, whose name follows.
        other_programmers: commands that can be taken instead.
        usb: (vendor, product) of the USB bridges that the board's default link may have; none where the link
            is an adapter of the user's own.
        usb_interface: the bridge's interface that is the link, counted from 0; None where it has but one.
        high_pins: (name, number) of outputs of the platform that are held at their active level.
        flash: (name, number) of the serial flash in the platform, of single data lines, if a design may read
            it beside its link.
        flash_address: where in it the image of the weights lies, behind every bitstream.
        flash_option: of its programmers, for an address in bytes.
        uart: former name of the default link's entry in ``link_resources``; accepted, not kept.
    """

    name: str
    description: str
    family: DeviceFamily
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
    link_resources: Mapping[str, tuple[str, int]] = field(default_factory=dict, hash=False)
    link_name: str = DEFAULT_LINK.name
    baud_rates: tuple[int, ...] = BAUD_RATES
    other_programmers: tuple[str, ...] = ()
    usb: tuple[tuple[int, int], ...] = ()
    usb_interface: int | None = None
    high_pins: tuple[tuple[str, int], ...] = ()
    flash: tuple[str, int] | None = None
    flash_address: int = 1 << 20
    flash_option: str = "-o"
    uart: InitVar[tuple[str, int] | None] = None

    def __post_init__(self, uart: tuple[str, int] | None) -> None:
        default = {DEFAULT_LINK.name: (DEFAULT_LINK.name, 0)}
        given = {} if uart is None else {DEFAULT_LINK.name: uart}
        object.__setattr__(self, "link_resources", default | dict(self.link_resources) | given)

    def on_oscillator(self) -> "Board":
        """Return the board with its oscillator as the core clock: no PLL, which takes power of its own.

        An oscillator on the chip is used without a PLL anyway.
        """
        return replace(self, clock_source=PIN) if self.clock_source.has_pin else self

    def over(self, link_name: str) -> "Board":
        """Return the board with another of its physical links.

        Raises:
            FormatError: there is no such link.
            BoardError: the board does not have it.
        """
        find_link(link_name)
        if link_name not in self.link_resources:
            raise BoardError(
                f"link must be {' or '.join(self.link_resources)} on {self.name}, not {link_name}; define a "
                "board that has its pins in link_resources"
            )
        return self if link_name == self.link_name else replace(self, link_name=link_name)

    @property
    def physical_link(self) -> PhysicalLink:
        """The link that is used."""
        return find_link(self.link_name)

    @property
    def link_resource(self) -> tuple[str, int]:
        """(name, number) of it in the platform."""
        return self.link_resources[self.link_name]

    def link_rate(self, hz: int) -> int:
        """Return the fastest rate of the link in bits a second at a core clock.

        Raises:
            BoardError: the clock is too slow for the link.
        """
        return self.physical_link.rate(self.baud_rates, hz)

    @property
    def full_link_rate(self) -> int:
        """The rate of the link at the fastest clock of the board."""
        return self.link_rate(round(self.fastest_mhz * 1e6))

    @property
    def planned_mhz(self) -> float:
        """The clock that is counted on before a build.

        A third of the fastest clock of the device: each design that was built so far is faster
        (docs/boards.md).
        """
        return self.fastest_mhz / 3

    @property
    def surroundings(self) -> Resources:
        """What clock, link and LEDs take."""
        return self.family.cost.surroundings

    @property
    def for_core(self) -> Resources:
        """What is left for the core beside them.

        Where there are fewer flip-flops than logic cells, no more cells than those: nearly each cell of a
        core has its flip-flop or is an adder's, which have their places in common.
        """
        there = replace(self.available, lut=min(self.available.lut, self.available.ff))
        return there - self.surroundings
