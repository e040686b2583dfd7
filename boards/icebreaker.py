"""1BitSquared iCEBreaker v1.0: Lattice iCE40UP5K, 12 MHz oscillator, FT2232H USB bridge."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.board import Board
from qornn_hw.estimate import Resources

__all__ = ["BOARD"]

BOARD = Board(
    name="icebreaker",
    description="1BitSquared iCEBreaker v1.0, Lattice iCE40UP5K",
    family="ice40",
    device="iCE40UP5K",
    package="SG48",
    # Ref: iCE40 UltraPlus Family Data Sheet, Document Number FPGA-DS-02008, table 1.1.
    available=Resources(lut=5280, ff=5280, bram=30, spram=4, dsp=8),
    oscillator_hz=12_000_000,
    clock_resource="clk12",
    clock_mhz=36.0,
    platform=ICEBreakerPlatform,
    programmer="iceprog",
)
