"""The gateware of the tile engine: lanes for a tile of a matrix a cycle, and a generated pipeline."""

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.tile.schedule import TileSchedule
from qornn_hw.rtl_gen.engines.tile.core import TileCore

__all__ = ["CORE", "DesignCore"]


class DesignCore(TileCore):
    """The core of a design.

    Parameters:
        design: a compiled network.
        preloaded: weights in SPRAM are there from the start, which only a simulation can have.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        super().__init__(TileSchedule.of(design.schedule).layout, design.memories, preloaded=preloaded)


CORE = DesignCore
