"""Names of the ways to build a core: what multiplies, where the weights are and come from."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Boot", "Engine", "MacSettings", "WeightStore"]


class Engine(StrEnum):
    """What multiplies weights and operands.

    LUT: logic cells, several columns an element. DSP: hard multipliers, one a column.
    """

    LUT = "lut"
    DSP = "dsp"


class WeightStore(StrEnum):
    """Where the weights are.

    BLOCK_RAM: in the bitstream. SPRAM: in the large memories of an iCE40 UltraPlus, loaded after start-up;
    with the lut engine those of the first elements, the others' in the bitstream.
    """

    BLOCK_RAM = "block_ram"
    SPRAM = "spram"


class Boot(StrEnum):
    """Where weights that are no part of the bitstream come from at start-up.

    LINK: from the host. FLASH: from the board's serial flash, behind the bitstream; the host may load others.
    """

    LINK = "link"
    FLASH = "flash"


@dataclass(frozen=True)
class MacSettings:
    """How a hard multiplier is set.

    Attributes:
        a_signed, b_signed: whether an operand is signed.
        carry: whether the carry of the lower half of its adder reaches the upper half.
    """

    a_signed: bool = True
    b_signed: bool = True
    carry: bool = True
