"""Another clock in a design that is placed, without placing it again."""

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias

from qornn_hw.boards.board import Board
from qornn_hw.boards.clock import cell_parameters, retune
from qornn_hw.boards.netlist import NETLIST_TOP
from qornn_hw.boards.placed_text import replaced_settings
from qornn_hw.boards.placer import placed_files, renamed
from qornn_hw.boards.reclock import NetlistModule, cell_places, cells_alone, read_module
from qornn_hw.boards.toolchain import Tool
from qornn_hw.boards.workshop import Workshop
from qornn_hw.errors import ToolError

__all__ = ["Reclock", "reclock"]

Reclock: TypeAlias = Callable[[Workshop, Board, Tool, Sequence[str], NetlistModule, int], None]
"""A function with the arguments of :func:`reclock`."""


def reclock(
    shop: Workshop, board: Board, nextpnr: Tool, arguments: Sequence[str], before: NetlistModule, hz: int
) -> None:
    """Give the placed design the clock that the netlist has now, without placing it again.

    Args:
        shop: whose work folder has both.
        board: that they are for.
        nextpnr: the tool.
        arguments: of nextpnr.
        before: the netlist that was placed.
        hz: the clock.

    Raises:
        ToolError: it cannot be done.
    """
    work, flow = shop.work, board.family.flow
    path = work / placed_files(board)[0]
    if path.name == flow.placed_cells:
        # A placed design as a netlist has the parameters as they are.
        retune(path, board, hz)
        return
    if (text := board.family.placed_text) is None:
        raise ToolError(f"a placed design of {board.family.name} must be placed again for another clock")
    cells = list(cell_parameters(board, hz))
    placed = read_module(work / flow.placed_cells)
    places = cell_places(before, placed, cells)
    texts = []
    for clock, netlist in (("before", before), ("after", read_module(work / "top.json"))):
        alone = cells_alone(netlist, places)
        names = {name: f"{clock}-{name}" for name in (*placed_files(board), "top.json")}
        (work / names["top.json"]).write_text(json.dumps({"modules": {NETLIST_TOP: alone}}))
        outputs = (names[path.name], names[flow.placed_cells])
        options = renamed(arguments, names)
        shop.run(f"sign-off-{clock}", nextpnr, options, outputs)
        if cell_places(alone, read_module(work / outputs[1]), cells) != places:
            raise ToolError("nextpnr must place the cells that hold the clock where it did before")
        texts.append((work / outputs[0]).read_text())
    path.write_text(replaced_settings(text.settings, path.read_text(), *texts))
