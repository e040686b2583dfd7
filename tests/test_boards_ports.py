"""The serial port of a board, found by USB ids."""

from types import SimpleNamespace

import pytest

from qornn_hw.boards.ports import find_port
from qornn_hw.boards.registry import BOARDS, find_board
from qornn_hw.errors import BoardError


def usb(device, vid, pid, location=None):
    """Return a port as pyserial lists it."""
    return SimpleNamespace(device=device, vid=vid, pid=pid, location=location)


def test_the_port_is_found_by_its_usb_ids():
    """The second channel of an FT2232H is the UART; other devices are passed over."""
    ports = [
        usb("/dev/ttyS0", None, None),
        usb("/dev/ttyUSB0", 0x0403, 0x6010, "1-2:1.0"),
        usb("/dev/ttyUSB1", 0x0403, 0x6010, "1-2:1.1"),
        usb("/dev/ttyUSB2", 0x0403, 0x6015, "1-3:1.0"),
    ]
    assert find_port(find_board("icebreaker"), ports) == "/dev/ttyUSB1"
    assert find_port(find_board("ulx3s-25f"), ports) == "/dev/ttyUSB2"
    with pytest.raises(
        BoardError, match=r"^upduino must be connected \(USB 0403:6014\), none was found; check"
    ):
        find_port(find_board("upduino"), ports)
    with pytest.raises(
        BoardError, match=r"^the port of tinyfpga-bx must be named: its link is an adapter of"
    ):
        find_port(find_board("tinyfpga-bx"), ports)
    ports.append(usb("/dev/ttyUSB9", 0x0403, 0x6015, "1-4:1.0"))
    message = (
        r"^one ulx3s-25f must be connected .*, there are 2: /dev/ttyUSB2, /dev/ttyUSB9; name one of them$"
    )
    with pytest.raises(BoardError, match=message):
        find_port(find_board("ulx3s-25f"), ports)


def test_every_board_has_ids_or_an_adapter():
    """A board without USB ids is one whose link is an adapter."""
    for one in BOARDS:
        assert bool(one.usb) != ("adapter" in one.link)


def test_a_link_without_a_bridge():
    """A board over a link that its USB bridge does not serve has no port to be found."""
    message = (
        r"^the port of icebreaker must be named where its link is SPI: one of the host's own, such as "
        r"/dev/spidev0\.0$"
    )
    with pytest.raises(BoardError, match=message):
        find_port(find_board("icebreaker:spi"), [usb("/dev/ttyUSB1", 0x0403, 0x6010, "1-2:1.1")])
