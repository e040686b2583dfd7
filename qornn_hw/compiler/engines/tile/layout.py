"""A network on the tile engine: stages, tails, and when everything happens.

The shape of the engine is data (:class:`Shape`); all else follows from it and from the network.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from qornn_hw.cells.any_network import AnyNetwork, operations_of, ranges_of
from qornn_hw.compiler.engines.tile.constants import shared_memories
from qornn_hw.compiler.engines.tile.digits import CODE_BITS
from qornn_hw.compiler.engines.tile.nodes import Load, Lookup, MultiplyAdd, Node, Store, Symbol
from qornn_hw.compiler.engines.tile.stages import Stage, is_fresh, lane_digits, lanes_of_a_unit, stages_of
from qornn_hw.compiler.engines.tile.tail_builder import Kept, Tables, build_tail
from qornn_hw.compiler.engines.tile.tail_schedule import (
    NoMultiplierError,
    TailSchedule,
    schedule_tail,
)
from qornn_hw.compiler.family import SPRAM_WORD_BITS
from qornn_hw.compiler.ports import input_words_per_step
from qornn_hw.errors import FormatError
from qornn_hw.ir.intervals import Ranges, check_ranges
from qornn_hw.ir.network import Group, Layer, Network
from qornn_hw.ir.ops import Assign, Operation

__all__ = [
    "COLUMNS",
    "INTERVAL_MAX",
    "LANES_MAX",
    "MULTIPLIERS_MAX",
    "Shape",
    "TileLayout",
    "layout_of",
    "least_multipliers",
    "refusal",
]


# What a shape can have. The tails of the known cells have no use for more than 8 cycles from unit to unit,
# and a core of more lanes has more logic than the largest of our devices.
COLUMNS = (1, 2, 4, 8, 16, 32)
LANES_MAX, INTERVAL_MAX, MULTIPLIERS_MAX, BANKS_MAX = 256, 8, 32, 16


@dataclass(frozen=True)
class Shape:
    """What of the engine can be chosen.

    Attributes:
        columns: columns of a tile, P, a power of two.
        lanes: rows of a tile, L.
        interval: cycles from unit to unit in the tails, G.
        multipliers: that the tails share.
        banks: large memories that hold a part of the weights.

    Raises:
        FormatError: a number that no shape has.
    """

    columns: int
    lanes: int
    interval: int
    multipliers: int
    banks: int = 0

    def __post_init__(self) -> None:
        if self.columns not in COLUMNS:
            raise FormatError(f"columns must be one of {', '.join(map(str, COLUMNS))}, not {self.columns}")
        for name, least, most in (
            ("lanes", 1, LANES_MAX),
            ("interval", 1, INTERVAL_MAX),
            ("multipliers", 1, MULTIPLIERS_MAX),
            ("banks", 0, BANKS_MAX),
        ):
            if not least <= (value := getattr(self, name)) <= most:
                raise FormatError(f"{name} must be {least} to {most}, not {value}")


@dataclass(frozen=True, eq=False)
class TileLayout:
    """A network on a shape.

    Attributes:
        network: as operations.
        ranges: of its values.
        shape: of the engine.
        digits: of a lane, D.
        unit_lanes: lanes of a unit, R.
        stages: in order, the readout's last.
        tails: of each stage but the last.
        tables: the different tables, entry i at ``i`` modulo its size.
        kept: the values that are stored.
    """

    network: Network
    ranges: Ranges
    shape: Shape
    digits: int
    unit_lanes: int
    stages: tuple[Stage, ...]
    tails: tuple[TailSchedule, ...]
    tables: tuple[tuple[int, ...], ...]
    kept: Kept

    @property
    def slot_logits(self) -> int:
        """Logits of a slot of the readout."""
        return min(self.unit_lanes, self.shape.interval)

    @property
    def pass_slots(self) -> int:
        """Slots of a pass."""
        return self.shape.lanes // self.unit_lanes

    @property
    def used_lanes(self) -> int:
        """Lanes that are built."""
        return self.pass_slots * self.unit_lanes

    # -- operands -------------------------------------------------------------------------------------

    @cached_property
    def vectors(self) -> tuple[str, ...]:
        """The vectors that matrices read, in the order of their first use."""
        return tuple(dict.fromkeys(phase.vector for stage in self.stages for phase in stage.phases))

    @cached_property
    def operand_bits(self) -> int:
        """Signed bits of an operand."""
        return max(self.ranges.bits(vector) for vector in self.vectors)

    @cached_property
    def regions(self) -> tuple[tuple[str, str], ...]:
        """The parts of the operand memory: a vector and which of its copies.

        The input has two, ``0`` and ``1``. A state that some stage reads as it was before the step has two
        that change places with each step, and the ``initial`` one. Other values have one.
        """
        old = {
            phase.vector
            for number, stage in enumerate(self.stages)
            for phase in stage.phases
            if not self.is_fresh(phase.vector, number)
        }
        found: list[tuple[str, str]] = []
        for vector in self.vectors:
            copies = ["0"]
            if vector == self.network.input.name:
                copies = ["0", "1"]
            elif vector in old:
                copies = ["0", "1", "initial"]
            found += [(vector, copy) for copy in copies]
        return tuple(found)

    def region_words(self, vector: str) -> int:
        """Return the words of a region of a vector, a power of two."""
        return 1 << (self.words(self.network.sizes[vector]) - 1).bit_length()

    @cached_property
    def bases(self) -> Mapping[tuple[str, str], int]:
        """The first word of each region, a multiple of its words: the largest regions come first."""
        found, base = {}, 0
        for vector, copy in sorted(self.regions, key=lambda region: -self.region_words(region[0])):
            found[vector, copy] = base
            base += self.region_words(vector)
        return found

    @property
    def operand_words(self) -> int:
        """Words of the operand memory."""
        return max(2, sum(self.region_words(vector) for vector, _ in self.regions))

    @cached_property
    def word_bits(self) -> int:
        """Bits of the address of a word in the largest region."""
        return (max(map(self.region_words, self.vectors)) - 1).bit_length()

    def is_fresh(self, vector: str, stage: int) -> bool:
        """Return whether a stage reads what the same step has stored, not the value of the step before."""
        return is_fresh(self.network, vector, self.stages[stage].layer)

    def words(self, columns: int) -> int:
        """Return the words of a vector."""
        return -(-columns // self.shape.columns)

    # -- time -----------------------------------------------------------------------------------------

    @property
    def lane_latency(self) -> int:
        """Cycles from the issue of a word to the accumulator with its products: A.

        The memories, the choice of the products, the levels of both trees of adders, the accumulator.
        """
        return 3 + (self.shape.columns - 1).bit_length() + (self.digits - 1).bit_length()

    def issues(self, stage: Stage) -> int:
        """Return the words of a pass: W."""
        return sum(self.words(phase.columns) for phase in stage.phases)

    def passes(self, stage: Stage) -> int:
        """Return the passes of a stage: N."""
        return -(-stage.slots // self.pass_slots)

    def pass_cycles(self, stage: Stage) -> int:
        """Return the cycles from pass to pass, a multiple of the interval: T."""
        g = self.shape.interval
        slots = min(self.pass_slots, stage.slots)
        return -(-max(self.issues(stage), slots * g) // g) * g

    def burst(self, stage: Stage) -> int:
        """Return the cycles from the first issue of a pass to its first slot in the tail: W + A."""
        return self.issues(stage) + self.lane_latency

    def transform_cycles(self, stage: Stage) -> int:
        """Return the cycles of a stage before its first issue, so that its first slot finds a result."""
        return 0 if stage.transform is None else max(0, stage.transform.cycles - self.burst(stage))

    def tail_end(self, number: int) -> int:
        """Return the cycle of the last slot in which its last value is stored, or all its sums are taken."""
        if number < len(self.tails):
            return max(1, self.tails[number].end)
        logits, slots = self.network.output_size, self.stages[number].slots
        return logits - (slots - 1) * self.slot_logits

    def slot_start(self, stage: Stage, slot: int) -> int:
        """Return when a slot enters the tail, from the first one on."""
        number, at = divmod(slot, self.pass_slots)
        return number * self.pass_cycles(stage) + at * self.shape.interval

    def stage_cycles(self, number: int) -> int:
        """Return the cycles from the start of a stage to that of the next one."""
        stage = self.stages[number]
        first = self.transform_cycles(stage) + self.burst(stage)
        return first + self.slot_start(stage, stage.slots - 1) + self.tail_end(number) + 1

    @cached_property
    def step_stages(self) -> int:
        """Stages that each step computes; those behind are left out where a step is not answered."""
        return sum(stage.layer < self.network.step_layers for stage in self.stages)

    @property
    def step_cycles(self) -> int:
        """Cycles of the stages that each step computes."""
        return sum(self.stage_cycles(number) for number in range(self.step_stages))

    @property
    def state_cycles(self) -> int:
        """Cycles of all stages but the readout's."""
        return sum(self.stage_cycles(number) for number in range(len(self.tails)))

    @property
    def input_cycles(self) -> int:
        """Cycles that the words of an input take at least, beside the entries that each step stores."""
        stores = sum(
            stage.slots
            for stage, tail in zip(self.stages[: self.step_stages], self.tails, strict=False)
            for node in tail.nodes
            if isinstance(node, Store) and node.is_operand
        )
        return input_words_per_step(self.network) + stores

    @property
    def readout_cycles(self) -> int:
        """Cycles of the readout's stage."""
        return self.stage_cycles(len(self.tails))

    @cached_property
    def logit_bits(self) -> int:
        """Bits of a logit, and of what is added to its sums."""
        logits = self.network.readout.logits
        lacking = sum(
            int(matrix.lacking.max()) << matrix.shift
            for phase in self.stages[-1].phases
            for matrix in phase.matrices
        )
        reach = int(np.abs(logits.bias).max()) + lacking
        return max(self.ranges.bits(logits.name), reach.bit_length() + 1)

    # -- memories -------------------------------------------------------------------------------------

    @cached_property
    def _constant_words(self) -> tuple[tuple[int, int], ...]:
        """The words and the bits of the constants of each stage."""
        ends = (max((p.low + p.bits for p in tail.places.values()), default=0) for tail in self.tails)
        widths = (*ends, self.logit_bits)
        return tuple(
            (stage.slots * self.shape.interval, bits) for stage, bits in zip(self.stages, widths, strict=True)
        )

    @cached_property
    def constant_memories(self) -> tuple[tuple[int, ...], ...]:
        """The stages whose constants are in each memory of constants."""
        return shared_memories(self._constant_words)

    def constant_memory(self, number: int) -> int:
        """Return which memory has the constants of a stage."""
        return next(k for k, stages in enumerate(self.constant_memories) if number in stages)

    def constant_shape(self, memory: int) -> tuple[int, int]:
        """Return the words of a memory of constants, and its bits; one of a single word had no address."""
        shapes = [self._constant_words[number] for number in self.constant_memories[memory]]
        return max(2, sum(words for words, _ in shapes)), max(1, *(bits for _, bits in shapes))

    def first_constant(self, number: int) -> int:
        """Return the address of the first word of constants of a stage, in its memory."""
        stages = self.constant_memories[self.constant_memory(number)]
        return sum(self._constant_words[k][0] for k in stages if k < number)

    @property
    def weight_bits(self) -> int:
        """Bits of the weights of a tile."""
        return self.used_lanes * CODE_BITS * self.digits * self.shape.columns

    @property
    def weight_words(self) -> int:
        """Tiles of all stages."""
        return max(2, sum(self.passes(stage) * self.issues(stage) for stage in self.stages))

    @cached_property
    def phase_bits(self) -> tuple[int, ...]:
        """Bits of the sums of each phase. Phases are counted from the last one of a pass."""
        count = max(len(stage.phases) for stage in self.stages)
        bits = [1] * count
        for stage in self.stages:
            for number, phase in enumerate(stage.phases, count - len(stage.phases)):
                bits[number] = max(bits[number], *(matrix.bits for matrix in phase.matrices))
        return tuple(bits)

    @cached_property
    def factor_bits(self) -> tuple[tuple[int, int], ...]:
        """Bits of the factors of each multiplier."""
        bits = [(1, 1)] * self.products
        for tail in self.tails:
            sizes = {node.name: node.bits for node in tail.nodes}
            for node in tail.nodes:
                if isinstance(node, MultiplyAdd):
                    unit = tail.multipliers[node.name]
                    a, b = (sizes[f] if isinstance(f, str) else f.bits for f in (node.a, node.b))
                    bits[unit] = max(bits[unit][0], a), max(bits[unit][1], b)
        return tuple(bits)

    @cached_property
    def loaded_states(self) -> frozenset[str]:
        """States that a tail loads as they were before the step."""
        return frozenset(load.value for tail in self.tails for load in _loads(tail.nodes) if not load.fresh)

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """The rows that an index selects weights of."""
        return tuple(node for tail in self.tails for node in tail.nodes if isinstance(node, Symbol))

    @cached_property
    def table_ports(self) -> tuple[int, ...]:
        """Memories with the contents of each table."""
        counts = [0] * len(self.tables)
        for tail in self.tails:
            for node in tail.nodes:
                if isinstance(node, Lookup):
                    counts[node.table] = max(counts[node.table], tail.ports[node.name] + 1)
        return tuple(counts)

    @cached_property
    def products(self) -> int:
        """Multipliers that some tail uses."""
        return max((unit + 1 for tail in self.tails for unit in tail.multipliers.values()), default=0)

    @cached_property
    def state_order(self) -> tuple[tuple[str, int], ...]:
        """The entries of the states in the order in which they are stored."""
        found: list[tuple[str, int]] = []
        for stage, tail in zip(self.stages, self.tails, strict=False):
            stores = [node for node in tail.nodes if isinstance(node, Store) and node.is_state]
            events = [
                (self.slot_start(stage, unit) + tail.starts[node.name], node.target, unit)
                for unit in range(stage.slots)
                for node in stores
            ]
            found += [(target, unit) for _, target, unit in sorted(events)]
        return tuple(found)


