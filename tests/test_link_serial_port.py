"""Serial ports that cannot be opened: each reason is told apart."""

import errno
from types import SimpleNamespace

import pytest
import serial

from qornn_hw.errors import LinkError
from qornn_hw.link import serial_port
from qornn_hw.link.serial_port import open_port


def test_a_port_that_is_not_there(monkeypatch):
    """The ports that are there are listed."""
    monkeypatch.setattr(serial_port.list_ports, "comports", lambda: [SimpleNamespace(device="/dev/ttyUSB7")])
    message = r"^port must be one that is there, /dev/ttyNONE is not; ports that are there: /dev/ttyUSB7$"
    with pytest.raises(LinkError, match=message):
        open_port("/dev/ttyNONE", 115_200)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            serial.SerialException(errno.EACCES, "could not open"),
            "port must be one that you may use, X is not: perm",
        ),
        (
            serial.SerialException(errno.EBUSY, "could not open"),
            "port must be free, X is in use by another program",
        ),
        (
            serial.SerialException(errno.EIO, "could not open"),
            "port must be one that can be opened, X cannot: ",
        ),
        (ValueError("Invalid baud rate: 1"), "baud must be a rate that X can do, not 115200"),
    ],
)
def test_a_port_that_cannot_be_opened(monkeypatch, error, message):
    """Permission, another program, a device that fails, and a rate are told apart."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(serial_port.serial, "Serial", fail)
    with pytest.raises(LinkError, match=f"^{message}"):
        open_port("X", 115_200)
