"""A network on a chain: placement, widths and timing together, as a chain engine computes them."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from qornn_hw.cells.any_network import state_order
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.chain_plan import Chain, ChainPlan
from qornn_hw.compiler.phase import Phase
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.timing import Timing
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.compiler.widths import NetworkWidths, Widths, network_widths

if TYPE_CHECKING:
    from qornn_hw.compiler.chain_engine import ChainEngine
    from qornn_hw.compiler.schedule import Schedule

__all__ = ["ChainSchedule"]


@dataclass(frozen=True)
class ChainSchedule:
    """A network on a chain: everything about the core but the contents of its memories.

    Its parts are computed when they are first used: a planner looks at the timing of many schedules, and only
    at the widths of a few.

    Attributes:
        network: what is computed.
        chain: the shape of the core.
        engine: what multiplies.
        given: the widths, where they are not proved from the weights; None otherwise.
        room: whether read-only memories have a word more, of bits unlike those of word 0
            (:meth:`qornn_hw.compiler.memory.Memory.with_all_columns`), for other weights to come.

    Raises:
        FormatError: the engine has no such chain for the network.
    """

    network: IntegerNetwork
    chain: Chain
    engine: "ChainEngine"
    given: Widths | None = None
    room: bool = False

    def __post_init__(self) -> None:
        self.engine.check(self)

    @classmethod
    def of(cls, schedule: "Schedule") -> Self:
        """Return a schedule as one of a chain, which it must be."""
        assert isinstance(schedule, cls)
        return schedule

    @cached_property
    def placement(self) -> Placement:
        """Columns, rows and weight addresses."""
        return self.engine.placement(self.network, self.chain)

    @cached_property
    def network_widths(self) -> NetworkWidths:
        """The widths that follow from the network alone; :attr:`widths` has them, too."""
        if self.given is not None:
            return self.given
        return network_widths(self.network, logits_apart=self.chain.readout_lanes > 0)

    @cached_property
    def widths(self) -> Widths:
        """All widths: the given ones, or those proved from the weights."""
        return self.engine.prove_widths(self.placement) if self.given is None else self.given

    @cached_property
    def timing(self) -> Timing:
        """Latencies and periods."""
        return self.engine.timing(self.placement, self.network_widths)

    @cached_property
    def phases(self) -> tuple[Phase, Phase]:
        """The update, rows of ``[U W]``, and the answer, rows of ``[0 V]``."""
        n, p = self.network.hidden_size, self.network.output_size
        in_chain = self.chain.readout_lanes == 0
        return self._phase("update", 0, n, True), self._phase("answer", n, p, in_chain)

    def _phase(self, name: str, first_row: int, rows: int, in_chain: bool) -> Phase:
        p = self.placement
        firsts = range(0, p.passes * self.chain.elements, self.chain.elements) if in_chain else ()
        return Phase(
            name=name,
            first_row=first_row,
            rows=rows,
            words=p.words if in_chain else 0,
            passes=len(firsts),
            period=self.timing.period(rows),
            weight_bases=tuple(p.weight_address(word, first_row)[1] for word in firsts),
        )

    @property
    def sum_bits(self) -> int:
        """Bits of the complete sum of a row as it leaves the chain.

        Sums on the way there need no more: they are added modulo a power of two, and the last one fits it.
        """
        return self.engine.sum_bits(self.placement, self.network_widths)

    @property
    def plan(self) -> ChainPlan:
        """The frozen, plain form of the schedule, without the network."""
        return ChainPlan(self.chain, self.network.shift, self.widths, self.room)

    # -- what every schedule has: :class:`qornn_hw.compiler.schedule.Schedule` ------------------------

    @property
    def store(self) -> WeightStore:
        """Where the weights are; SPRAM where those of any element are."""
        return self.chain.store

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that the core can do in a cycle."""
        return self.placement.lanes

    @property
    def passes(self) -> int:
        """Passes of a step over its rows."""
        return self.placement.passes

    @property
    def weight_banks(self) -> int:
        """Large memories of weights, which are loaded after start-up."""
        return self.placement.weight_banks

    @property
    def weight_depth(self) -> int:
        """Words of each large memory."""
        return self.placement.weight_depth

    @property
    def accumulator_bits(self) -> int:
        """Bits of the accumulator of a row."""
        return self.network_widths.accumulator_bits

    @property
    def answer_bits(self) -> int:
        """Bits of a signed word of the output stream."""
        return self.network_widths.answer_bits

    @property
    def cycles_per_step(self) -> int:
        """Cycles from step to step within a sequence; :attr:`Timing.cycles_per_step`."""
        return self.timing.cycles_per_step

    @property
    def cycles_are_exact(self) -> bool:
        """Whether the rows set the pace, not the input, so that :attr:`cycles_per_step` is exact."""
        return self.timing.row_cycles >= self.timing.input_cycles

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do."""
        return self.timing.answer_latency

    @property
    def answer_end_latency(self) -> int:
        """Cycles from an input's last word to its answer's last, in a core with nothing else to do."""
        return self.timing.answer_end_latency

    @property
    def longest_step(self) -> int:
        """Cycles that no step takes longer than, its answer included, while no stream makes the core wait."""
        return self.placement.passes * self.timing.joint_period + self.timing.step_gap

    @property
    def state_order(self) -> tuple[tuple[str, int], ...]:
        """The entries of the states in the order of the port that shows them."""
        return state_order(self.network)

    def step_parts(self) -> dict[str, int]:
        """Return the cycles of each part of a step, in order; their sum is :attr:`cycles_per_step`.

        - ``rows of W and U``: a row enters the chain in each cycle, n in each pass;
        - ``rows of V``: the same for the answer, where each step has one and it goes along with the state;
        - ``between passes``: a pass waits until the chain is ready for it;
        - ``wait for the state``: after the last pass, until the next step may use the new state;
        - ``input``: the next input takes longer to arrive than all this.
        """
        p, timing, n = self.placement, self.timing, self.network.hidden_size
        every = timing.answers_every_step
        answer = p.rows - n if every else 0
        before = (p.passes - 1) * (timing.joint_period if every else timing.update_period)
        return {
            "rows of W and U": p.passes * n,
            "rows of V": p.passes * answer,
            "between passes": before - (p.passes - 1) * (n + answer),
            "wait for the state": timing.row_cycles - before - n - answer,
            "input": self.cycles_per_step - timing.row_cycles,
        }

    def portable(self) -> Self:
        """Return the schedule with all weights in block RAM, which any FPGA has."""
        if self.store is WeightStore.BLOCK_RAM:
            return self
        return replace(self, chain=replace(self.chain, store=WeightStore.BLOCK_RAM, spram_elements=0))

    def described(self) -> str:
        """Return the shape of the core in words."""
        c, p = self.chain, self.placement
        return (
            f"{c.elements} elements of {c.columns_per_element} columns, {p.passes} passes of {p.rows} rows, "
            f"{self.accumulator_bits}-bit accumulator"
        )