def _loads(nodes: tuple[Node, ...]) -> Iterator[Load]:
    return (node for node in nodes if isinstance(node, Load))


def refusal(network: AnyNetwork) -> str | None:
    """Return why the engine cannot compute a network, None if it can."""
    try:
        _checked(operations_of(network))
    except FormatError as error:
        return str(error)
    return None


@lru_cache(maxsize=64)
def layout_of(network: AnyNetwork, shape: Shape) -> TileLayout:
    """Return a network on a shape.

    Raises:
        FormatError: the engine cannot compute the network, or the shape is too small for it.
    """
    unit_lanes = lanes_of_a_unit(operations_of(network))
    if shape.lanes < unit_lanes:
        raise FormatError(f"lanes must be at least {unit_lanes}, those of one unit, not {shape.lanes}")
    try:
        stages, kept, tables, tails = _tails_of(network, shape.interval, shape.multipliers)
    except NoMultiplierError:
        raise FormatError(
            f"multipliers must suffice for a unit in {cycles(shape.interval)}, and {shape.multipliers} do not"
        ) from None
    except FormatError:
        raise
    except ValueError as error:
        raise FormatError(f"interval must be more than {cycles(shape.interval)}: {error}") from None
    operations = operations_of(network)
    layout = TileLayout(
        operations,
        ranges_of(network),
        shape,
        lane_digits(operations),
        unit_lanes,
        stages,
        tails,
        tables,
        kept,
    )
    if shape.banks * SPRAM_WORD_BITS >= layout.weight_bits + SPRAM_WORD_BITS:
        raise FormatError(
            f"banks must be at most {-(-layout.weight_bits // SPRAM_WORD_BITS)}, not {shape.banks}"
        )
    return layout


