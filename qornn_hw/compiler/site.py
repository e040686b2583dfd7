"""Where a number of the network is in the memories of a core."""

from dataclasses import dataclass

__all__ = ["Site"]


@dataclass(frozen=True)
class Site:
    """A bit of a number in a memory.

    The bit is one whose inversion changes what the core computes: the sign of a weight, a high bit of a
    constant.

    Attributes:
        memory: name of the memory.
        address: of the word.
        field: name of the field in the word.
        bit: of the field, 0 the lowest.
    """

    memory: str
    address: int
    field: str
    bit: int
