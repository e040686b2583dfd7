"""Where a board's clock comes from: the interface of a PLL, and the clock pin without one.

A family's PLLs and oscillators are in its folder (:mod:`qornn_hw.boards.devices`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import io

from qornn_hw.errors import BoardError

__all__ = [
    "PIN",
    "ClockNets",
    "ClockSource",
    "Parameter",
    "PllLimits",
    "PllSettings",
    "PllSource",
    "buffered",
    "instance_parameters",
    "within",
]

# As long as Amaranth's own reset, which a design with its own clock domain does not get: block RAM of some
# devices reads as zero for about 3 us after configuration.
RESET_SECONDS = Fraction(15, 1_000_000)

Parameter: TypeAlias = tuple[int, int] | int | str
"""A parameter of a cell: (value, bits), a number, or a string."""


class PllSettings(Protocol):
    """What makes a clock of another."""

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the cell that depend on the frequency."""


@dataclass(frozen=True)
class ClockNets:
    """What a clock source is connected to.

    Attributes:
        pin: the board's clock pin as the platform gives it, without a buffer; None where there is none.
        oscillator_hz: frequency at that pin.
        device: name of the device.
        clk: driven with the clock.
        lock: driven with 1 when the clock is stable.
    """

    pin: Any
    oscillator_hz: int
    device: str
    clk: Signal
    lock: Signal


@dataclass(frozen=True)
class ClockSource(ABC):
    """A way to make the core clock.

    Attributes:
        value: what it is, in the words of the report.
        has_pin: whether the clock comes from a pin; False for an oscillator on the chip.
        tolerance: by how much the true frequency may exceed the nominal one, as a fraction of it.
        reset_seconds: how long the reset lasts beyond the lock.
    """

    value: str
    has_pin: bool = True
    tolerance: Fraction = Fraction(0)
    reset_seconds: Fraction = RESET_SECONDS

    @abstractmethod
    def output_limits(self, input_hz: int) -> tuple[int, int]:
        """Return the lowest and the highest output in Hz.

        Raises:
            BoardError: the input is out of its limits.
        """

    @abstractmethod
    def settings(self, input_hz: int, low: Fraction, high: Fraction) -> Iterator[PllSettings]:
        """Yield the settings for outputs from ``low`` to ``high`` Hz, the best of each output first."""

    @abstractmethod
    def connect(self, m: Module, nets: ClockNets, parameters: Mapping[str, Parameter]) -> Instance | None:
        """Return the cell that makes the clock, None where there is none; add what else it takes to ``m``.

        Args:
            m: gets the buffer of the pin.
            nets: what is driven, and from what.
            parameters: of the settings (:attr:`PllSettings.parameters`).
        """


@dataclass(frozen=True)
class PllLimits:
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


@dataclass(frozen=True)
class PllSource(ClockSource):
    """A PLL that is fed by a pin.

    Attributes:
        limits: of its frequencies.
    """

    limits: PllLimits = PllLimits((0, 0), (0, 0), (0, 0), (0, 0))

    def output_limits(self, input_hz: int) -> tuple[int, int]:
        """Return the lowest and the highest output; the input must be within its limits."""
        if not within(input_hz, self.limits.input):
            low, high = (f"{hz / 1e6:g}" for hz in self.limits.input)
            raise BoardError(f"the PLL's input must be {low} to {high} MHz, not {input_hz / 1e6:g} MHz")
        return self.limits.output


@dataclass(frozen=True)
class _NoPll:
    """The clock pin is the clock."""

    def output_hz(self, input_hz: int) -> Fraction:
        """Return the output frequency."""
        return Fraction(input_hz)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """None: there is no cell."""
        return {}


class _Pin(ClockSource):
    """The clock of the board's clock pin."""

    def output_limits(self, input_hz: int) -> tuple[int, int]:
        """Return the input's frequency twice."""
        return input_hz, input_hz

    def settings(self, input_hz: int, low: Fraction, high: Fraction) -> Iterator[PllSettings]:
        """Yield the only setting, where it is in the range."""
        return iter([_NoPll()] if low <= input_hz <= high else [])

    def connect(self, m: Module, nets: ClockNets, parameters: Mapping[str, Parameter]) -> None:
        """Connect the pin."""
        m.d.comb += [nets.clk.eq(buffered(m, nets.pin)), nets.lock.eq(1)]


PIN = _Pin("the board's oscillator, without a PLL")


def within(hz: Fraction | int, limits: tuple[int, int]) -> bool:
    """Return whether a frequency is within (lowest, highest)."""
    return limits[0] <= hz <= limits[1]


def buffered(m: Module, pin: Any) -> Signal:
    """Return the clock pin behind an input buffer, which is added to ``m``."""
    m.submodules.pin_buffer = buffer = io.Buffer("i", pin)
    return buffer.i


def instance_parameters(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return the parameters of a cell as the arguments of an Amaranth ``Instance``."""
    return {f"p_{k}": Const(*v) if isinstance(v, tuple) else v for k, v in parameters.items()}
