"""Where the weights that are no part of the bitstream come from at start-up."""

from enum import StrEnum

__all__ = ["Boot"]


class Boot(StrEnum):
    """The source of the weights at start-up.

    LINK: the host sends them. FLASH: the board reads them from its serial flash, where they lie behind the
    bitstream; the host may still load others.
    """

    LINK = "link"
    FLASH = "flash"
