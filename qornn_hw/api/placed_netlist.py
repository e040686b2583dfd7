"""The placed netlist of a build, simulated through the pins of its board."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from qornn_hw.compiler.weight_image import MOST_IMAGE_BYTES
from qornn_hw.errors import ToolError

if TYPE_CHECKING:
    from qornn_hw.boards.board import Board
    from qornn_hw.compiler.design import Design
    from qornn_hw.sim.core_simulation import SimulationResult

__all__ = ["simulate_build"]


def simulate_build(
    folder: Path,
    board: "Board",
    report: dict[str, Any],
    design: "Design",
    sequences: Sequence[ArrayLike],
    *,
    simulator: str | None = None,
    **options: Any,
) -> "SimulationResult":
    """Play sequences through the placed netlist and compare every answer.

    Args:
        folder: of the build.
        board: that it is for.
        report: of the build.
        design: that it holds.
        sequences: as in :func:`qornn_hw.sim.link_simulation.simulate_link`.
        simulator: Verilator where None and there, because a netlist is large and slow: what Verilator takes
            to compile it, it soon makes up for.
        options: of :func:`qornn_hw.sim.link_simulation.simulate_link`.
    """
    from qornn_hw.boards.netlist import find_netlist
    from qornn_hw.boards.report import read_file_of
    from qornn_hw.sim.link_simulation import simulate_link

    netlist = find_netlist(folder, board)
    # The file itself: that of a reloaded build names the design that was built.
    loaded = "weights" in report["files"]
    image = read_file_of(folder, report, "weights", MOST_IMAGE_BYTES) if loaded else None
    return simulate_link(
        netlist.sources,
        netlist.top,
        Fraction(round(report["clock_mhz"] * 1e6), report["baud"]),
        design,
        sequences,
        simulator=simulator or _verilator_if_there(),
        link=board.physical_link,
        ports=netlist.ports,
        defines=netlist.defines,
        image=image,
        **options,
    )


def _verilator_if_there() -> str | None:
    from qornn_hw.sim.runner import find_simulator

    try:
        return find_simulator("verilator").name
    except ToolError:
        return None
