"""The tools of a device family: what they are called, what they read and write, what they call a cell."""

from dataclasses import dataclass, replace

from boards.board import Board
from qornn_hw.device import ECP5, ICE40_HX_LP, ICE40_ULTRAPLUS, Family

__all__ = ["FLOWS", "Flow", "flow_of"]


@dataclass(frozen=True)
class Flow:
    """How a netlist of a family becomes a bitstream.

    Attributes:
        place: name of the place and route tool.
        pack: name of the packer.
        unpack: name of the tool that turns a bitstream back to text.
        unpack_options: its arguments, with ``{bitstream}`` and ``{text}``.
        placed: ending of the file between the two.
        bitstream: ending of the bitstream.
        cells: our name of a resource to that of nextpnr.
        flip_flops: what yosys' names of flip-flops begin with.
        constraint: a line of the constraint file, with ``{net}`` and ``{mhz}``: the frequency of a net.
        constraint_override: Amaranth's name for further lines of that file.
        synth_options: of yosys' synthesis command.
        multiplier_options: further ones where yosys is to make multipliers of products.
        constant: cell, parameter, its bits, and output of a LUT with constant inputs.
    """

    place: str
    pack: str
    unpack: str
    unpack_options: tuple[str, ...]
    placed: str
    bitstream: str
    cells: dict[str, str]
    flip_flops: str
    constraint: str
    constraint_override: str
    synth_options: str
    multiplier_options: str
    constant: tuple[str, str, int, str]


# The eight logic cells of a tile share one enable. What enables fewer than five flip-flops is better in front
# of them, as logic: a design of 86 % of the iCE40UP5K has 61 sets of control signals then instead of 96, and
# is placed at 63 MHz, where before nextpnr found no place for all of them.
_FEW_ENABLES = "-dffe_min_ce_use 5"
_ICE40 = Flow(
    place="nextpnr-ice40",
    pack="icepack",
    unpack="iceunpack",
    unpack_options=("{bitstream}", "{text}"),
    placed=".asc",
    bitstream=".bin",
    cells={"lut": "ICESTORM_LC", "bram": "ICESTORM_RAM", "spram": "ICESTORM_SPRAM", "dsp": "ICESTORM_DSP"},
    flip_flops="SB_DFF",
    constraint="set_frequency {net} {mhz}",
    constraint_override="add_constraints",
    synth_options=_FEW_ENABLES,
    multiplier_options="",
    constant=("SB_LUT4", "LUT_INIT", 16, "O"),
)
_ICE40_DSP = replace(_ICE40, multiplier_options="-dsp")
_ECP5 = Flow(
    place="nextpnr-ecp5",
    pack="ecppack",
    unpack="ecpunpack",
    unpack_options=("--input", "{bitstream}", "--textcfg", "{text}"),
    placed=".config",
    bitstream=".bit",
    cells={"lut": "TRELLIS_COMB", "bram": "DP16KD", "dsp": "MULT18X18D"},
    flip_flops="TRELLIS_FF",
    constraint='FREQUENCY NET "{net}" {mhz} MHZ;',
    constraint_override="add_preferences",
    synth_options="",
    multiplier_options="",
    constant=("LUT4", "INIT", 16, "Z"),
)
FLOWS: dict[Family, Flow] = {ICE40_ULTRAPLUS: _ICE40_DSP, ICE40_HX_LP: _ICE40, ECP5: _ECP5}


def flow_of(board: Board) -> Flow:
    """Return the flow for a board."""
    return FLOWS[board.family]
