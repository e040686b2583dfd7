"""What the ECP5 devices have."""

from qornn_hw.compiler.family import Resources

__all__ = ["ECP5_DEVICES"]

# Ref: nextpnr-ecp5's device database (TRELLIS_COMB, TRELLIS_FF, DP16KD, MULT18X18D); ECP5 and ECP5-5G Family
# Data Sheet, Document Number FPGA-DS-02012, table 1.1, has the same rounded to thousands of LUTs. The 12F
# is a 25F of which Lattice promises less: its row is the data sheet's.
ECP5_DEVICES = {
    "LFE5U-12F": Resources(lut=12_000, ff=12_000, bram=32, dsp=28),
    "LFE5U-25F": Resources(lut=24_288, ff=24_288, bram=56, dsp=28),
    "LFE5U-45F": Resources(lut=43_848, ff=43_848, bram=108, dsp=72),
    "LFE5U-85F": Resources(lut=83_640, ff=83_640, bram=208, dsp=156),
}
