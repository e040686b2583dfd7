"""The tools of a device family: what they are called, what they read and write, what they call a cell."""

from dataclasses import dataclass, replace

from boards.board import Board
from qornn_hw.device import ECP5, GOWIN, ICE40_HX_LP, ICE40_ULTRAPLUS, Family

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
        cells: our name of a resource to nextpnr's names of cells, each with how many of it a cell takes.
        flip_flops: what yosys' names of flip-flops begin with.
        constraint: a line of the constraint file, or an option, with ``{net}`` and ``{mhz}``: the frequency
            of a net.
        constraint_override: the platform's name for further lines of that file, or for such an option.
        synth_options: of yosys' synthesis command.
        multiplier_options: further ones where yosys is to make multipliers of products.
        crowded: yosys' command before it maps flip-flops, where the placer found no place for all cells:
            fewer sets of control signals. None is known where it is empty.
        constant: cell, parameter, its bits, and output of a LUT with constant inputs.
        placed_cells: file with the placed cells as JSON: the one that is packed, or one besides it.
    """

    place: str
    pack: str
    unpack: str
    unpack_options: tuple[str, ...]
    placed: str
    bitstream: str
    cells: dict[str, dict[str, int]]
    flip_flops: str
    constraint: str
    constraint_override: str
    synth_options: str
    multiplier_options: str
    constant: tuple[str, str, int, str]
    placed_cells: str = "placed.json"
    crowded: str = ""


# The eight logic cells of a tile share one enable. What enables fewer than five flip-flops is better in front
# of them, as logic: a design of 86 % of the iCE40UP5K has 61 sets of control signals then instead of 96, and
# is placed at 63 MHz, where before nextpnr found no place for all of them.
_FEW_ENABLES = "-dffe_min_ce_use 5"
# The same for resets, too, and for twelve: 128 units in 89 % of the device have 29 sets of them then instead
# of 63, and 1 % more cells. The cells are those of synth_ice40.
_FEW_SETS = (
    "dfflegalize -cell $_DFF_?_ 0 -cell $_DFFE_?P_ 0 -cell $_DFF_?P?_ 0 -cell $_DFFE_?P?P_ 0 "
    "-cell $_SDFF_?P?_ 0 -cell $_SDFFCE_?P?P_ 0 -cell $_DLATCH_?_ x -mince 12 -minsrst 12"
)
_ICE40 = Flow(
    place="nextpnr-ice40",
    pack="icepack",
    unpack="iceunpack",
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
    multiplier_options="",
    constant=("SB_LUT4", "LUT_INIT", 16, "O"),
    crowded=_FEW_SETS,
)
_ICE40_DSP = replace(_ICE40, multiplier_options="-dsp")
_ECP5 = Flow(
    place="nextpnr-ecp5",
    pack="ecppack",
    unpack="ecpunpack",
    unpack_options=("--input", "{bitstream}", "--textcfg", "{text}"),
    placed=".config",
    bitstream=".bit",
    cells={"lut": {"TRELLIS_COMB": 1}, "bram": {"DP16KD": 1}, "dsp": {"MULT18X18D": 1}},
    flip_flops="TRELLIS_FF",
    constraint='FREQUENCY NET "{net}" {mhz} MHZ;',
    constraint_override="add_preferences",
    synth_options="",
    multiplier_options="",
    constant=("LUT4", "INIT", 16, "Z"),
)
_GOWIN = Flow(
    place="nextpnr-himbaechel-gowin",
    pack="gowin_pack",
    unpack="gowin_unpack",
    unpack_options=("-d", "GW1N-9C", "-o", "{text}", "{bitstream}"),
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
    multiplier_options="",
    constant=("LUT4", "INIT", 16, "F"),
    placed_cells="top.pnr.json",
)
FLOWS: dict[Family, Flow] = {
    ICE40_ULTRAPLUS: _ICE40_DSP,
    ICE40_HX_LP: _ICE40,
    ECP5: _ECP5,
    GOWIN: _GOWIN,
}


def flow_of(board: Board) -> Flow:
    """Return the flow for a board."""
    return FLOWS[board.family]
