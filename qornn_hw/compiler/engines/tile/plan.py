"""The plan of a core of the tile engine: its shape, and the tails as plain data."""

from dataclasses import dataclass, fields
from typing import Any, Self

from qornn_hw.compiler.engines.tile.layout import Shape, TileLayout
from qornn_hw.compiler.engines.tile.nodes import Constant, Node
from qornn_hw.compiler.engines.tile.stages import Stage
from qornn_hw.compiler.engines.tile.tail_schedule import TailSchedule

__all__ = ["TilePlan", "shape_of"]

# Upper limits for a plan that is read from a file: no hardware has more of anything.
MOST = 1 << 62
DEPTH = 12
ENTRIES = 1 << 16


@dataclass(frozen=True)
class TilePlan:
    """A core without the contents of its memories.

    Attributes:
        engine: the name of the engine.
        columns, lanes, interval, multipliers, banks: those of a
            :class:`~qornn_hw.compiler.engines.tile.layout.Shape`.
        hardware: stages and tails as nested tuples of numbers and names.
    """

    engine: str
    columns: int
    lanes: int
    interval: int
    multipliers: int
    banks: int
    hardware: tuple[Any, ...]

    @classmethod
    def of(cls, engine: str, p: TileLayout) -> Self:
        """Return the plan of a layout."""
        stages = tuple(_stage(stage) for stage in p.stages)
        tails = tuple(_tail(tail) for tail in p.tails)
        formats = (
            (p.network.input.name, p.network.input.size, p.network.input.format.bits),
            tuple((s.name, s.size, s.format.bits, int(s.format.signed)) for s in p.network.states.values()),
            # The sum of a state's initial entries is a constant of the logic.
            tuple(int(s.initial.sum()) for s in p.network.states.values()),
            tuple(p.ranges.bits(vector) for vector in p.vectors),
            tuple(sorted(p.kept.operands)),
            tuple(sorted(p.kept.loaded)),
            tuple(len(table) for table in p.tables),
            str(p.network.readout.mode),
            str(p.network.readout.answer.kind),
            str(p.network.readout.answer.threshold),
            p.logit_bits,
        )
        s = p.shape
        return cls(engine, s.columns, s.lanes, s.interval, s.multipliers, s.banks, (stages, tails, formats))

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return found | {"hardware": _lists(self.hardware)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the plan that :meth:`to_json` gave; the value may come from anybody.

        Raises:
            KeyError, TypeError, ValueError: the value is no plan.
        """
        names = [f.name for f in fields(cls)]
        for name in value:
            if name not in names:
                raise ValueError(f"a plan must have no entry {ascii(name)[:60]}")
        if type(value["engine"]) is not str:
            raise ValueError(f"engine of a plan must be str, not {ascii(value['engine'])[:60]}")
        for name in names[1:-1]:
            if type(value[name]) is not int or not 0 <= value[name] <= ENTRIES:
                raise ValueError(f"{name} of a plan must be 0 to {ENTRIES}, not {ascii(value[name])[:60]}")
        if not isinstance(value["hardware"], list):
            raise ValueError(f"hardware of a plan must be a list, not {ascii(value['hardware'])[:60]}")
        return cls(**{name: value[name] for name in names[:-1]}, hardware=_tuples(value["hardware"]))


def shape_of(plan: TilePlan) -> Shape:
    """Return the shape of a plan."""
    return Shape(plan.columns, plan.lanes, plan.interval, plan.multipliers, plan.banks)


def _stage(stage: Stage) -> tuple[Any, ...]:
    phases = (
        (phase.vector, phase.columns, tuple((m.row, m.shift, m.offset, m.bits) for m in phase.matrices))
        for phase in stage.phases
    )
    t = stage.transform
    transform = () if t is None else (t.vector, t.size, t.block, t.least, t.most)
    return (stage.name, stage.layer, stage.slots, transform, *phases)


def _tail(tail: TailSchedule) -> tuple[Any, ...]:
    places = (
        (name, n, place.phase, place.low, place.bits, place.copies)
        for (name, n), place in tail.places.items()
    )
    shared = {**tail.multipliers, **tail.ports}
    nodes = ((*_node(node), tail.starts[node.name], shared.get(node.name, 0)) for node in tail.nodes)
    return (tuple(nodes), tuple(places))


def _node(node: Node) -> tuple[Any, ...]:
    """Return a node as plain data: constants that differ from unit to unit are in a memory."""
    kind = type(node).__name__
    return (kind, *(_plain(getattr(node, f.name)) for f in fields(node)))


def _plain(value: Any) -> Any:
    if isinstance(value, Constant):
        return ("constant", value.bits, value.values if value.is_shared else ())
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, (bool, int)):
        return int(value)
    if isinstance(value, str):
        return str(value)
    return (type(value).__name__, *(_plain(getattr(value, f.name)) for f in fields(value)))


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _tuples(value: Any, depth: int = 0) -> Any:
    if isinstance(value, list):
        if depth > DEPTH or len(value) > ENTRIES:
            raise ValueError("hardware of a plan must not be nested or long beyond all plans")
        return tuple(_tuples(item, depth + 1) for item in value)
    if type(value) is bool or not isinstance(value, (int, str)):
        raise ValueError(f"hardware of a plan must hold integers and names, not {ascii(value)[:60]}")
    if isinstance(value, int) and not -MOST <= value <= MOST:
        raise ValueError(f"hardware of a plan must hold integers of 62 bits, not {ascii(value)[:60]}")
    return value
