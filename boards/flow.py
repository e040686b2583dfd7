"""The tools of a device family: what they are called, what they read and write, what they call a cell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from qornn_hw.boards.toolchain import ToolSource

__all__ = ["Constant", "Flow", "tool_arguments"]


@dataclass(frozen=True)
class Constant:
    """A LUT with constant inputs, whose contents are a constant that can be changed after placement.

    Attributes:
        cell: name of the cell.
        parameter: with its contents.
        bits: of the parameter.
        output: name of the output.
    """

    cell: str
    parameter: str
    bits: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Flow:
    """How a netlist of a family becomes a bitstream.

    Attributes:
        place: place and route.
        pack: the packer.
        unpack: turns a bitstream back to text; None where no use is made of it.
        unpack_options: its arguments, with ``{bitstream}`` and ``{text}``.
        placed: ending of the file between placer and packer.
        bitstream: ending of the bitstream.
        cells: our name of a resource to nextpnr's names of cells, each with how many of it a cell takes.
        flip_flops: what yosys' names of flip-flops begin with.
        constraint: a line of the constraint file, or an option, with ``{net}`` and ``{mhz}``: the frequency
            of a net.
        constraint_override: the platform's name for further lines of that file, or for such an option.
        synth_options: of yosys' synthesis command, besides those of
            :attr:`qornn_hw.compiler.family.Family.synthesis`.
        constant: LUT with constant inputs.
        placed_cells: file with the placed cells as JSON: the one that is packed, or one besides it.
        counts_packed: whether cells are counted as nextpnr packs them, in its log. Its report counts them as
            they are placed: a family whose nextpnr joins cells behind the placement has fewer there.
        crowded: yosys' command before it maps flip-flops, where the placer found no place for all cells:
            fewer sets of control signals. None is known where it is empty.
    """

    place: ToolSource
    pack: ToolSource
    unpack: ToolSource | None = None
    unpack_options: tuple[str, ...] = ()
    placed: str
    bitstream: str
    cells: Mapping[str, Mapping[str, int]]
    flip_flops: str
    constraint: str
    constraint_override: str
    synth_options: str = ""
    constant: Constant
    placed_cells: str = "placed.json"
    counts_packed: bool = False
    crowded: str = ""

    @property
    def writes_placed_cells(self) -> bool:
        """Whether the placed cells are a file of their own, not the file that is packed."""
        return self.placed_cells == "placed.json"


def tool_arguments(commands: str) -> dict[str, list[str]]:
    """Return the arguments of each tool by its name, from the ``build_top.json`` that a platform prepares."""
    return {command[0]: command[1:] for command in json.loads(commands)["commands"]}
