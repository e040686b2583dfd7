"""The tools of the GateMate."""

from qornn_hw.boards.flow import Constant, Flow
from qornn_hw.boards.toolchain import ToolSource

__all__ = ["FLOW"]

_PACKAGE = "yowasp-nextpnr-himbaechel-gatemate"
FLOW = Flow(
    place=ToolSource("nextpnr-himbaechel-gatemate", _PACKAGE, (0, 11), "--version", extra="gatemate"),
    pack=ToolSource("gmpack", _PACKAGE, (), "", extra="gatemate"),
    placed=".txt",
    bitstream=".bit",
    # Halves of CPEs and of block RAMs. nextpnr makes one cell of two halves that belong together.
    cells={"lut": {"CPE_LT": 1}, "bram": {"RAM_HALF": 1}},
    counts_packed=True,
    flip_flops="CC_DFF",
    constraint="--freq {mhz}",
    constraint_override="frequency_opts",
    synth_options="-nomult",
    constant=Constant("CC_LUT1", "INIT", 2, "O"),
)
