"""The gateware of the simple engine: one multiplier, one multiply-accumulate a cycle; to be read first."""

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.simple.schedule import SimpleSchedule
from qornn_hw.rtl_gen.engines.simple.core import SimpleCore

__all__ = ["CORE", "DesignCore"]


class DesignCore(SimpleCore):
    """The core of a design.

    Parameters:
        design: a compiled network.
        preloaded: without effect: all memories are in the bitstream.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        super().__init__(SimpleSchedule.of(design.schedule).program, design.memories)


CORE = DesignCore
