"""What engines have in common whose elements form a chain, :class:`~qornn_hw.compiler.chain_plan.Chain`."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from qornn_hw.cells.any_network import AnyNetwork, elman_network
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.chain_plan import Chain, ChainPlan
from qornn_hw.compiler.chain_refit import check_chain_plan, refit_chain
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engine import Engine
from qornn_hw.compiler.family import Family
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.plan import Plan
from qornn_hw.compiler.timing import Timing
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.compiler.widths import NetworkWidths, Widths

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design
    from qornn_hw.compiler.schedule import Schedule

__all__ = ["ChainEngine"]

# The contents of each memory, by the end of its path in the Verilog.
MEMORY_MEANINGS = {
    "readout.weights": "V, a word a unit and sweep: the weights of the logits of that sweep",
    "weights": "a word a row and pass: a weight for each column, the first in the lowest bits",
    "constants": "of each row: what is added behind the chain; b of modrelu; M where units differ in it; "
    "U of an input behind the chain",
    "operands.memory": "lower half: running state and inputs; upper half: the initial state",
    "symbols": "U: of each unit and symbol what is added",
    "table": "tanh: the state by index, in the order of its bits",
    "waiting_sums": "sums that wait for the next pass",
    "sums": "lower half: sums that wait; upper half: what the sum of each row starts from",
    "biases": "b of modrelu",
    "requantizer.factors": "M of each unit, a bit a word",
    "readout.units": "units of the step that is read out",
    "requantizer.values": "units that wait for the requantizer",
    "answer.queue": "answer words on their way out",
}


class ChainEngine(Engine, ABC):
    """A chain of elements, with its placement, widths, timing and memories.

    Attributes:
        unused_widths: names of the widths that the hardware of the engine does not have.
    """

    unused_widths: frozenset[str]
    memory_meanings = MEMORY_MEANINGS

    # -- an engine's own ------------------------------------------------------------------------------

    @abstractmethod
    def usual_store(self, spram_elements: int) -> WeightStore:
        """Return where the weights are if nothing else is said."""

    @abstractmethod
    def check(self, schedule: ChainSchedule) -> None:
        """Raise a FormatError unless the chain is one for the network; quickly, without its weights."""

    @abstractmethod
    def check_weights(self, schedule: ChainSchedule) -> None:
        """Raise a FormatError unless every sum and every weight fits; looks at all weights."""

    @abstractmethod
    def placement(self, network: IntegerNetwork, chain: Chain) -> Placement:
        """Return where columns, rows and weights are."""

    @abstractmethod
    def timing(self, placement: Placement, widths: NetworkWidths) -> Timing:
        """Return latencies and periods."""

    @abstractmethod
    def prove_widths(self, placement: Placement, *, limited: bool = True) -> Widths:
        """Return the smallest widths that hold every number.

        Args:
            placement: the network on the chain.
            limited: whether a sum on the way is at most as wide as the last one.
        """

    @abstractmethod
    def widest_widths(self, placement: Placement) -> Widths:
        """Return the widths of any network of the same formats."""

    @abstractmethod
    def sum_bits(self, placement: Placement, widths: NetworkWidths) -> int:
        """Return the bits of the complete sum of a row as it leaves the chain."""

    @abstractmethod
    def layouts(self, schedule: ChainSchedule, *, proved: bool = True) -> tuple[Memory, ...]:
        """Return all memories of the core without contents.

        Args:
            schedule: the schedule.
            proved: whether to include those whose widths are proved from the weights, which takes longer.
        """

    @abstractmethod
    def contents(self, schedule: ChainSchedule) -> tuple[Memory, ...]:
        """Return the memories that start with contents, filled."""

    # -- the same for all -----------------------------------------------------------------------------

    def refuses(self, network: AnyNetwork, family: Family | None) -> str | None:
        """Return why a chain cannot compute a network: it has one phase for one state, no gates."""
        if isinstance(network, IntegerNetwork):
            return None
        return (
            f"network must be one Elman layer and a readout for the {self.name} engine, not {network!r}; "
            "take another engine"
        )

    def compile(self, schedule: "Schedule") -> "Design":
        """Return the design of a schedule."""
        from qornn_hw.compiler.design import Design

        s = ChainSchedule.of(schedule)
        self.check_weights(s)
        shift = s.network.shift
        return Design(
            schedule=s,
            memories=self.contents(s),
            multiplier=s.network_widths.shared_multiplier,
            readout_constants=_readout_constants(s),
            rounding_constant=1 << (shift - 1) if shift else 0,
            pieces=s.network.pieces,
        )

    def read_plan(self, value: dict[str, Any]) -> Plan:
        """Return the plan whose ``to_json`` is ``value``."""
        return ChainPlan.from_json(value)

    def check_plan(self, plan: Plan, network: AnyNetwork) -> None:
        """Raise a ValueError unless a plan can be the hardware that a network was compiled for."""
        assert isinstance(plan, ChainPlan)
        check_chain_plan(plan, elman_network(network))

    def refit(self, plan: Plan, built: AnyNetwork, network: AnyNetwork) -> "Design":
        """Return the design of ``network`` on hardware that was built for the network ``built``."""
        assert isinstance(plan, ChainPlan)
        return self.compile(refit_chain(plan, elman_network(built), elman_network(network)))


def _readout_constants(s: ChainSchedule) -> tuple[int, ...]:
    """Return c, filled up with zeros to a whole sweep of the readout; nothing without a readout."""
    if not s.chain.readout_lanes:
        return ()
    padding = s.placement.readout_sweeps * s.chain.readout_lanes - s.network.output_size
    return (*(int(c) for c in s.network.output_bias), *[0] * padding)
