"""A network on the tile engine, as the other parts of the compiler see it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.engines.tile.layout import Shape, TileLayout, layout_of
from qornn_hw.compiler.engines.tile.plan import TilePlan
from qornn_hw.compiler.ports import answer_bits
from qornn_hw.compiler.weight_store import WeightStore

if TYPE_CHECKING:
    from qornn_hw.compiler.engine import Engine
    from qornn_hw.compiler.schedule import Schedule

__all__ = ["TileSchedule"]

# From the last word of an input to the first issue, where the core has nothing to do: the word is written,
# the bank is full, the stage begins.
BEGIN = 3
# From the sums of a logit to its word on the output: the sums, the logit, the queue.
LOGIT = 2
QUEUE = 2


@dataclass(frozen=True)
class TileSchedule:
    """A network on lanes, with a tail.

    Attributes:
        network: what is computed.
        engine: the tile engine.
        shape: of the engine.
    """

    network: AnyNetwork
    engine: "Engine"
    shape: Shape

    @classmethod
    def of(cls, schedule: "Schedule") -> Self:
        """Return a schedule as one of the tile engine, which it must be."""
        assert isinstance(schedule, cls)
        return schedule

    @property
    def layout(self) -> TileLayout:
        """Stages and tails."""
        return layout_of(self.network, self.shape)

    @property
    def store(self) -> WeightStore:
        """Where the weights are."""
        return WeightStore.SPRAM if self.shape.banks else WeightStore.BLOCK_RAM

    @property
    def weight_banks(self) -> int:
        """Large memories of weights."""
        return self.shape.banks

    @property
    def weight_depth(self) -> int:
        """Words of each large memory."""
        return self.layout.weight_words if self.shape.banks else 0

    @property
    def cycles_are_exact(self) -> bool:
        """Whether the cycles are exact; not where a step waits for the words of its input."""
        return not self.step_parts()["input"]

    @property
    def plan(self) -> TilePlan:
        """Shape and tails as plain data."""
        return TilePlan.of(self.engine.name, self.layout)

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that the lanes can do in a cycle."""
        return self.layout.used_lanes * self.shape.columns

    @property
    def passes(self) -> int:
        """Passes of all stages of a step within a sequence."""
        p = self.layout
        stages = p.stages if p.network.every_step else p.stages[: p.step_stages]
        return sum(self.layout.passes(stage) for stage in stages)

    @property
    def accumulator_bits(self) -> int:
        """Bits of an accumulator."""
        return max(self.layout.phase_bits)

    @property
    def answer_bits(self) -> int:
        """Bits of a signed word of the output stream."""
        return answer_bits(self.network)

    @property
    def cycles_per_step(self) -> int:
        """Cycles from step to step within a sequence."""
        return sum(self.step_parts().values())

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do."""
        kind, p = self.layout.network.readout.answer.kind, self.layout
        words_before = 0 if kind.has_logits else p.network.output_size
        return (
            self._first_logit
            + self._logit_cycle(words_before - 1 if words_before else 0)
            + (words_before > 0)
        )

    @property
    def answer_end_latency(self) -> int:
        """Cycles from an input's last word to its answer's last, in a core with nothing else to do."""
        kind, last = self.layout.network.readout.answer.kind, self.layout.network.output_size - 1
        return self._first_logit + self._logit_cycle(last) + kind.has_argmax

    @property
    def _first_logit(self) -> int:
        p = self.layout
        return BEGIN + p.state_cycles + p.burst(p.stages[-1]) + LOGIT + QUEUE

    def _logit_cycle(self, number: int) -> int:
        """Return how many cycles behind the first logit another one comes."""
        p = self.layout
        slot, at = divmod(number, p.slot_logits)
        return p.slot_start(p.stages[-1], slot) + at

    @property
    def longest_step(self) -> int:
        """Cycles of a step that is answered."""
        return max(
            self.layout.network.input.size, BEGIN + self.layout.state_cycles + self.layout.readout_cycles
        )

    def step_parts(self) -> dict[str, int]:
        """Return the cycles of each part of a step, in order."""
        p = self.layout
        parts = {"states": p.step_cycles, "answer": p.readout_cycles if p.network.every_step else 0}
        computed = sum(parts.values())
        return {"input": max(0, p.input_cycles - computed), **parts}

    def portable(self) -> Self:
        """Return the schedule with all weights in block RAM."""
        return replace(self, shape=replace(self.shape, banks=0))

    @property
    def state_order(self) -> tuple[tuple[str, int], ...]:
        """The entries of the states in the order of the port that shows them."""
        return self.layout.state_order

    def described(self) -> str:
        """Return the shape of the core in words."""
        p = self.layout
        return (
            f"tiles of {p.used_lanes} rows and {self.shape.columns} columns, {p.products} "
            f"multiplier{'s' * (p.products != 1)} behind them, a unit in {self.shape.interval} "
            f"cycle{'s' * (self.shape.interval != 1)}, {self.accumulator_bits}-bit accumulators"
        )
