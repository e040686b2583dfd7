"""When each node of a tail starts, and on which shared multiplier or memory: modulo scheduling.

A new unit enters every ``interval`` cycles, in phase 0. A node that starts at time t of each unit starts in
phase ``t mod interval``. So nodes may share a multiplier whose phases differ. Each node starts as early as
its operands and a free multiplier allow.

The register of a node shows its result for ``interval`` cycles; a copy behind it shows it for as many more,
and so on. A constant is a part of the word that the memory of constants gives in each phase.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from qornn_hw.compiler.engines.tile.nodes import (
    Constant,
    Load,
    Lookup,
    MultiplyAdd,
    Node,
    Operand,
    Slice,
    Store,
    Symbol,
    Transformed,
)

__all__ = ["NoMultiplierError", "Place", "TailSchedule", "schedule_tail"]


# Bits of a block RAM's word, where it is short.
RAM_WIDTH = 16


@dataclass(frozen=True)
class Place:
    """A constant in the memory of constants.

    Attributes:
        phase: of its word.
        low: its lowest bit in the word.
        bits: of the constant.
        copies: registers behind the memory, which hold it until it is read.
    """

    phase: int
    low: int
    bits: int
    copies: int


@dataclass(frozen=True)
class TailSchedule:
    """A tail in time.

    Attributes:
        nodes: each behind those that it reads.
        interval: cycles from unit to unit.
        starts: the cycle of each node's start, counted from that in which the accumulators are there.
        multipliers: the multiplier of each MultiplyAdd.
        ports: the memory of each Lookup, among those of its table.
        places: of the constants that differ from unit to unit, by the node and the number of the operand that
            it reads.
    """

    nodes: tuple[Node, ...]
    interval: int
    starts: Mapping[str, int]
    multipliers: Mapping[str, int]
    ports: Mapping[str, int]
    places: Mapping[tuple[str, int], Place]

    @property
    def end(self) -> int:
        """The last cycle in which something is stored; operands take another one."""
        stores = (node for node in self.nodes if isinstance(node, Store))
        return max((self.starts[node.name] + _takes_another(node) for node in stores), default=0)

    def node(self, name: str) -> Node:
        """Return a node."""
        return next(node for node in self.nodes if node.name == name)

    def shown(self, node: Node) -> int:
        """Return the first cycle in which a node's register shows its result."""
        return self.starts[node.name] + node.latency

    def copy(self, node: Node, time: int) -> int:
        """Return which copy of a node's register shows its result at a time: 0 is the register itself."""
        return (time - self.shown(node)) // self.interval


def _takes_another(node: Store) -> int:
    """Return 1 where a memory behind registers takes the value."""
    return int(node.is_operand or node.is_transformed)


class NoMultiplierError(ValueError):
    """More multipliers would help."""