def least_multipliers(network: AnyNetwork, interval: int) -> int | None:
    """Return the fewest multipliers with which the tails have an interval; None where none suffice."""
    for multipliers in range(1, MULTIPLIERS_MAX + 1):
        try:
            _tails_of(network, interval, multipliers)
        except NoMultiplierError:
            continue
        except FormatError:
            raise
        except ValueError:
            return None
        return multipliers
    return None


@lru_cache(maxsize=64)
def _tails_of(
    network: AnyNetwork, interval: int, multipliers: int
) -> tuple[tuple[Stage, ...], Kept, tuple[tuple[int, ...], ...], tuple[TailSchedule, ...]]:
    """Return stages, stored values, tables and tails: they do not depend on the tile.

    Raises:
        FormatError: the engine cannot compute the network.
        ValueError: the multipliers or the interval do not suffice.
    """
    operations, ranges = operations_of(network), ranges_of(network)
    check_ranges(operations, ranges)
    assigned, behind = _checked(operations)
    stages = stages_of(operations, ranges, min(lanes_of_a_unit(operations), interval))
    kept, tables = _kept(operations, stages, assigned, behind), Tables()
    tails = []
    for number, stage in enumerate(stages[:-1]):
        last = number == len(stages) - 2
        nodes = build_tail(operations, ranges, stage, kept, tables, assigned[number], behind if last else ())
        tails.append(schedule_tail(nodes, interval, multipliers))
    return stages, kept, tuple(tables.entries), tuple(tails)


