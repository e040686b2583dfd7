"""SPI as a :class:`qornn_hw.link.physical.PhysicalLink`."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import qornn_hw.link.spi
from qornn_hw.link.physical import LineTiming, LinkGateware, LinkPin, PhysicalLink, Transport
from qornn_hw.link.spi.transport import open_port
from qornn_hw.rtl_gen.links.spi.pins import SpiPins
from qornn_hw.rtl_gen.links.spi.receiver import SpiReceiver
from qornn_hw.rtl_gen.links.spi.transmitter import SpiTransmitter

__all__ = ["CLOCKS_PER_BIT_MIN", "SPI", "Spi"]

# CIPO follows the falling edge of SCK after 2 to 3 cycles, and must be there before the rising edge, half a
# bit later: one cycle is left for pads, wires and the host's setup time.
CLOCKS_PER_BIT_MIN = 8


class Spi(PhysicalLink):
    """Mode 0, the host is the controller and makes the clock."""

    name = "spi"
    title = "SPI"
    pins = (
        LinkPin("sck", driven=False),
        LinkPin("cs", driven=False, active_low=True),
        LinkPin("copi", driven=False),
        LinkPin("cipo", driven=True, enable="cipo_enable"),
    )
    # The last bit of a byte is sampled in the middle of its time; a reply begins with a byte of the host.
    line = LineTiming(bits_per_byte=8, received_early=Fraction(1, 2), start_bits=8, cycles=23)
    clocks_per_bit_min = CLOCKS_PER_BIT_MIN
    constant = ""
    port_example = "/dev/spidev0.0"
    pin_driver = "qornn_hw.link.spi.pin_driver:SpiPinDriver"
    pin_driver_header = Path(qornn_hw.link.spi.__path__[0]) / "pin_driver.h"

    def rate(self, rates: Sequence[int], hz: int) -> int:
        """Return the highest frequency of SCK: an eighth of the core clock."""
        return hz // CLOCKS_PER_BIT_MIN

    def full_rate_hz(self, rates: Sequence[int]) -> int:
        """Return 0: each clock has its highest SCK."""
        return 0

    def constant_bits(self, rates: Sequence[int], fastest_hz: Fraction) -> int:
        """Return 0: nothing depends on the rate."""
        return 0

    def constant_value(self, rates: Sequence[int], hz: int, bits: int) -> int:
        """Return 0."""
        return 0

    def constant_source(self, clocks_per_bit: Fraction | int) -> None:
        """Return None: nothing depends on the rate, which must be one that the gateware can follow."""
        if clocks_per_bit < CLOCKS_PER_BIT_MIN:
            raise ValueError(f"clocks_per_bit must be at least {CLOCKS_PER_BIT_MIN}, not {clocks_per_bit!r}")

    def gateware(self, *, constant: Any, pins: Any) -> LinkGateware:
        """Return pins, receiver and transmitter."""
        events, receiver, transmitter = SpiPins(), SpiReceiver(), SpiTransmitter()
        connections = [
            events.sck.eq(pins.sck),
            events.cs.eq(pins.cs),
            events.copi.eq(pins.copi),
            pins.cipo.eq(transmitter.cipo),
            pins.cipo_enable.eq(events.o.selected),
        ]
        for name in events.o.signature.members:
            value = getattr(events.o, name)
            connections += [getattr(part.pins, name).eq(value) for part in (receiver, transmitter)]
        return LinkGateware(
            components={"pins": events, "receiver": receiver, "transmitter": transmitter},
            from_host=receiver.o,
            to_host=transmitter.i,
            connections=connections,
        )

    def open(self, port: str, rate: int) -> Transport:
        """Open an SPI device of Linux, or a serial port whose other end is the controller."""
        return open_port(port, rate)


SPI = Spi()
