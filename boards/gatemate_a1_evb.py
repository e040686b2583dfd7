"""Olimex GateMateA1-EVB: Cologne Chip CCGM1A1, 10 MHz oscillator, RP2040 as USB bridge and programmer."""

from typing import Any

from amaranth.build import Attrs, Clock, Pins, PinsN, Resource
from amaranth_boards.resources import UARTResource

from qornn_hw.boards.board import Board
from qornn_hw.boards.devices.gatemate import CCGM1A1, GATEMATE, GATEMATE_PLL, GateMatePlatform

__all__ = ["BOARD"]


class _Platform(GateMatePlatform):
    """The pins that are used here."""

    device = "CCGM1A1"
    default_clk = "clk10"
    # Ref: github.com/OLIMEX/GateMateA1-EVB, schematic.
    resources = [
        Resource("clk10", 0, Pins("IO_SB_A8", dir="i"), Clock(10e6), Attrs(SCHMITT_TRIGGER="true")),
        Resource("led", 0, PinsN("IO_SB_B6", dir="o")),
        UARTResource(0, rx="IO_SA_A6", tx="IO_SA_B6", attrs=Attrs(PULLUP="true")),
    ]
    connectors: list[Any] = []


BOARD = Board(
    name="gatemate-a1-evb",
    description="Olimex GateMateA1-EVB, Cologne Chip CCGM1A1",
    family=GATEMATE,
    device="CCGM1A1",
    package="FBGA324",
    available=CCGM1A1,
    clock_source=GATEMATE_PLL,
    oscillator_hz=10_000_000,
    clock_resource="clk10",
    fastest_mhz=150,
    platform=_Platform,
    leds=(("led", 0),),
    link="RP2040; rx IO_SA_A6, tx IO_SA_B6",
    programmer="openFPGALoader -b olimex_gatemateevb",
    baud_rates=(115_200,),
    usb=((0x1209, 0xC0CA),),
)
