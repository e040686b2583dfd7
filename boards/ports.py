"""The serial port of a board, found by the USB ids of its bridge."""

from collections.abc import Iterable
from typing import Any

from serial.tools import list_ports

from qornn_hw.boards.board import Board
from qornn_hw.errors import BoardError
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK

__all__ = ["find_port"]


def find_port(board: Board, ports: Iterable[Any] | None = None) -> str:
    """Return the port of the one board of this kind that is connected, by the USB ids of its bridge.

    Args:
        board: what is looked for.
        ports: as :func:`serial.tools.list_ports.comports` gives them; those of this machine where None.

    Raises:
        BoardError: the board has no bridge of its own for its link, or there is none, or several.
    """
    if board.physical_link is not DEFAULT_LINK:
        link = board.physical_link
        raise BoardError(
            f"the port of {board.name} must be named where its link is {link.title}: one of the host's own, "
            f"such as {link.port_example}"
        )
    if not board.usb:
        raise BoardError(
            f"the port of {board.name} must be named: its link is an adapter of your own ({board.link})"
        )
    found = []
    for port in list_ports.comports() if ports is None else ports:
        if (port.vid, port.pid) not in board.usb:
            continue
        # A bridge of several channels is as many ports; Linux tells the channel behind a colon.
        channel = str(port.location or "").rpartition(":")[2].rpartition(".")[2]
        if board.usb_interface is None or not channel.isdigit() or int(channel) == board.usb_interface:
            found.append(port.device)
    if len(found) == 1:
        return str(found[0])
    ids = " or ".join(f"{vendor:04x}:{product:04x}" for vendor, product in board.usb)
    if not found:
        raise BoardError(
            f"{board.name} must be connected (USB {ids}), none was found; check its cable, or name its port"
        )
    raise BoardError(
        f"one {board.name} must be connected where no port is named, there are {len(found)}: "
        f"{', '.join(sorted(found))}; name one of them"
    )
