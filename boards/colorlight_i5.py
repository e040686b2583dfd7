"""Colorlight i5 v7.0 in its extension board: Lattice ECP5, 25 MHz oscillator, the extension's DAPLink."""

from typing import Any

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import UARTResource

from qornn_hw.boards.board import Board
from qornn_hw.boards.devices.ecp5 import ECP5, ECP5_DEVICES, ECP5_PLL

__all__ = ["BOARD", "ColorlightI5Platform"]


class ColorlightI5Platform(LatticeECP5Platform):
    """The pins that are used here; amaranth-boards has not got this board."""

    device = "LFE5U-25F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    # Ref: github.com/wuxx/Colorlight-FPGA-Projects, README.md.
    resources = [
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), Attrs(IO_TYPE="LVCMOS33")),
        Resource("led", 0, PinsN("U16", dir="o"), Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="H18", tx="J17", attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),
    ]
    connectors: list[Any] = []


BOARD = Board(
    name="colorlight-i5",
    description="Colorlight i5 v7.0 with extension board, Lattice LFE5U-25F",
    family=ECP5,
    device="LFE5U-25F",
    package="CABGA381",
    available=ECP5_DEVICES["LFE5U-25F"],
    clock_source=ECP5_PLL,
    oscillator_hz=25_000_000,
    clock_resource="clk25",
    fastest_mhz=250,
    platform=ColorlightI5Platform,
    leds=(("led", 0),),
    link="DAPLink of the extension board; rx H18, tx J17",
    programmer="ecpdap program --freq 5000",
    other_programmers=("openFPGALoader -b colorlight-i5",),
    usb=((0x0D28, 0x0204),),
    # What every DAPLink firmware can do.
    baud_rates=(115_200,),
)
