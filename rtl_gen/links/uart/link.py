"""The UART as a :class:`qornn_hw.link.physical.PhysicalLink`."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import qornn_hw.link.uart
from qornn_hw.errors import BoardError
from qornn_hw.link.physical import LineTiming, LinkGateware, LinkPin, PhysicalLink, Transport
from qornn_hw.link.serial_port import open_port
from qornn_hw.rtl_gen.links.uart.rate import CLOCKS_PER_BIT_MIN, BitRate, phase_bits, phase_increment
from qornn_hw.rtl_gen.links.uart.receiver import UartReceiver
from qornn_hw.rtl_gen.links.uart.transmitter import UartTransmitter

__all__ = ["UART", "Uart"]


class Uart(PhysicalLink):
    """8 data bits, no parity, one stop bit; the rate is one of those that the board's bridge can do."""

    name = "uart"
    title = "UART"
    pins = (LinkPin("rx", driven=False, idle=1), LinkPin("tx", driven=True, idle=1))
    # The receiver has a byte in the middle of its stop bit.
    line = LineTiming(bits_per_byte=10, received_early=Fraction(1, 2), start_bits=0, cycles=27)
    clocks_per_bit_min = CLOCKS_PER_BIT_MIN
    constant = "increment"
    port_example = "/dev/ttyUSB1"
    pin_driver = "qornn_hw.link.uart.pin_driver:UartPinDriver"
    pin_driver_header = Path(qornn_hw.link.uart.__path__[0]) / "pin_driver.h"

    def rate(self, rates: Sequence[int], hz: int) -> int:
        """Return the fastest of ``rates`` that leaves a bit at least 8 cycles of the clock."""
        for rate in rates:
            if hz >= CLOCKS_PER_BIT_MIN * rate:
                return rate
        slowest = rates[-1]
        raise BoardError(
            f"clock must be at least {CLOCKS_PER_BIT_MIN * slowest / 1e6:g} MHz, {CLOCKS_PER_BIT_MIN} cycles "
            f"of a UART bit at {slowest / 1e6:g} Mbaud, not {hz / 1e6:g} MHz"
        )

    def full_rate_hz(self, rates: Sequence[int]) -> int:
        """Return the clock with 8 cycles in a bit of the fastest rate."""
        return CLOCKS_PER_BIT_MIN * rates[0]

    def constant_bits(self, rates: Sequence[int], fastest_hz: Fraction) -> int:
        """Return the bits of a phase that serves every clock."""
        # Between the first rate and the last, a bit is longest just below the clock for the next rate.
        steps = [Fraction(CLOCKS_PER_BIT_MIN * a, b) for a, b in pairwise(rates)]
        return phase_bits(max(fastest_hz / rates[0], *steps, Fraction(CLOCKS_PER_BIT_MIN)))

    def constant_value(self, rates: Sequence[int], hz: int, bits: int) -> int:
        """Return the increment of the phase."""
        return phase_increment(Fraction(hz, self.rate(rates, hz)), bits)

    def constant_source(self, clocks_per_bit: Fraction | int) -> BitRate:
        """Return the increment as a component."""
        return BitRate(clocks_per_bit=clocks_per_bit)

    def gateware(self, *, constant: Any, pins: Any) -> LinkGateware:
        """Return receiver and transmitter."""
        receiver = UartReceiver(phase_bits=len(constant))
        transmitter = UartTransmitter(phase_bits=len(constant))
        return LinkGateware(
            components={"receiver": receiver, "transmitter": transmitter},
            from_host=receiver.o,
            to_host=transmitter.i,
            connections=[
                receiver.increment.eq(constant),
                transmitter.increment.eq(constant),
                receiver.rx.eq(pins.rx),
                pins.tx.eq(transmitter.tx),
            ],
        )

    def open(self, port: str, rate: int) -> Transport:
        """Open a serial port."""
        return open_port(port, rate)


UART = Uart()
