"""The tile engine as an object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.compiler.engine import Engine, WrongWire
from qornn_hw.compiler.engines.tile.cost import cost_of
from qornn_hw.compiler.engines.tile.digits import CODE_BITS
from qornn_hw.compiler.engines.tile.layout import (
    COLUMNS,
    INTERVAL_MAX,
    Shape,
    layout_of,
    least_multipliers,
    refusal,
)
from qornn_hw.compiler.engines.tile.memories import constant_memory_name, layouts_of, memories_of
from qornn_hw.compiler.engines.tile.plan import TilePlan, shape_of
from qornn_hw.compiler.engines.tile.schedule import TileSchedule
from qornn_hw.compiler.engines.tile.stages import lane_digits, lanes_of_a_unit
from qornn_hw.compiler.estimate import block_rams
from qornn_hw.compiler.family import RESOURCE_NAMES, SPRAM_WORD_BITS, Family, Resources
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.network_sites import sites
from qornn_hw.compiler.plan import Plan
from qornn_hw.compiler.request import Considered, Request
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.site import Site
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import CapacityError, FormatError

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design

__all__ = ["ENGINE", "TileEngine"]

# Lanes that are considered, if a unit does not need more.
LANES_CONSIDERED = 96
# Shares of the logic cells that builds were placed with; on devices with slices more has not been tried.
FILL_LIMIT = 0.92
FILL_LIMIT_OF_SLICES = 0.65
# An answer is late where it takes so many times the cycles of the soonest one.
LATE = 2
# Schedules that explain a choice.
CONSIDERED = 8
MEMORY_MEANINGS = {
    "weights": "digits of the weights, a word of all lanes for each word of operands",
    "operands": "input and states, the initial ones too",
    "constants_*": "factors and biases of each unit",
    "tail.table_*": "a table, the entry of each index modulo its size",
    "tail.symbols_*": "weights of an index: of unit u and symbol x at u << bits | x",
    "tail.transform_*.bank_*": "a state that is transformed, one of its 8 banks",
    "tail.state_*": "a value that is kept, then the initial ones of a state",
    "answer.queue": "answer words on their way out",
}
USUAL = Shape(columns=4, lanes=12, interval=4, multipliers=4)


class TileEngine(Engine):
    """Lanes that each compute a row of a tile of a matrix, and a pipeline behind them (docs/tile.md)."""

    name = "tile"
    chosen_unasked = False
    hard_multipliers = False
    memory_meanings = MEMORY_MEANINGS

    # -- planning -------------------------------------------------------------------------------------

    def fill_limit(self, family: Family) -> float:
        """Return the share of the logic cells that an estimate may take; slices have fewer registers."""
        return FILL_LIMIT_OF_SLICES if family.has_lut_ram else FILL_LIMIT

    def refuses(self, network: AnyNetwork, family: Family | None) -> str | None:
        """Return why a network has no stages of its kind."""
        reason = refusal(network)
        return reason and f"the {self.name} engine cannot compute the network: {reason}"

    def plans(self, request: Request) -> Iterator[Schedule]:
        """Yield the shapes that fit by the estimate, the fewest cycles first.

        Of equals the smallest comes first whose answer is not late: no more than twice as many cycles behind
        the last input as that of the others. If ``request.cycles`` is given, the smallest shape within
        it comes first, however late its answer.
        """
        if request.room:
            raise FormatError(
                f"the {self.name} engine must have the constants of one network, and has no room for other "
                "weights; take another engine, or make a full build of each network"
            )
        fitting = [(s, need) for s, need in self._costed(request) if not need.excess(self._limit(request))]
        soonest: dict[int, int] = {}
        for schedule, _ in fitting:
            cycles, latency = schedule.cycles_per_step, schedule.answer_end_latency
            soonest[cycles] = min(soonest.get(cycles, latency), latency)

        def order(one: tuple[TileSchedule, Resources]) -> tuple[int, bool, int, int]:
            schedule, need = one
            cycles = max(schedule.cycles_per_step, request.cycles)
            late = schedule.answer_end_latency > LATE * soonest[schedule.cycles_per_step]
            return cycles, late and not request.cycles, need.spram, need.lut

        for schedule, _ in sorted(fitting, key=order):
            yield schedule

    @lru_cache(maxsize=4)  # noqa: B019  an engine is one object, which never ends
    def _costed(self, request: Request) -> tuple[tuple[TileSchedule, Resources], ...]:
        """Return all shapes with what they take."""
        return tuple((s, self.cost(s, request.family)) for s in self._schedules(request))

    def _limit(self, request: Request) -> Resources:
        """Return what an estimate may take."""
        return request.limit(self.fill_limit(request.family))

    def _schedules(self, request: Request) -> Iterator[TileSchedule]:
        """Yield all shapes that can be better than others."""
        network = request.network
        unit_lanes = lanes_of_a_unit(operations_of(network))
        units = max(state.size for state in operations_of(network).states.values())
        most = request.lanes or 1 << 20
        for interval in range(1, INTERVAL_MAX + 1):
            multipliers = least_multipliers(network, interval)
            if multipliers is None:
                continue
            for columns in COLUMNS:
                for slots in range(1, units + 1):
                    lanes = slots * unit_lanes
                    if lanes > max(LANES_CONSIDERED, unit_lanes) or lanes * columns > most:
                        break
                    # As many passes with fewer lanes are as fast.
                    if slots > 1 and -(-units // slots) == -(-units // (slots - 1)):
                        continue
                    for banks in self._banks(request, lanes * columns):
                        yield TileSchedule(network, self, Shape(columns, lanes, interval, multipliers, banks))

    def _banks(self, request: Request, products: int) -> tuple[int, ...]:
        """Return how many large memories can hold weights of so many products a cycle."""
        there = request.available.spram if "spram" in request.family.primitives else 0
        weight_bits = products * CODE_BITS * lane_digits(operations_of(request.network))
        banks = min(there, weight_bits // SPRAM_WORD_BITS)
        return (0, banks) if banks else (0,)

    def too_large(self, request: Request) -> str:
        """Return what the shape that is nearest to fitting lacks."""
        limit, unit_lanes = self._limit(request), lanes_of_a_unit(operations_of(request.network))
        if request.lanes is not None and request.lanes < unit_lanes:
            return f"lanes must be at least {unit_lanes}, those of one unit, not {request.lanes}"

        def miss(need: Resources) -> float:
            over = need.excess(limit)
            return sum((amount / max(1, getattr(limit, name)) for name, amount in over.items()), 0.0)

        least = min((need for _, need in self._costed(request)), key=miss, default=None)
        if least is None:
            return f"network must have a tail that takes a unit in {INTERVAL_MAX} cycles, and has none"
        parts = " and ".join(_counted(number, name) for name, number in least.excess(limit).items())
        return (
            f"network must fit {request.name} with the {self.name} engine, which lacks {parts}; take fewer "
            "hidden units or weights of fewer bits"
        )

    def considered(self, request: Request, *, chosen: bool) -> Sequence[Considered]:
        """Return the fastest shapes that fit."""
        found = []
        for schedule in self.plans(request):
            shape = TileSchedule.of(schedule).shape
            text = f"{shape.columns} columns, {shape.lanes} lanes, G {shape.interval}"
            found.append(Considered(schedule, self.cost(schedule, request.family), {}, text))
            if len(found) == CONSIDERED:
                break
        return found

    def check_lanes(self, schedule: Schedule, request: Request) -> None:
        """Raise a CapacityError if the schedule has more multiply-accumulates a cycle than are allowed."""
        if request.lanes is not None and request.lanes < schedule.lanes:
            raise CapacityError(
                f"lanes must be at least {schedule.lanes} with the {self.name} engine, not {request.lanes}"
            )

    # -- from a network to a design -------------------------------------------------------------------

    def usual_schedule(self, network: AnyNetwork, lanes: int | None) -> Schedule:
        """Return a schedule of four columns, of at most ``lanes`` multiply-accumulates a cycle."""
        if lanes is not None and lanes < 1:
            raise FormatError(f"lanes must be at least 1, not {lanes}")
        unit_lanes = lanes_of_a_unit(operations_of(network))
        columns = USUAL.columns if lanes is None or lanes >= USUAL.columns * unit_lanes else 1
        rows = USUAL.lanes if lanes is None else max(1, lanes // columns)
        if rows < unit_lanes:
            if lanes is not None:
                raise FormatError(f"lanes must be at least {unit_lanes}, those of one unit, not {lanes}")
            rows = unit_lanes
        interval = next(g for g in (*range(USUAL.interval, 9), 3, 2, 1) if least_multipliers(network, g))
        multipliers = least_multipliers(network, interval)
        assert multipliers is not None
        return TileSchedule(network, self, Shape(columns, rows, interval, multipliers))

    def compile(self, schedule: Schedule) -> "Design":
        """Return the design of a schedule."""
        from qornn_hw.compiler.design import Design

        return Design(schedule, memories_of(TileSchedule.of(schedule).layout))

    # -- cost -----------------------------------------------------------------------------------------

    def cost(self, schedule: Schedule, family: Family) -> Resources:
        """Return what the core takes."""
        return cost_of(TileSchedule.of(schedule).layout, family)

    def memory_blocks(self, design: "Design", family: Family) -> dict[str, int]:
        """Return the block RAMs of every memory."""
        layouts = layouts_of(TileSchedule.of(design.schedule).layout)
        layouts = tuple(memory for memory in layouts if memory.store is WeightStore.BLOCK_RAM)
        varying = {m.name: m.varying_columns for m in design.memories if not m.written}
        return block_rams(layouts, family, varying)

    # -- faults ---------------------------------------------------------------------------------------

    def sites(self, schedule: Schedule) -> Mapping[str, Site]:
        """Return where weights and initial states are, and the highest bit of each constant of unit 0.

        A bias has no place of its own: it is a part of constants.
        """
        s = TileSchedule.of(schedule)
        found = sites(schedule.network, lambda network: memories_of(layout_of(network, s.shape)))
        found = {name: site for name, site in found.items() if not name.endswith("bias")}
        for number, tail in enumerate(s.layout.tails):
            for (node, operand), place in tail.places.items():
                address = s.layout.first_constant(number) + place.phase
                memory = constant_memory_name(s.layout.constant_memory(number))
                site = Site(memory, address, "word", place.low + place.bits - 1)
                found[f"{s.layout.stages[number].name}.{node}.{operand}"] = site
        return found

    def wrong_wires(self, design: "Design") -> Iterable[WrongWire]:
        """Yield memories of weights and of constants whose addresses are one too large."""
        constants = TileSchedule.of(design.schedule).layout.constant_memories
        for name in ("weights", *(constant_memory_name(k) for k in range(len(constants)))):
            memory = design.find_memory(name)
            if memory is not None and (moved := _moved(memory)) != memory:
                yield WrongWire(f"{name} address", f"all words of {name}", design.with_memory(moved))

    # -- hardware that exists -------------------------------------------------------------------------

    def read_plan(self, value: dict[str, Any]) -> Plan:
        """Return the plan whose ``to_json`` is ``value``."""
        return TilePlan.from_json(value)

    def check_plan(self, plan: Plan, network: AnyNetwork) -> None:
        """Raise a ValueError unless a plan is that of the network."""
        assert isinstance(plan, TilePlan)
        try:
            found = TileSchedule(network, self, shape_of(plan)).plan
        except FormatError as error:
            raise ValueError(str(error)) from None
        if found != plan:
            raise ValueError("the plan must be that of the network's stages")

    def refit(self, plan: Plan, built: AnyNetwork, network: AnyNetwork) -> "Design":
        """Return the design of a network whose stages have the same plan."""
        assert isinstance(plan, TilePlan)
        schedule = TileSchedule(network, self, shape_of(plan))
        if schedule.plan != plan:
            raise FormatError(
                "network must have stages of the widths and constants that the hardware was built for, not "
                "others; build it"
            )
        return self.compile(schedule)


def _counted(number: int, resource: str) -> str:
    """Return a number of a resource in words."""
    name = RESOURCE_NAMES[resource]
    return f"{number} {name.removesuffix('s') if number == 1 else name}"


def _moved(memory: Memory) -> Memory:
    """Return a memory with each word in the place of the one before."""
    return memory.with_words((*memory.words[1:], memory.words[0]))


ENGINE = TileEngine()