def _checked(network: Network) -> tuple[list[dict[str, str]], tuple[Operation, ...]]:
    """Return the states that each stage assigns with their values, and the operations behind the last stage.

    Raises:
        FormatError: the engine cannot compute the network.
    """
    assigned: list[dict[str, str]] = []
    for group in (group for layer in network.layers for group in layer.groups):
        if all(term.one_hot for row in group.rows for term in row.terms):
            name = group.rows[0].name
            raise FormatError(f"{name} or another row of its group must multiply a vector, and none does")
    if any(term.one_hot for term in network.readout.logits.terms):
        raise FormatError(f"{network.readout.logits.name} must multiply a vector, not an index")
    for layer in network.layers:
        assigned += _moves(layer)
        for group in layer.groups:
            _check_sizes(network, group)
    units = network.layers[-1].groups[-1].units
    for op in network.readout.tail:
        for name in (op.name, *op.operands):
            if network.sizes[name] != units:
                raise FormatError(
                    f"{name} must have {units} entries, as the last layer, not {network.sizes[name]}"
                )
    return assigned, network.readout.tail


def cycles(count: int) -> str:
    """Return a number of cycles in words."""
    return f"{count} cycle{'s' * (count != 1)}"


def _moves(layer: Layer) -> list[dict[str, str]]:
    """Return what each stage of a layer assigns: a state in the last stage with as many units."""
    values = {op.name: op.value for group in layer.groups for op in group.tail if isinstance(op, Assign)}
    found: list[dict[str, str]] = [{} for _ in layer.groups]
    for state in layer.states:
        fitting = [k for k, group in enumerate(layer.groups) if group.units == state.size]
        behind = layer.groups[fitting[-1] + 1 :] if fitting else ()
        reads = [name for group in behind for op in group.tail for name in (*op.operands, op.name)]
        own = [row.name for group in behind for row in group.rows]
        if not fitting or state.name in reads or values[state.name] in (*reads, *own):
            raise FormatError(
                f"{state.name} must be assigned in the last group that uses it, which must have "
                f"{state.size} units"
            )
        found[fitting[-1]][state.name] = values[state.name]
    return found


