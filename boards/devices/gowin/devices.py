"""What the Gowin devices have."""

from qornn_hw.compiler.family import Resources

__all__ = ["GOWIN_DEVICES"]

# Ref: GW1NR Series of FPGA Products Data Sheet, Document Number DS117, table of product resources.
GOWIN_DEVICES = {"GW1NR-9C": Resources(lut=8640, ff=6480, bram=26)}
