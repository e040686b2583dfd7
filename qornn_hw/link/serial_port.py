"""Serial ports as transports: bytes to and from a board."""

import contextlib
import errno

import serial
from serial.tools import list_ports

from qornn_hw.errors import LinkError

__all__ = ["SerialTransport", "open_port"]


class SerialTransport:
    """A serial port that is open for nobody else.

    Args:
        port: name of the port.
        baud: rate of the line.

    Raises:
        LinkError: the port cannot be opened, or was lost.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.name = port
        try:
            # pyserial locks the port, which is what tells a second host.
            self._serial = serial.Serial(
                port, baud, timeout=0, write_timeout=10, exclusive=True, rtscts=False, dsrdtr=False
            )
        except (OSError, ValueError) as error:
            raise LinkError(_why_not_open(port, baud, error)) from error
        # An FTDI bridge hands on what it has every 16 ms, and every 1 ms if asked to; not all can be asked: a
        # driver refuses (OSError, ValueError), or pyserial has only a stub there, or not even that.
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            self._serial.set_low_latency_mode(True)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._serial.write(data)
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def read(self, seconds: float) -> bytes:
        """Return the bytes that came; wait for the first one, but no longer than that."""
        try:
            waiting = self._serial.in_waiting
            if not waiting:
                self._serial.timeout = seconds
                first: bytes = self._serial.read(1)
                return first + self._serial.read(self._serial.in_waiting) if first else b""
            data: bytes = self._serial.read(waiting)
            return data
        except (OSError, TypeError, serial.SerialException) as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(OSError):
            self._serial.close()

    def _lost(self, error: Exception) -> LinkError:
        return LinkError(
            f"the port {self.name} must stay connected, and was lost ({error}); check cable and power, then "
            "run again"
        )


def _why_not_open(port: str, baud: int, error: Exception) -> str:
    code = getattr(error, "errno", None)
    text = str(error)
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        known = ", ".join(p.device for p in list_ports.comports()) or "none"
        return f"port must be one that is there, {port} is not; ports that are there: {known}"
    if code in (errno.EACCES, errno.EPERM):
        return (
            f"port must be one that you may use, {port} is not: permission denied; join its group (often: "
            "sudo usermod -aG dialout $USER, then log in again)"
        )
    if code in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return f"port must be free, {port} is in use by another program; end that one, or take another port"
    if isinstance(error, ValueError) or "baud" in text.lower():
        return f"baud must be a rate that {port} can do, not {baud}"
    return f"port must be one that can be opened, {port} cannot: {text}"


def open_port(port: str, baud: int) -> SerialTransport:
    """Open a serial port; see :class:`SerialTransport`."""
    return SerialTransport(port, baud)
