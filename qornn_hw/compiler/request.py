"""What a plan is asked for: a network, and the part of a board that its core may use."""

from dataclasses import dataclass, replace

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.family import Family, Resources
from qornn_hw.compiler.schedule import Schedule

__all__ = ["Considered", "Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to plan.

    Attributes:
        network: what to build.
        available: what the core may use: the device less what the board's own logic takes.
        family: what the device is made of.
        name: of the board, for messages.
        lanes: most multiply-accumulates a cycle; as many as fit where None.
        engine: name of the engine; the planner's choice where None.
        room: whether to leave room for any other weights of the same formats.
        cycles: cycles of a step that are soon enough: of the designs that take no more, the smallest.
    """

    network: AnyNetwork
    available: Resources
    family: Family
    name: str
    lanes: int | None = None
    engine: str | None = None
    room: bool = False
    cycles: int = 0

    def limit(self, share: float) -> Resources:
        """Return what is available, with a share of the logic cells only."""
        return replace(self.available, lut=int(share * self.available.lut))


@dataclass(frozen=True)
class Considered:
    """A schedule that a planner looked at.

    Attributes:
        schedule: the schedule.
        need: what its core takes by the estimate.
        excess: by resource, how much of it is too much; empty where it fits.
        shape: the engine's parameters, for people; empty where the lanes say all.
    """

    schedule: Schedule
    need: Resources
    excess: dict[str, int]
    shape: str = ""
