"""A physical link: how bytes travel between host and board.

One object a link has all that differs from link to link. Its board's end, the gateware, is in
``rtl_gen/links/<link>/``; its host's end, ports and simulated pins, is in ``qornn_hw/link/<link>/``;
``rtl_gen/links/registry.py`` lists the objects. To add a link is to add the two folders and a line there.

The frames (:mod:`qornn_hw.link.protocol`) are the same on every link.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "LineTiming",
    "LinkGateware",
    "LinkPin",
    "PhysicalLink",
    "PinDriver",
    "SimulatedPins",
    "Transport",
]


@dataclass(frozen=True)
class LinkPin:
    """A pin of a physical link.

    Attributes:
        name: of the gateware's signal, and of the pin in the board's resource.
        driven: the board drives the pin; otherwise the host does.
        idle: the gateware's signal while nothing is on its way.
        active_low: the pin has the inverted level of the gateware's signal.
        enable: name of the gateware's signal that enables the board's driver, "" where it is always enabled.
    """

    name: str
    driven: bool
    idle: int = 0
    active_low: bool = False
    enable: str = ""

    @property
    def idle_level(self) -> int:
        """The level at the pin while nothing is on its way."""
        return self.idle ^ self.active_low


@dataclass(frozen=True)
class LineTiming:
    """How long bytes take on a line.

    Attributes:
        bits_per_byte: bit times from one byte to the next, without a pause.
        received_early: bit times between the board's sampling of a byte's last bit and the end of the byte.
        start_bits: bit times by which the first byte of a reply may start later than the board has it.
        cycles: core clock cycles of receiver, frame layer and transmitter for a step that is answered, beside
            its words and the line.
    """

    bits_per_byte: int
    received_early: Fraction
    start_bits: int
    cycles: int


class Transport(Protocol):
    """The host's end of a link: bytes to and from a board."""

    @property
    def name(self) -> str:
        """The name that a user knows, such as that of the port."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def read(self, seconds: float) -> bytes:
        """Return the bytes that came; wait for the first one, but no longer than that."""

    def close(self) -> None:
        """Give it back."""


class SimulatedPins(Protocol):
    """The pins of a design in a simulator, by the names of a link's pins."""

    def set(self, pin: str, level: int) -> None:
        """Drive a pin."""

    def get(self, pin: str) -> int:
        """Return the level of a pin."""

    async def wait(self, picoseconds: int) -> None:
        """Let time pass."""

    async def fall(self, pin: str) -> None:
        """Wait until a pin falls."""


class PinDriver(Protocol):
    """The host's end of a link at the pins of a simulated design.

    Attributes:
        bad_bytes: bytes from the board that were damaged, which a board that works never sends.
    """

    bad_bytes: int

    def __init__(self, pins: SimulatedPins, bit_ps: int, receive: Callable[[bytes], None]) -> None:
        """Take the pins, the picoseconds of a bit, and what is called with the bytes from the board."""

    async def send(self, data: bytes) -> None:
        """Send bytes; return when they are sent."""

    async def run(self) -> None:
        """Serve the pins for ever, in parallel to :meth:`send`."""


@dataclass(frozen=True)
class LinkGateware:
    """The board's end of a link, whose objects are Amaranth's.

    Attributes:
        components: by the names of the submodules; all are reset at the start of the board.
        from_host: stream of bytes from the host (:mod:`qornn_hw.rtl_gen.links.byte_streams`).
        to_host: stream of bytes to the host.
        connections: statements that connect the components with the pins, combinationally.
    """

    components: Mapping[str, Any]
    from_host: Any
    to_host: Any
    connections: Sequence[Any]


class PhysicalLink(Protocol):
    """A physical link: its facts, its gateware, and the host's end of it.

    Attributes:
        name: as in reports and in a board's ``link_resources``.
        title: as in messages.
        pins: in the order in which a board's top requests them.
        line: time of a byte.
        clocks_per_bit_min: core clock cycles that a bit has at least.
        constant: name of the gateware's input that depends on the clock and the rate, "" where there is none.
            It is a constant that can be changed in a placed design (:mod:`qornn_hw.boards.clock`).
        port_example: a port of the host, for messages.
        pin_driver: ``module:class`` of the :class:`PinDriver`, for a bench inside a simulator.
        pin_driver_header: C++ of the same for a virtual board (``sim/virtual_board.cpp``).
    """

    name: str
    title: str
    pins: tuple[LinkPin, ...]
    line: LineTiming
    clocks_per_bit_min: int
    constant: str
    port_example: str
    pin_driver: str
    pin_driver_header: Path

    def rate(self, rates: Sequence[int], hz: int) -> int:
        """Return the fastest rate of a board in bits a second.

        Args:
            rates: that the board's bridge can do, the fastest first; a link whose host makes the clock
                ignores them.
            hz: core clock.

        Raises:
            BoardError: the core clock is too slow for all of them.
        """

    def full_rate_hz(self, rates: Sequence[int]) -> int:
        """Return the slowest core clock at which the link has its fastest rate; 0 where any does."""

    def constant_bits(self, rates: Sequence[int], fastest_hz: Fraction) -> int:
        """Return the bits of :attr:`constant` that serve each clock up to the fastest; 0 without one."""

    def constant_value(self, rates: Sequence[int], hz: int, bits: int) -> int:
        """Return the value of :attr:`constant`.

        Raises:
            BoardError: as for :meth:`rate`.
        """

    def constant_source(self, clocks_per_bit: Fraction | int) -> Any:
        """Return a component with the constant as its output, None where the link has none.

        Raises:
            ValueError: there is no such rate.
        """

    def gateware(self, *, constant: Any, pins: Any) -> LinkGateware:
        """Return new gateware.

        Args:
            constant: the signal of :attr:`constant`, None where the link has none.
            pins: object with a signal for each pin of :attr:`pins` and each of their enables.
        """

    def open(self, port: str, rate: int) -> Transport:
        """Open a port of the host.

        Raises:
            LinkError: the port cannot be opened.
        """
