"""The simple engine as an object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.engine import Engine, WrongWire
from qornn_hw.compiler.engines.simple.instruction import Kind
from qornn_hw.compiler.engines.simple.plan import SimplePlan
from qornn_hw.compiler.engines.simple.schedule import SimpleSchedule, program_of
from qornn_hw.compiler.estimate import PRODUCT_CELLS, block_rams
from qornn_hw.compiler.family import RESOURCE_NAMES, Family, Resources
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.network_sites import sites
from qornn_hw.compiler.plan import Plan
from qornn_hw.compiler.request import Considered, Request
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.site import Site
from qornn_hw.errors import CapacityError, FormatError

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design

__all__ = ["ENGINE", "SimpleEngine"]

# Fitted to placed designs of LUT4s with flip-flops: sequencer and ports; each bit of the accumulator with its
# shift, its rounding and its saturation; each bit of a word of the program.
CONTROL_CELLS = 210
CELLS_PER_ACCUMULATOR_BIT = 9
CELLS_PER_INSTRUCTION_BIT = 6
# Bits of an operand of a hard multiplier.
HARD_OPERAND_BITS = 16
MEMORY_MEANINGS = {
    "sequencer.program": "the instructions",
    "coefficients": "digits of weights, biases and factors in the order of their use; behind them the tables",
    "values": "input, states and intermediate values",
}
ROUNDINGS = (Kind.ROUND_UP, Kind.ROUND_EVEN)


class SimpleEngine(Engine):
    """One multiplier, which takes a digit of a weight a cycle: the reference design (docs/simple.md)."""

    name = "simple"
    chosen_unasked = False
    hard_multipliers = False
    memory_meanings = MEMORY_MEANINGS

    # -- planning -------------------------------------------------------------------------------------

    def fill_limit(self, family: Family) -> float:
        """Return the share of the logic cells that an estimate may take. All of them: the core is small."""
        return 1.0

    def refuses(self, network: AnyNetwork, family: Family | None) -> str | None:
        """Return None: it computes every network."""
        return None

    def plans(self, request: Request) -> Iterator[Schedule]:
        """Yield the one schedule."""
        if request.room:
            raise FormatError(
                f"the {self.name} engine must have the program of one network, and has no room for other "
                "weights; take another engine, or make a full build of each network"
            )
        yield self.usual_schedule(request.network, request.lanes)

    def too_large(self, request: Request) -> str:
        """Return what is lacking."""
        need = self.cost(self.usual_schedule(request.network, None), request.family)
        over = need.excess(request.available)
        parts = " and ".join(f"{count} {RESOURCE_NAMES[resource]}" for resource, count in over.items())
        return (
            f"network must fit {request.name} with the {self.name} engine, which lacks {parts}; take fewer "
            "hidden units or weights of fewer bits"
        )

    def considered(self, request: Request, *, chosen: bool) -> Sequence[Considered]:
        """Return the one schedule."""
        schedule = self.usual_schedule(request.network, None)
        need = self.cost(schedule, request.family)
        return [Considered(schedule, need, need.excess(request.available))]

    def check_lanes(self, schedule: Schedule, request: Request) -> None:
        """Raise a CapacityError if more than one lane is asked for."""
        if request.engine == self.name and request.lanes is not None and request.lanes > 1:
            raise CapacityError(f"lanes must be 1 with the {self.name} engine, not {request.lanes}")

    # -- from a network to a design -------------------------------------------------------------------

    def usual_schedule(self, network: AnyNetwork, lanes: int | None) -> Schedule:
        """Return the one schedule."""
        if lanes is not None and lanes < 1:
            raise FormatError(f"lanes must be at least 1, not {lanes}")
        return SimpleSchedule(network, self)

    def compile(self, schedule: Schedule) -> "Design":
        """Return the design of a program."""
        from qornn_hw.compiler.design import Design

        return Design(schedule, SimpleSchedule.of(schedule).program.memories)

    # -- cost -----------------------------------------------------------------------------------------

    def cost(self, schedule: Schedule, family: Family) -> Resources:
        """Return what the core takes; ``lut`` is a model, fitted for LUT4s with flip-flops."""
        p = SimpleSchedule.of(schedule).program
        lut = CONTROL_CELLS + CELLS_PER_ACCUMULATOR_BIT * p.accumulator_bits
        lut += CELLS_PER_INSTRUCTION_BIT * p.instruction_memory.width
        multipliers = -(-p.value_bits // HARD_OPERAND_BITS)
        if not family.has_multipliers:
            lut += round(PRODUCT_CELLS * p.value_bits * p.multiplier_bits)
            multipliers = 0
        bram = sum(block_rams(p.memories, family, {}).values())
        return Resources(lut=lut, bram=bram, dsp=multipliers)

    def memory_blocks(self, design: "Design", family: Family) -> dict[str, int]:
        """Return the block RAMs of every memory."""
        read_only = (memory for memory in design.memories if not memory.written)
        return block_rams(design.memories, family, {m.name: m.varying_columns for m in read_only})

    # -- faults ---------------------------------------------------------------------------------------

    def sites(self, schedule: Schedule) -> Mapping[str, Site]:
        """Return where numbers of the network are in the memories."""
        return sites(schedule.network, lambda network: program_of(network).memories)

    def wrong_wires(self, design: "Design") -> Iterable[WrongWire]:
        """Yield an accumulator that never moves up by a digit, and one that never rounds."""
        program = design.memory("program")
        plain: dict[str, Mapping[int, int]] = {
            "scale": {1: 0},
            "kind": dict.fromkeys(ROUNDINGS, Kind.MULTIPLY_ADD),
        }
        for name, (field, wrong) in zip(("digit", "rounding"), plain.items(), strict=True):
            found = _replaced(program, field, wrong)
            if found != program:
                yield WrongWire(name, f"{field} of all instructions", design.with_memory(found))

    # -- hardware that exists -------------------------------------------------------------------------

    def read_plan(self, value: dict[str, Any]) -> Plan:
        """Return the plan whose ``to_json`` is ``value``."""
        return SimplePlan.from_json(value)

    def check_plan(self, plan: Plan, network: AnyNetwork) -> None:
        """Raise a ValueError unless a plan is that of the network."""
        if plan != SimpleSchedule(network, self).plan:
            raise ValueError("the plan must be that of the network's program")

    def refit(self, plan: Plan, built: AnyNetwork, network: AnyNetwork) -> "Design":
        """Return the design of a network whose program has the same shape."""
        schedule = SimpleSchedule(network, self)
        if schedule.plan != plan:
            raise FormatError(
                "network must have a program of the shape that the hardware was built for, not of another; "
                "build it"
            )
        return self.compile(schedule)


def _replaced(memory: Memory, name: str, wrong: Mapping[int, int]) -> Memory:
    """Return a memory with other numbers in one of its fields."""
    field, low = memory.field(name), memory.offsets[name]
    mask = ((1 << field.bits) - 1) << low
    values = (memory.value(address, name) for address in range(memory.depth))
    return memory.with_words(
        word & ~mask | wrong.get(value, value) << low
        for word, value in zip(memory.words, values, strict=True)
    )


ENGINE = SimpleEngine()
