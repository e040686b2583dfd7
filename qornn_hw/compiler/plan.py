"""The plan of a core: everything that makes its hardware, apart from the network and the memory contents."""

from typing import Any, Protocol

__all__ = ["Plan"]


class Plan(Protocol):
    """The hardware of a core, apart from its network and the contents of its memories.

    A plan is frozen and plain data. The digest of a design hashes :meth:`to_json`, and a build keeps it. The
    engine reads it back (:meth:`qornn_hw.compiler.engine.Engine.read_plan`).
    """

    @property
    def engine(self) -> str:
        """Name of the engine."""

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data, with the name of the engine as ``engine``."""
