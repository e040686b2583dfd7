"""A device family as the boards need it: the compiler's facts, its clocks, its tools, its cell models.

One object a family; its parts are in ``boards/devices/<family>/``, and
:data:`qornn_hw.boards.devices.FAMILIES` lists all families. To add one is to add such a folder and a line
there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qornn_hw.boards.clock_source import ClockSource
from qornn_hw.boards.flow import Flow
from qornn_hw.boards.memory_cells import BlockRam
from qornn_hw.boards.placed_text import PlacedText
from qornn_hw.compiler.family import Family

__all__ = ["CellModels", "DeviceFamily"]


@dataclass(frozen=True)
class CellModels:
    """Verilog of cells of which yosys has no model that serves in a simulation of the pins.

    Attributes:
        files: with the modules.
        modules: name of a module by the cells for which it stands in, as yosys selects them.
    """

    files: tuple[Path, ...]
    modules: Mapping[str, str]

    @property
    def verilog(self) -> str:
        """The text of all files."""
        return "".join(f"\n{path.read_text()}" for path in self.files)


# Compared by the compiler's facts.
@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceFamily(Family):
    """A family with all that a build, a simulation of its netlist, and a reload need.

    Attributes:
        clock_sources: what can make the core clock on the chip, besides a pin.
        flow: the tools.
        cell_models: stand-ins for cells of which yosys has no model.
        stage_rates: how long the stages of a build take on two cores: seconds (at least, for each thousand
            logic cells) by stage, measured (docs/boards.md); {} where nobody measured.
        block_ram: how block RAM is initialised; None where bitstreams cannot be reloaded.
        placed_text: how the text of a placed design is changed; None where it is placed again for another
            clock, and where bitstreams cannot be reloaded.
        timing_limit: the clock in MHz that paths allow which nextpnr does not time, of yosys' netlist and
            nextpnr's timing report; it returns None where there are none.
    """

    clock_sources: tuple[ClockSource, ...]
    flow: Flow
    cell_models: CellModels
    stage_rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    block_ram: BlockRam | None = None
    placed_text: PlacedText | None = None
    timing_limit: Callable[[Path, Path], float | None] | None = None
