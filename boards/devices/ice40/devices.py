"""What the iCE40 devices have."""

from qornn_hw.compiler.family import Resources

__all__ = ["HX8K", "LP8K", "UP5K"]

# Ref: iCE40 UltraPlus Family Data Sheet, Document Number FPGA-DS-02008, table 1.1.
UP5K = Resources(lut=5280, ff=5280, bram=30, spram=4, dsp=8)
# Ref: iCE40 LP/HX Family Data Sheet, Document Number FPGA-DS-02029, table 1.1.
HX8K = Resources(lut=7680, ff=7680, bram=32)
LP8K = Resources(lut=7680, ff=7680, bram=32)
