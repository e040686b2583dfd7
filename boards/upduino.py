"""UPduino v3: Lattice iCE40UP5K, FT232H that shares its pins with the flash, two clocks to choose from."""

from amaranth.build import Attrs, Pins, PinsN, Resource, Subsignal
from amaranth_boards.resources import UARTResource
from amaranth_boards.upduino_v3 import UpduinoV3Platform

from qornn_hw.boards.board import Board, ClockSource, Platform
from qornn_hw.boards.devices.ice40 import ICE40_CORE, ICE40_OSCILLATOR, ICE40_ULTRAPLUS, UP5K

__all__ = ["BOARDS"]

_LVCMOS = Attrs(IO_STANDARD="SB_LVCMOS")


def _platform() -> Platform:
    made = UpduinoV3Platform()
    made.add_resources(
        [
            # Ref: github.com/tinyvision-ai-inc/UPduino-v3.0, pinout: the bridge's serial lines are those of
            # the flash, which must not listen.
            UARTResource(0, rx="15", tx="14", attrs=Attrs(IO_STANDARD="SB_LVCMOS", PULLUP=1)),
            # Header JP6, side by side.
            Resource(
                "spi",
                0,
                Subsignal("cs", PinsN("48", dir="i"), Attrs(PULLUP=1)),
                Subsignal("copi", Pins("45", dir="i")),
                Subsignal("cipo", Pins("47", dir="oe")),
                Subsignal("sck", Pins("46", dir="i")),
                _LVCMOS,
            ),
            Resource("flash_off", 0, Pins("16", dir="o"), _LVCMOS),
            Resource("led_g", 0, PinsN("39", dir="o"), _LVCMOS),
            Resource("led_r", 0, PinsN("41", dir="o"), _LVCMOS),
        ]
    )
    return made


def _board(name: str, clock: str, source: ClockSource, hz: int, resource: str) -> Board:
    return Board(
        name=name,
        description=f"UPduino v3, Lattice iCE40UP5K, {clock}",
        family=ICE40_ULTRAPLUS,
        device="iCE40UP5K",
        package="SG48",
        available=UP5K,
        clock_source=source,
        oscillator_hz=hz,
        clock_resource=resource,
        fastest_mhz=120,
        platform=_platform,
        link_resources={"spi": ("spi", 0)},
        leds=(("led_g", 0), ("led_r", 0)),
        link="FT232H; rx 15, tx 14",
        programmer="iceprog",
        usb=((0x0403, 0x6014),),
        high_pins=(("flash_off", 0),),
    )


BOARDS = (
    _board("upduino", "12 MHz oscillator, its jumper OSC closed", ICE40_CORE, 12_000_000, "clk12"),
    _board("upduino-internal", "oscillator on the chip", ICE40_OSCILLATOR, 48_000_000, ""),
)
