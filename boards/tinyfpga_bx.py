"""TinyFPGA BX: Lattice iCE40LP8K, 16 MHz oscillator, no USB bridge."""

from amaranth.build import Attrs
from amaranth_boards.resources import UARTResource
from amaranth_boards.tinyfpga_bx import TinyFPGABXPlatform

from qornn_hw.boards.board import Board, Platform
from qornn_hw.boards.devices.ice40 import ICE40_CORE, ICE40_HX_LP, LP8K

__all__ = ["BOARD"]


def _platform() -> Platform:
    made = TinyFPGABXPlatform()
    # Pins 1 and 2 of the board; USB is the FPGA's own, and not used.
    attrs = Attrs(IO_STANDARD="SB_LVCMOS", PULLUP=1)
    made.add_resources([UARTResource(0, rx="1", tx="2", conn=("gpio", 0), attrs=attrs)])
    return made


BOARD = Board(
    name="tinyfpga-bx",
    description="TinyFPGA BX, Lattice iCE40LP8K",
    family=ICE40_HX_LP,
    device="iCE40LP8K",
    package="CM81",
    available=LP8K,
    clock_source=ICE40_CORE,
    oscillator_hz=16_000_000,
    clock_resource="clk16",
    fastest_mhz=160,
    platform=_platform,
    leds=(("led", 0),),
    link="3.3 V adapter at the pins; rx pin 1 (A2), tx pin 2 (A1)",
    programmer="tinyprog -p",
)
