"""Lattice iCE40-HX8K breakout board: 12 MHz oscillator, FT2232H USB bridge."""

from amaranth.build import Attrs
from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform
from amaranth_boards.resources import UARTResource

from qornn_hw.boards.board import Board, Platform
from qornn_hw.boards.devices.ice40 import HX8K, ICE40_CORE, ICE40_HX_LP

__all__ = ["BOARD"]


def _platform() -> Platform:
    made = ICE40HX8KBEVNPlatform()
    # The platform's own has modem lines besides, which are not used here.
    attrs = Attrs(IO_STANDARD="SB_LVCMOS", PULLUP=1)
    made.add_resources([UARTResource(1, rx="B10", tx="B12", attrs=attrs)])
    return made


BOARD = Board(
    name="ice40-hx8k",
    description="Lattice iCE40-HX8K breakout board",
    family=ICE40_HX_LP,
    device="iCE40HX8K",
    package="CT256",
    available=HX8K,
    clock_source=ICE40_CORE,
    oscillator_hz=12_000_000,
    clock_resource="clk12",
    fastest_mhz=220,
    platform=_platform,
    uart=("uart", 1),
    leds=(("led", 0), ("led", 1)),
    link="FT2232H channel B; rx B10, tx B12",
    programmer="iceprog -S",
    # FT2232H; the first interface is the flash's.
    usb=((0x0403, 0x6010),),
    usb_interface=1,
)
