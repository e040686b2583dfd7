"""When everything happens: latencies and periods of a core in clock cycles."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.ports import answer_words
from qornn_hw.compiler.widths import NetworkWidths

__all__ = ["Timing"]


@dataclass(frozen=True)
class Timing(ABC):
    """Cycle counts that follow from the pipeline of an engine.

    Attributes:
        placement: columns, rows and passes.
        widths: widths of the network, which decide the registers behind a wide multiplier.
    """

    placement: Placement
    widths: NetworkWidths

    @property
    @abstractmethod
    def chain_latency(self) -> int:
        """Cycles from a row at the first element to its partial sum out of the last."""

    @property
    @abstractmethod
    def tail_latency(self) -> int:
        """Cycles from the partial sum of unit 0 to its state."""

    @abstractmethod
    def period(self, rows: int) -> int:
        """Return the cycles from the launch of a pass over ``rows`` rows to the next launch."""

    @property
    @abstractmethod
    def step_gap(self) -> int:
        """Cycles from the launch of a step's last pass to the earliest launch that may use its state."""

    @property
    @abstractmethod
    def row_cycles(self) -> int:
        """Cycles of a step's rows, and of the wait for the state or the readout if that is longer."""

    @property
    @abstractmethod
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do."""

    @property
    def answer_period(self) -> int:
        """Period of a pass over the rows of V alone."""
        return self.period(self.placement.network.output_size)

    @property
    def update_period(self) -> int:
        """Period of a pass over the rows of ``[U W]`` alone."""
        return self.period(self.placement.network.hidden_size)

    @property
    def joint_period(self) -> int:
        """Period of a pass over all rows."""
        return self.period(self.placement.rows)

    @property
    def answers_every_step(self) -> bool:
        """Whether every step of a sequence has an answer."""
        return self.placement.network.output_mode is OutputMode.EVERY_STEP

    @property
    def answers_held(self) -> int:
        """Answers that the queue has room for. The room is taken at the launch of an answer."""
        return 2

    @property
    def answer_queue_depth(self) -> int:
        """Words of the memory of the answers' queue: a power of two, one word of which stays free."""
        return 1 << (self.answers_held * answer_words(self.placement.network)).bit_length()

    @property
    def input_cycles(self) -> int:
        """Cycles that a step's input takes to arrive.

        A word a cycle. A vector shares the operand memory's write port with the state, which takes a cycle
        more for each hidden unit.
        """
        network = self.placement.network
        return network.input_size + network.hidden_size if self.placement.input_words else 1

    @cached_property
    def cycles_per_step(self) -> int:
        """Cycles from step to step within a sequence, the streams never making the core wait.

        Those of the rows or of the input, whichever take longer. The count is exact for the rows. For the
        input it is a lower bound: an answer may then go alone, because the next input is not there yet. The
        simulation counts the cycles of the hardware (:mod:`sim`), and the report has the counted number.
        """
        return max(self.row_cycles, self.input_cycles)

    @property
    def answer_end_latency(self) -> int:
        """Cycles from an input's last word to its answer's last, in a core with nothing else to do.

        The logits follow the first one a cycle each; the argmax comes a cycle behind the last logit.
        """
        kind = self.placement.network.output_kind
        if not kind.has_logits:
            return self.answer_latency
        return self.answer_latency + self.last_logit_delay + kind.has_argmax

    @property
    def last_logit_delay(self) -> int:
        """Cycles from the first logit of an answer to the last."""
        return self.placement.network.output_size - 1
