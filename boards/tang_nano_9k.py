"""Sipeed Tang Nano 9K: Gowin GW1NR-9C, 27 MHz oscillator, BL702 USB bridge."""

from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from qornn_hw.boards.board import Board
from qornn_hw.boards.devices.gowin import GOWIN, GOWIN_DEVICES, GOWIN_PLL

__all__ = ["BOARD"]


class _Platform(TangNano9kPlatform):
    """The platform with the place and route of today: Amaranth 0.5 knows nextpnr-gowin, which is no more."""

    @property
    def device(self) -> str:
        """The device, as other platforms have it."""
        return str(self.family)

    @property
    def required_tools(self) -> list[str]:
        """The tools of a build."""
        return ["yosys", "nextpnr-himbaechel-gowin", "gowin_pack"]

    @property
    def file_templates(self) -> dict[str, str]:
        """The files of a build: Amaranth's, with another name of the netlist."""
        return {
            name: text.replace("{{name}}.syn.json", "{{name}}.json")
            for name, text in super().file_templates.items()
        }

    @property
    def command_templates(self) -> list[str]:
        """The commands of a build."""
        yosys, _, pack = super().command_templates
        place = r"""
        {{invoke_tool("nextpnr-himbaechel-gowin")}}
            {{quiet("--quiet")}}
            {{get_override("nextpnr_opts")|options}}
            {{get_override("frequency_opts")|options}}
            --log {{name}}.tim
            --device {{platform.part}}
            --vopt family={{platform._chipdb_device}}
            --vopt cst={{name}}.cst
            --json {{name}}.json
            --write {{name}}.pnr.json
        """
        return [yosys, place, pack]


BOARD = Board(
    name="tang-nano-9k",
    description="Sipeed Tang Nano 9K, Gowin GW1NR-9C",
    family=GOWIN,
    device="GW1NR-9C",
    package="QN88P",
    available=GOWIN_DEVICES["GW1NR-9C"],
    clock_source=GOWIN_PLL,
    oscillator_hz=27_000_000,
    clock_resource="clk27",
    fastest_mhz=200,
    platform=_Platform,
    leds=(("led", 0), ("led", 1)),
    link="BL702; rx 18, tx 17",
    programmer="openFPGALoader -b tangnano9k",
    # What every firmware of the bridge and every driver can do; 1 Mbaud was seen to fail with some.
    baud_rates=(115_200,),
    usb=((0x0403, 0x6010),),
    usb_interface=1,
)
