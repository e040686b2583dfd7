"""The netlist of a build, simulated through the board's pins: what `sim` and `reload` have in common."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from qornn_hw.errors import ToolError

if TYPE_CHECKING:
    from boards.board import Board
    from qornn_hw.design import Design
    from sim.core_simulation import SimulationResult

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
        sequences: as in :func:`sim.link_simulation.simulate_link`.
        simulator: Verilator where None and there, because a netlist is large and slow: what Verilator takes
            to compile it, it soon makes up for.
        options: of :func:`sim.link_simulation.simulate_link`.
    """
    from boards.netlist import find_netlist
    from sim.link_simulation import simulate_link

    netlist = find_netlist(folder, board)
    weights = report["files"].get("weights")
    return simulate_link(
        netlist.sources,
        netlist.top,
        Fraction(round(report["clock_mhz"] * 1e6), report["baud"]),
        design,
        sequences,
        simulator=simulator or _verilator_if_there(),
        ports=netlist.ports,
        defines=netlist.defines,
        # The file itself: that of a reloaded build names the design that was built.
        image=None if weights is None else (folder / weights).read_bytes(),
        **options,
    )


def _verilator_if_there() -> str | None:
    from sim.runner import find_simulator

    try:
        return find_simulator("verilator").name
    except ToolError:
        return None