def _check_sizes(network: Network, group: Group) -> None:
    for op in group.tail:
        if isinstance(op, Assign):
            continue
        for name in (op.name, *op.operands):
            if network.sizes[name] != group.units:
                raise FormatError(
                    f"{name} must have {group.units} entries, as its group, not {network.sizes[name]}"
                )


def _kept(
    network: Network,
    stages: tuple[Stage, ...],
    assigned: list[dict[str, str]],
    behind: tuple[Operation, ...],
) -> Kept:
    operands = {phase.vector for stage in stages for phase in stage.phases} - {network.input.name}
    loaded: set[str] = set()
    for number, stage in enumerate(stages[:-1]):
        assert stage.group is not None
        own = {row.name for row in stage.group.rows}
        reads: list[str] = []
        for op in stage.group.tail:
            if isinstance(op, Assign):
                continue
            reads += op.operands
            own.add(op.name)
        reads += assigned[number].values()
        if number == len(stages) - 2:
            own |= set(assigned[number])
            for op in behind:
                reads += op.operands
                own.add(op.name)
            # In front of the readout a state means its new value; elsewhere in the stage the old one.
            old = {n for op in stage.group.tail if not isinstance(op, Assign) for n in op.operands}
            old |= set(assigned[number].values())
            loaded |= old & set(assigned[number])
        loaded |= set(reads) - own
    transformed = {stage.transform.vector for stage in stages if stage.transform is not None}
    return Kept(frozenset(operands), frozenset(loaded), frozenset(transformed))
