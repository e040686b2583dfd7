"""What a compiled network tells about its core before any memory is filled, whatever the engine."""

from typing import TYPE_CHECKING, Protocol

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.plan import Plan
from qornn_hw.compiler.weight_store import WeightStore

if TYPE_CHECKING:
    from qornn_hw.compiler.engine import Engine

__all__ = ["Schedule"]


class Schedule(Protocol):
    """A network on an engine: shape, widths and cycle counts of its core.

    A schedule is frozen. An engine adds what its own gateware needs.
    """

    @property
    def network(self) -> AnyNetwork:
        """What is computed."""

    @property
    def engine(self) -> "Engine":
        """What multiplies."""

    @property
    def plan(self) -> Plan:
        """Everything that makes the hardware, without the network and the contents of memories."""

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that the core can do in a cycle."""

    @property
    def passes(self) -> int:
        """Passes of a step over its rows; 1 where the engine has none."""

    @property
    def store(self) -> WeightStore:
        """Where the weights are; SPRAM where any of them are."""

    @property
    def weight_banks(self) -> int:
        """Large memories of weights, which are loaded after start-up; 0 where all are in the bitstream."""

    @property
    def weight_depth(self) -> int:
        """Words of each large memory."""

    @property
    def accumulator_bits(self) -> int:
        """Bits of the widest accumulator."""

    @property
    def answer_bits(self) -> int:
        """Bits of a signed word of the output stream."""

    @property
    def cycles_per_step(self) -> int:
        """Cycles from step to step within a sequence, the streams never making the core wait."""

    @property
    def cycles_are_exact(self) -> bool:
        """Whether :attr:`cycles_per_step` is exact; else it is a lower bound."""

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do."""

    @property
    def answer_end_latency(self) -> int:
        """Cycles from an input's last word to its answer's last, in a core with nothing else to do."""

    @property
    def longest_step(self) -> int:
        """Cycles that no step takes longer than, its answer included, while no stream makes the core wait."""

    @property
    def state_order(self) -> tuple[tuple[str, int], ...]:
        """The entries of the states, by name and unit, in the order of the port that shows them."""

    def step_parts(self) -> dict[str, int]:
        """Return the cycles of each part of a step, in order; their sum is :attr:`cycles_per_step`."""

    def portable(self) -> "Schedule":
        """Return the schedule with all weights in block RAM, which any FPGA has."""

    def described(self) -> str:
        """Return the shape of the core in words, for people."""