@dataclass
class _Scheduling:
    interval: int
    multipliers: int
    lookups: Counter[int]
    starts: dict[str, int] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    busy: set[tuple[object, ...]] = field(default_factory=set)
    shown: dict[str, int] = field(default_factory=dict)

    def earliest(self, node: Node) -> int:
        """Return the first cycle in which every operand is there when it is read."""
        times = [0]
        for operand, at in node.reads:
            times.append(self._there(operand) - at)
        return max(times)

    def _there(self, operand: Operand) -> int:
        if isinstance(operand, Constant):
            return 0 if operand.is_shared else 1
        return self.shown[operand.node if isinstance(operand, Slice) else operand]

    def start(self, node: Node, loaded_until: int) -> None:
        """Choose the start of a node."""
        time = self.earliest(node)
        if isinstance(node, MultiplyAdd):
            time, self.units[node.name] = self._free(time, "multiplier", range(self.multipliers))
        elif isinstance(node, Lookup):
            count = -(-self.lookups[node.table] // self.interval)
            time, self.ports[node.name] = self._free(time, f"table {node.table}", range(count))
        elif isinstance(node, Store):
            # Its strobe comes from a register.
            time = max(time, loaded_until, 1)
            wanted = [
                name for name, used in (("operands", node.is_operand), ("states", node.is_state)) if used
            ]
            time = self._free_of_all(time, wanted)
        self.starts[node.name] = time
        self.shown[node.name] = time + node.latency

    def _free(self, time: int, name: str, units: range) -> tuple[int, int]:
        for later in range(time, time + self.interval):
            for unit in units:
                key = (name, unit, later % self.interval)
                if key not in self.busy:
                    self.busy.add(key)
                    return later, unit
        raise NoMultiplierError(name)

    def _free_of_all(self, time: int, names: list[str]) -> int:
        for later in range(time, time + self.interval):
            keys = {(name, later % self.interval) for name in names}
            if not keys & self.busy:
                self.busy |= keys
                return later
        raise ValueError(f"more values go to the {' and the '.join(names)} than a port takes in that time")


def schedule_tail(nodes: tuple[Node, ...], interval: int, multipliers: int) -> TailSchedule:
    """Return a tail in time.

    Args:
        nodes: each behind those that it reads.
        interval: cycles from unit to unit.
        multipliers: how many there are.

    Raises:
        NoMultiplierError: the nodes do not fit so few multipliers.
        ValueError: they do not fit so short an interval.
    """
    lookups = Counter(node.table for node in nodes if isinstance(node, Lookup))
    s = _Scheduling(interval, multipliers, lookups)
    loads = [node for node in nodes if isinstance(node, (Load, Symbol, Transformed))]
    for load in loads:
        s.starts[load.name], s.shown[load.name] = 0, load.latency
    others = [node for node in nodes if not isinstance(node, (Load, Symbol, Transformed))]
    for node in others:
        if not isinstance(node, Store):
            s.start(node, 0)
    _delay_loads(s, loads, others)
    for node in others:
        if isinstance(node, Store):
            # A memory shows the word of a unit for an interval: no new one may come before its end.
            stored = (load for load in loads if not isinstance(load, Symbol))
            reads = (load for load in stored if load.value == node.target)
            until = [s.starts[load.name] + interval for load in reads]
            s.start(node, max(until, default=0))
    return TailSchedule(nodes, interval, s.starts, s.units, s.ports, _places(nodes, s.starts, interval))


def _delay_loads(s: _Scheduling, loads: list[Load | Symbol | Transformed], others: list[Node]) -> None:
    """Read each stored value as late as its first reader allows: a copy fewer for each interval."""
    for load in loads:
        times = [
            s.starts[node.name] + at
            for node in others
            if node.name in s.starts
            for operand, at in node.reads
            if _name(operand) == load.name
        ]
        first = min(times, default=load.latency)
        s.starts[load.name] = (first - load.latency) // s.interval * s.interval
        s.shown[load.name] = s.starts[load.name] + load.latency


def _name(operand: Operand) -> str | None:
    if isinstance(operand, Slice):
        return operand.node
    return operand if isinstance(operand, str) else None


def _constants(
    nodes: tuple[Node, ...], starts: Mapping[str, int]
) -> Iterator[tuple[str, int, Constant, int]]:
    """Yield each constant that is not shared: its reader, the number of the operand, itself, and the time."""
    for node in nodes:
        for number, (operand, at) in enumerate(node.reads):
            if isinstance(operand, Constant) and not operand.is_shared:
                yield node.name, number, operand, starts[node.name] + at


def _places(
    nodes: tuple[Node, ...], starts: Mapping[str, int], interval: int
) -> dict[tuple[str, int], Place]:
    """Return where the constants are: those of a phase side by side in its word.

    The word of phase p of a unit is there at time ``p + 1``. Each constant is taken from the word that is
    there when it is read. Where the word of a phase is wider than the others', a constant of it is read in
    an earlier phase and held, if the memory becomes a block RAM smaller. A constant that several nodes read,
    as one object, is stored once in each word that they read it from.
    """
    needed = {(name, n): (operand, time) for name, n, operand, time in _constants(nodes, starts)}
    phases = {key: (time - 1) % interval for key, (_, time) in needed.items()}
    while (moved := _narrower(needed, phases, interval)) is not None:
        phases = moved
    found: dict[tuple[str, int], Place] = {}
    used = [0] * interval
    lows: dict[tuple[int, int], int] = {}
    for key, (operand, time) in needed.items():
        phase = phases[key]
        low = lows.setdefault((phase, id(operand)), used[phase])
        used[phase] = max(used[phase], low + operand.bits)
        found[key] = Place(phase, low, operand.bits, -(-(time - 1 - phase) // interval))
    return found


def _narrower(
    needed: Mapping[tuple[str, int], tuple[Constant, int]],
    phases: Mapping[tuple[str, int], int],
    interval: int,
) -> dict[tuple[str, int], int] | None:
    """Return phases, some constants moved, whose widest word takes a block RAM less; None without such."""
    found = dict(phases)

    def widths(of: Mapping[tuple[str, int], int]) -> list[int]:
        held = [
            {id(operand): operand.bits for key, (operand, _) in needed.items() if of[key] == phase}
            for phase in range(interval)
        ]
        return [sum(bits.values()) for bits in held]

    blocks = -(-max(widths(found), default=0) // RAM_WIDTH)
    while any(-(-width // RAM_WIDTH) >= blocks for width in widths(found)):
        before = widths(found)
        widest = before.index(max(before))
        moves = []
        for key, (operand, time) in needed.items():
            for to in range(interval):
                if found[key] == widest and to != widest and to + 1 < time:
                    after = widths(found | {key: to})
                    moves.append((max(after[to], after[widest]), operand.bits, key, to))
        if not moves or min(moves)[0] >= before[widest]:
            return None
        _, _, key, to = min(moves)
        found[key] = to
    return found
