"""1BitSquared iCEBreaker v1.0: Lattice iCE40UP5K, 12 MHz oscillator, FT2232H USB bridge."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.board import Board, ClockSource
from boards.ice40_devices import UP5K
from qornn_hw.device import ICE40_ULTRAPLUS

__all__ = ["BOARD"]

BOARD = Board(
    name="icebreaker",
    description="1BitSquared iCEBreaker v1.0, Lattice iCE40UP5K",
    family=ICE40_ULTRAPLUS,
    device="iCE40UP5K",
    package="SG48",
    available=UP5K,
    clock_source=ClockSource.ICE40_PAD,
    oscillator_hz=12_000_000,
    clock_resource="clk12",
    fastest_mhz=120,
    platform=ICEBreakerPlatform,
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
