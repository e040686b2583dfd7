"""SPI devices of Linux as transports: bytes to and from a board."""

import contextlib
import re
import time
from typing import Any

from qornn_hw.errors import LinkError
from qornn_hw.link import serial_port
from qornn_hw.link.physical import Transport
from qornn_hw.link.spi.stuffing import IDLE, Unstuffer, stuff

__all__ = ["SpidevTransport", "open_port"]

DEVICE = re.compile(r"/dev/spidev(\d+)\.(\d+)")
# Bytes that the driver takes at once: its module parameter `bufsiz` has this default.
MOST_BYTES = 4096
# Bytes that are clocked out to see whether the board has something to say, at first.
POLL_BYTES = 32
# After so long without a byte the polls are this far apart: a host that waits leaves its processor free.
IMPATIENT_SECONDS = 0.002
PAUSE_SECONDS = 0.0002


class SpidevTransport:
    """An SPI device of Linux, mode 0, the host as controller.

    The host sends idle bytes to read, which a board skips. Bytes that come while it sends are kept for the
    next read.

    Args:
        port: ``/dev/spidevBUS.DEVICE``.
        rate: frequency of SCK in Hz.

    Raises:
        LinkError: the package ``spidev`` is missing, or the device cannot be opened, or was lost.
    """

    def __init__(self, port: str, rate: int) -> None:
        found = DEVICE.fullmatch(port)
        if found is None:
            raise LinkError(f"port must be /dev/spidevBUS.DEVICE, not {port}")
        self.name = port
        self._unstuffer = Unstuffer()
        self._waiting = bytearray()
        self._poll = POLL_BYTES
        self._device = _open_device(port, int(found[1]), int(found[2]), rate)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._waiting += self._transfer(stuff(data))

    def read(self, seconds: float) -> bytes:
        """Return the bytes that came; wait for the first one, but no longer than that."""
        started = time.monotonic()
        while not self._waiting:
            waited = time.monotonic() - started
            if waited >= seconds:
                break
            if waited > IMPATIENT_SECONDS:
                time.sleep(min(PAUSE_SECONDS, seconds - waited))
            data = self._transfer(bytes([IDLE]) * self._poll)
            self._waiting += data
            # A board that has much to say is asked for more at once.
            much = 2 * len(data) >= self._poll
            self._poll = min(2 * self._poll, MOST_BYTES) if much else POLL_BYTES
        data, self._waiting = bytes(self._waiting), bytearray()
        return data

    def close(self) -> None:
        """Give the device back."""
        with contextlib.suppress(OSError):
            self._device.close()

    def _transfer(self, data: bytes) -> bytes:
        """Send bytes and return those of replies that came meanwhile."""
        came = bytearray()
        try:
            for at in range(0, len(data), MOST_BYTES):
                came += bytes(self._device.xfer2(list(data[at : at + MOST_BYTES])))
        except OSError as error:
            raise LinkError(
                f"the port {self.name} must stay connected, and was lost ({error}); check the driver, then "
                "run again"
            ) from error
        return self._unstuffer.feed(bytes(came))


def _open_device(port: str, bus: int, device: int, rate: int) -> Any:
    """Return the open device of the package ``spidev``."""
    try:
        import spidev
    except ImportError:
        raise LinkError(
            f"port {port} must have the package spidev, which is not installed; install it (pip install "
            "'qornn-hw[spi]')"
        ) from None
    opened = spidev.SpiDev()
    try:
        opened.open(bus, device)
        opened.mode = 0
        opened.bits_per_word = 8
        opened.max_speed_hz = rate
    except (OSError, ValueError) as error:
        raise LinkError(
            f"port must be an SPI device that can be opened and does {rate} Hz, {port} cannot: {error}; "
            "enable it (Raspberry Pi: dtparam=spi=on), and join its group (often: sudo usermod -aG spi "
            "$USER, then log in again)"
        ) from error
    return opened


def open_port(port: str, rate: int) -> Transport:
    """Open the host's end of an SPI link.

    Args:
        port: ``/dev/spidevBUS.DEVICE``; any other port is a serial one, at whose other end is a controller
            that forwards the bytes of frames, as a microcontroller or a virtual board.
        rate: frequency of SCK in Hz.

    Raises:
        LinkError: the port cannot be opened.
    """
    if DEVICE.fullmatch(port):
        return SpidevTransport(port, rate)
    return serial_port.open_port(port, rate)
