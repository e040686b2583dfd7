"""OrangeCrab r0.2: Lattice ECP5 of two sizes, 48 MHz oscillator, no USB bridge."""

from amaranth.build import Attrs, PinsN, Resource
from amaranth_boards import orangecrab_r0_2
from amaranth_boards.resources import UARTResource

from qornn_hw.boards.board import Board, Platform
from qornn_hw.boards.devices.ecp5 import ECP5, ECP5_DEVICES, ECP5_PLL

__all__ = ["BOARDS"]

_LVCMOS33 = Attrs(IO_TYPE="LVCMOS33")
_RESOURCES = [
    # Header pins 0 and 1, as Feather boards have them; USB is the FPGA's own, and not used.
    UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),
    Resource("led_g", 0, PinsN("M3", dir="o"), _LVCMOS33),
    Resource("led_r", 0, PinsN("K4", dir="o"), _LVCMOS33),
]


def _board(size: str) -> Board:
    def platform() -> Platform:
        made = getattr(orangecrab_r0_2, f"OrangeCrabR0_2_{size}Platform")()
        made.add_resources(_RESOURCES)
        return made

    device = f"LFE5U-{size}"
    return Board(
        name=f"orangecrab-{size.lower()}",
        description=f"OrangeCrab r0.2, Lattice {device}",
        family=ECP5,
        device=device,
        package="CSFBGA285",
        available=ECP5_DEVICES[device],
        clock_source=ECP5_PLL,
        oscillator_hz=48_000_000,
        clock_resource="clk",
        fastest_mhz=250,
        platform=platform,
        leds=(("led_g", 0), ("led_r", 0)),
        link="3.3 V adapter at the header; rx pin 0 (N17), tx pin 1 (M18)",
        programmer="dfu-util -a 0 -D",
        other_programmers=("openFPGALoader -b orangeCrab",),
    )


BOARDS = tuple(_board(size) for size in ("25F", "85F"))
