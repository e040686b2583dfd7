"""The physical links that there are, listed by hand; the first is that of a board where none is named."""

from qornn_hw.errors import FormatError
from qornn_hw.link.physical import PhysicalLink
from qornn_hw.rtl_gen.links.spi.link import SPI
from qornn_hw.rtl_gen.links.uart.link import UART

__all__ = ["DEFAULT_LINK", "LINKS", "find_link"]

LINKS: tuple[PhysicalLink, ...] = (UART, SPI)
DEFAULT_LINK = LINKS[0]


def find_link(name: str) -> PhysicalLink:
    """Return the link called ``name``.

    >>> find_link("uart").title
    'UART'

    Raises:
        FormatError: there is none of that name.
    """
    for link in LINKS:
        if link.name == name:
            return link
    raise FormatError(f"link must be {' or '.join(link.name for link in LINKS)}, not {name!r}")
