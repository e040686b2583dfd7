"""Latencies and periods of the dsp engine.

All passes are alike: they walk all rows, those of ``[U W]`` and those of ``[0 V]``, whether both are wanted
or not. Complete sums wait in a memory for a requantizer that takes one after the other, ``drain_cycles``
each. The next step needs only ``elements`` units a pass, so the requantizer is never behind if
``elements * drain_cycles`` fit a pass. The pipeline is that of :mod:`qornn_hw.rtl_gen.engines.dsp.core`:

    launch        the sequencer decides                                     cycle 0
    address       of row 0, of weights and of where its sum starts          1
    operand       element e takes it from the bus                           2 + e
    partial sum   row 0 leaves the last element                             2 + chain_latency
    drain         the requantizer has its first phase                       3 + chain_latency + activation
    state         unit u is written to the operand memory                   2 + chain_latency + tail_latency,
                                                                            drain_cycles later for each unit
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from qornn_hw.compiler.activation_stages import accumulator_latency, state_latency
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines.dsp.placement import DspPlacement
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.timing import Timing

__all__ = ["DspTiming"]


@dataclass(frozen=True)
class DspTiming(Timing):
    """Cycle counts of a network on the dsp engine."""

    placement: DspPlacement

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Return the timing of a schedule of the dsp engine."""
        timing = ChainSchedule.of(schedule).timing
        assert isinstance(timing, cls)
        return timing

    @property
    def chain_latency(self) -> int:
        """Cycles from a row at the first element to its partial sum out of the last."""
        return self.placement.chain_latency

    @property
    def activation_latency(self) -> int:
        """Cycles of the activation at accumulator precision, right behind the chain's own register."""
        return accumulator_latency(self.placement.network.activation.shape)

    @property
    def drain_cycles(self) -> int:
        """Cycles of the requantizer for a unit: a bit of M each, and one to begin with."""
        return self.widths.multiplier_bits + 1

    @property
    def tail_latency(self) -> int:
        """Cycles from the partial sum of unit 0 to its state; see :meth:`unit_latency`."""
        behind = state_latency(self.placement.network.activation.shape)
        return self.activation_latency + 3 + self.drain_cycles + behind

    def unit_latency(self, unit: int) -> int:
        """Return the cycles from the launch of a step's last pass to the write of a unit."""
        return 2 + self.chain_latency + self.tail_latency + unit * self.drain_cycles

    def period(self, rows: int) -> int:
        """Return the cycles from one pass's launch to the next one's, whatever rows are wanted of it."""
        del rows
        return self.placement.pass_period

    @cached_property
    def step_gap(self) -> int:
        """Cycles from the launch of a step's last pass to the earliest launch of another step.

        The last element's weights lag behind the first one's. Word w of the state is read
        ``q period + e`` cycles after a launch (pass q, element e), and its unit must have been written.
        """
        p = self.placement
        gap = p.pass_period + p.chain.elements - 1
        for word in range(p.input_words, p.words):
            q, e = p.place(word)
            gap = max(gap, self.unit_latency(word - p.input_words) + 1 - q * p.pass_period - e)
        return gap

    @property
    def row_cycles(self) -> int:
        """Cycles of a step's passes, and of the wait for the state where it is longer."""
        return (self.placement.passes - 1) * self.placement.pass_period + self.step_gap

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do.

        The passes of the update, then those of the answer.
        """
        p, net = self.placement, self.placement.network
        logits = 0 if net.output_kind.has_logits else net.output_size
        passes = self.row_cycles + (p.passes - 1) * p.pass_period + net.hidden_size
        return passes + self.chain_latency + 7 + logits
