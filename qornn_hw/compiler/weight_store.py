"""Where the weights of a core are stored."""

from enum import StrEnum

__all__ = ["WeightStore"]


class WeightStore(StrEnum):
    """The kind of memory that holds weights.

    BLOCK_RAM: the weights are part of the bitstream. SPRAM: at least some weights are in large
    memories of one port, which are loaded after start-up.
    """

    BLOCK_RAM = "block_ram"
    SPRAM = "spram"
