"""What an engine is: a way to compute a network in hardware, as one object.

The modules of an engine are in the folder of its name under :mod:`qornn_hw.compiler.engines`, its gateware is
in that under :mod:`qornn_hw.rtl_gen.engines`. :mod:`qornn_hw.compiler.engines` lists the names. The section
"Adding an engine" of docs/architecture.md says what each part must do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.family import Family, Resources
from qornn_hw.compiler.plan import Plan
from qornn_hw.compiler.request import Considered, Request
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.site import Site

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design

__all__ = ["Engine", "WrongWire"]


@dataclass(frozen=True)
class WrongWire:
    """A fault of an engine's logic, to show that the benches notice it.

    Attributes:
        name: of the kind of fault.
        place: where it is, for people.
        design: the design with it.
    """

    name: str
    place: str
    design: "Design"


class Engine(Protocol):
    """A way to compute a network in hardware.

    Attributes:
        name: of the engine, as users write it and as its folders are called.
        chosen_unasked: whether the planner considers the engine where the user names none.
        hard_multipliers: whether its core instantiates hard multipliers, so that synthesis must infer none.
        memory_meanings: what each memory of the core holds, by the end of its path in the Verilog, in which
            ``*`` stands for any characters.
    """

    name: str
    chosen_unasked: bool
    hard_multipliers: bool
    memory_meanings: Mapping[str, str]

    # -- planning -------------------------------------------------------------------------------------

    def fill_limit(self, family: Family) -> float:
        """Return the share of a device's logic cells that an estimate of the engine may take."""

    def refuses(self, network: AnyNetwork, family: Family | None) -> str | None:
        """Return why the engine cannot compute a network on a family's devices, in words; None if it can.

        Without a family only the network is judged.
        """

    def plans(self, request: Request) -> Iterator[Schedule]:
        """Yield the schedules of a request, the best first; the planner takes the first one that fits.

        Raises:
            FormatError: the engine has no schedule for the network.
        """

    def too_large(self, request: Request) -> str:
        """Return the message where nothing fits: what is lacking, and what would fit."""

    def considered(self, request: Request, *, chosen: bool) -> Sequence[Considered]:
        """Return the schedules that explain a choice, for people.

        Args:
            request: what was planned.
            chosen: whether the engine was chosen.
        """

    def check_lanes(self, schedule: Schedule, request: Request) -> None:
        """Raise a CapacityError if ``request.lanes`` are more than fit, for a schedule of the engine."""

    # -- from a network to a design -------------------------------------------------------------------

    def usual_schedule(self, network: AnyNetwork, lanes: int | None) -> Schedule:
        """Return the schedule of at most ``lanes`` lanes for no certain board.

        Raises:
            FormatError: there is none.
        """

    def compile(self, schedule: Schedule) -> "Design":
        """Return the design of a schedule: its memories, filled, and the constants of its logic.

        Raises:
            FormatError: a sum or a weight does not fit the engine.
        """

    # -- cost -----------------------------------------------------------------------------------------

    def cost(self, schedule: Schedule, family: Family) -> Resources:
        """Return what the core of a schedule takes of a device of a family."""

    def memory_blocks(self, design: "Design", family: Family) -> dict[str, int]:
        """Return the block RAMs of every memory of the core, by the memory's name."""

    # -- faults ---------------------------------------------------------------------------------------

    def sites(self, schedule: Schedule) -> Mapping[str, Site]:
        """Return where numbers are in the memories, by what they are; the inversion of each must be seen."""

    def wrong_wires(self, design: "Design") -> Iterable[WrongWire]:
        """Return faults of the logic that the design has room for."""

    # -- hardware that exists -------------------------------------------------------------------------

    def read_plan(self, value: dict[str, Any]) -> Plan:
        """Return the plan whose ``to_json`` is ``value``, which may come from anybody.

        Raises:
            KeyError, TypeError, ValueError: the value is no plan.
        """

    def check_plan(self, plan: Plan, network: AnyNetwork) -> None:
        """Raise a ValueError unless a plan can be the hardware that a network was compiled for."""

    def refit(self, plan: Plan, built: AnyNetwork, network: AnyNetwork) -> "Design":
        """Return the design of ``network`` on hardware that was built for the network ``built``.

        Raises:
            FormatError: it does not fit that hardware; says all that differs.
        """
