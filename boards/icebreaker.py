"""1BitSquared iCEBreaker v1.0: Lattice iCE40UP5K, 12 MHz oscillator, FT2232H USB bridge."""

from amaranth.build import Attrs, Pins, PinsN, Resource, Subsignal
from amaranth_boards.icebreaker import ICEBreakerPlatform

from qornn_hw.boards.board import Board, Platform
from qornn_hw.boards.devices.ice40 import ICE40_PAD, ICE40_ULTRAPLUS, UP5K

__all__ = ["BOARD"]

_LVCMOS = Attrs(IO_STANDARD="SB_LVCMOS")
_PMOD = ("pmod", 0)


def _platform() -> Platform:
    made = ICEBreakerPlatform()
    made.add_resources(
        [
            # PMOD 1A, in the order of a PMOD with SPI.
            Resource(
                "spi",
                0,
                Subsignal("cs", PinsN("1", dir="i", conn=_PMOD), Attrs(PULLUP=1)),
                Subsignal("copi", Pins("2", dir="i", conn=_PMOD)),
                Subsignal("cipo", Pins("3", dir="oe", conn=_PMOD)),
                Subsignal("sck", Pins("4", dir="i", conn=_PMOD)),
                _LVCMOS,
            )
        ]
    )
    return made


BOARD = Board(
    name="icebreaker",
    description="1BitSquared iCEBreaker v1.0, Lattice iCE40UP5K",
    family=ICE40_ULTRAPLUS,
    device="iCE40UP5K",
    package="SG48",
    available=UP5K,
    clock_source=ICE40_PAD,
    oscillator_hz=12_000_000,
    clock_resource="clk12",
    fastest_mhz=120,
    platform=_platform,
    link_resources={"spi": ("spi", 0)},
    leds=(("led_g", 0), ("led_r", 0)),
    link="FT2232H channel B; rx 6, tx 9",
    programmer="iceprog",
    other_programmers=("openFPGALoader -b ice40_generic",),
    # FT2232H; the first interface is the flash's.
    usb=((0x0403, 0x6010),),
    usb_interface=1,
    # 16 MiB; a bitstream takes 104 KB of it.
    flash=("spi_flash_1x", 0),
)
