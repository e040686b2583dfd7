"""What the GateMate devices have."""

from qornn_hw.compiler.family import Resources

__all__ = ["CCGM1A1"]

# Ref: CCGM1A1 Datasheet, Document Number DS1001: 20480 cells (CPE) of two halves each, a flip-flop in each
# half, and 32 block RAMs of 40 kbit, which are halves of 20 kbit.
CCGM1A1 = Resources(lut=40_960, ff=40_960, bram=64)
