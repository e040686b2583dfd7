"""A network on the simple engine: its program, and when everything happens."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from qornn_hw.cells.any_network import AnyNetwork, operations_of, state_order
from qornn_hw.compiler.engines.simple.lowering import assemble
from qornn_hw.compiler.engines.simple.plan import SimplePlan
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.compiler.weight_store import WeightStore

if TYPE_CHECKING:
    from qornn_hw.compiler.engine import Engine
    from qornn_hw.compiler.schedule import Schedule

__all__ = ["SimpleSchedule", "program_of"]


@lru_cache(maxsize=16)
def program_of(network: AnyNetwork) -> Program:
    """Return the program of a network."""
    return assemble(operations_of(network))


@dataclass(frozen=True)
class SimpleSchedule:
    """A network on one multiplier.

    Attributes:
        network: what is computed.
        engine: the simple engine.
    """

    network: AnyNetwork
    engine: "Engine"
    lanes: int = 1
    passes: int = 1
    store: WeightStore = WeightStore.BLOCK_RAM
    weight_banks: int = 0
    weight_depth: int = 0
    cycles_are_exact: bool = True

    @classmethod
    def of(cls, schedule: "Schedule") -> Self:
        """Return a schedule as one of the simple engine, which it must be."""
        assert isinstance(schedule, cls)
        return schedule

    @property
    def program(self) -> Program:
        """What the core executes."""
        return program_of(self.network)

    @property
    def plan(self) -> SimplePlan:
        """The shape of the program."""
        return SimplePlan.of(self.engine.name, self.program)

    @property
    def accumulator_bits(self) -> int:
        """Bits of the accumulator."""
        return self.program.accumulator_bits

    @property
    def answer_bits(self) -> int:
        """Bits of a signed word of the output stream."""
        return self.program.answer_bits

    @property
    def cycles_per_step(self) -> int:
        """Cycles from step to step within a sequence."""
        return self.program.cycles_per_step

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, where the step begins a sequence.

        The states get their initial values first, which other steps are spared.
        """
        return self.program.part_cycles[0] + self.program.answer_latency

    @property
    def answer_end_latency(self) -> int:
        """Cycles from an input's last word to its answer's last, where the step begins a sequence."""
        return self.program.part_cycles[0] + self.program.answer_end_latency

    @property
    def longest_step(self) -> int:
        """Cycles of a step that begins a sequence and is answered."""
        return self.program.input_words + 1 + sum(self.program.part_cycles)

    @property
    def state_order(self) -> tuple[tuple[str, int], ...]:
        """The entries of the states in the order of the port that shows them."""
        return state_order(self.network)

    def step_parts(self) -> dict[str, int]:
        """Return the cycles of each part of a step, in order."""
        _, step, answer = self.program.part_cycles
        return {
            "input": self.program.input_words + 1,
            "states": step,
            "answer": answer if self.program.every_step else 0,
        }

    def portable(self) -> Self:
        """Return the schedule: its weights are in block RAM."""
        return self

    def described(self) -> str:
        """Return the shape of the core in words."""
        p = self.program
        return (
            f"one multiplier, digits of {p.digit_bits} bits, {len(p.instructions)} instructions, "
            f"{p.accumulator_bits}-bit accumulator"
        )
