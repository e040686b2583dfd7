"""Radiona ULX3S: Lattice ECP5 of four sizes, 25 MHz oscillator, FT231X USB bridge."""

from amaranth.build import Attrs, Pins, Resource, Subsignal
from amaranth_boards import ulx3s

from qornn_hw.boards.board import Board, Platform
from qornn_hw.boards.devices.ecp5 import ECP5, ECP5_DEVICES, ECP5_PLL

__all__ = ["BOARDS"]

# The platform's own has modem lines besides, which are not used here.
_UART = Resource(
    "uart",
    1,
    Subsignal("rx", Pins("M1", dir="i")),
    Subsignal("tx", Pins("L4", dir="o")),
    Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP"),
)


def _board(size: str) -> Board:
    def platform() -> Platform:
        made = getattr(ulx3s, f"ULX3S_{size}_Platform")()
        made.add_resources([_UART])
        return made

    device = f"LFE5U-{size}"
    return Board(
        name=f"ulx3s-{size.lower()}",
        description=f"Radiona ULX3S, Lattice {device}",
        family=ECP5,
        device=device,
        package="CABGA381",
        available=ECP5_DEVICES[device],
        clock_source=ECP5_PLL,
        oscillator_hz=25_000_000,
        clock_resource="clk25",
        fastest_mhz=250,
        platform=platform,
        uart=("uart", 1),
        leds=(("led", 0), ("led", 1)),
        link="FT231X; rx M1, tx L4",
        programmer="openFPGALoader -b ulx3s",
        other_programmers=("fujprog",),
        usb=((0x0403, 0x6015),),
    )


BOARDS = tuple(_board(size) for size in ("12F", "25F", "45F", "85F"))
