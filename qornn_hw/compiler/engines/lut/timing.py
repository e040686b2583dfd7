"""Latencies and periods of the lut engine.

A step is ``passes`` passes over its rows; one row enters the chain a cycle and moves on one element a cycle.
The pipeline is that of :mod:`qornn_hw.rtl_gen.engines.lut.core`; tests compare these counts with those of the
simulation.

    launch        the sequencer decides                                   cycle 0
    token         row 0 reaches element 0, which loads its operands       2
    partial sum   row 0 leaves the last element                           2 + chain_latency
    state         the unit of row 0 is written to the operand memory      2 + chain_latency + tail_latency
    operand       an element can load it                                  5 + chain_latency + tail_latency
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from qornn_hw.compiler.activation_stages import accumulator_latency, state_latency
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.latencies import requantizer_latency
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.timing import Timing

__all__ = ["LutTiming", "dot_product_latency", "levels"]

# From an input's last word to the first launch, from a unit to its product in a logit, and out of the queue.
READOUT_LATENCY = 12
# Cycles of a period that the sequencer needs at least, and of a gap that its counter can wait at least.
LEAST_PERIOD = 5
LEAST_GAP = 3


def levels(count: int) -> int:
    """Return the depth of a binary tree with ``count`` leaves.

    >>> [levels(n) for n in (1, 2, 3, 4, 5)]
    [0, 1, 2, 2, 3]
    """
    return (count - 1).bit_length()


def dot_product_latency(columns: int, weight_bits: int) -> int:
    """Return the cycles of an element's dot product: a register after the selection and after every adder."""
    return 1 + levels(-(-columns // 2)) + levels(weight_bits)


@dataclass(frozen=True)
class LutTiming(Timing):
    """Cycle counts of a network on the lut engine."""

    placement: LutPlacement

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Return the timing of a schedule of the lut engine."""
        timing = ChainSchedule.of(schedule).timing
        assert isinstance(timing, cls)
        return timing

    @property
    def dot_product_latency(self) -> int:
        """Cycles of the dot product, in every element that of the widest, with the register before it."""
        chain = self.placement.chain
        widest = max(self.placement.weight_bits)
        return chain.memory_register + dot_product_latency(chain.columns_per_element, widest)

    @property
    def addend_latency(self) -> int:
        """Cycles from a row's constant out of its memory to what is added behind the chain.

        A register behind the memory, if there is one; constant and total are one addition; U x, of a symbol
        or a multiplier, is one more.
        """
        p = self.placement
        apart = p.chain.input_lanes > 0 or (not p.network.vector_input and p.total_elements > 0)
        return p.chain.memory_register + 1 + apart

    @property
    def chain_latency(self) -> int:
        """Cycles from a row's token at the first element to its partial sum out of the last.

        A cycle for each element, one for the weight memory, and those of the dot product.
        """
        return self.placement.chain.elements + 1 + self.dot_product_latency

    @property
    def activation_latency(self) -> int:
        """Cycles of the activation at accumulator precision, with the accumulator's register before it."""
        latency = accumulator_latency(self.placement.network.activation.shape)
        return 1 + latency if latency else 0

    @property
    def tail_latency(self) -> int:
        """Cycles from a row's partial sum to its state: activation, requantizer (or table), pieces.

        The row's constant is added on the way into the first register of either.
        """
        widths = self.widths
        requantizer = requantizer_latency(widths.activated_bits, widths.shared_multiplier)
        behind = state_latency(self.placement.network.activation.shape)
        return self.activation_latency + requantizer + behind

    def period(self, rows: int) -> int:
        """Return the cycles from the launch of a pass over ``rows`` rows to the next launch.

        At least one a row, and long enough for a pass to leave the chain before the next but one enters
        the tail: partial sums are read back, and a step's symbol is taken over, in that time.
        """
        return max(rows, self.chain_latency + 1, LEAST_PERIOD)

    @cached_property
    def step_gap(self) -> int:
        """Cycles from the launch of a step's last pass to the earliest launch that may use its state.

        Word w of the state is loaded ``q period + e`` cycles after a step's launch (pass q, element e) and
        complete when the last of its units, u, is written: ``u + chain + tail`` cycles after the launch of
        the last pass; three more cycles lead through the operand memory and the sums of pairs.
        """
        p = self.placement
        alone = self.update_period
        shortest = alone if p.chain.readout_lanes else min(self.answer_period, alone)
        latency = self.chain_latency + self.tail_latency + 3
        gap = LEAST_GAP
        for word in range(p.input_words, p.words):
            q, e = p.place(word)
            gap = max(gap, p.columns(word)[-1] + latency - q * shortest - e)
        return gap

    @property
    def readout_cycles(self) -> int:
        """Cycles from the first unit of an answer to that of the next one, with a readout.

        A unit a cycle in each sweep, then a cycle for each lane's logit.
        """
        p = self.placement
        return p.readout_sweeps * (p.network.hidden_size + p.chain.readout_lanes)

    @property
    def answer_gap(self) -> int:
        """``step_gap`` behind a step whose answer the readout computes."""
        p = self.placement
        if not p.chain.readout_lanes:
            return self.step_gap
        return max(self.step_gap, self.readout_cycles - (p.passes - 1) * self.update_period)

    @property
    def answers_held(self) -> int:
        """Answers that the queue has room for: one in registers, else what leaves and all under way.

        The room is taken at the launch; a readout gives the last logit long after it.
        """
        p = self.placement
        if not p.chain.readout_lanes:
            return 1 if p.chain.answer_registers else 2
        passes = (p.passes - 1) * self.update_period
        until = passes + self.chain_latency + self.tail_latency + self.readout_cycles + READOUT_LATENCY
        return 1 - -until // (passes + max(self.update_period, self.answer_gap))

    @property
    def row_cycles(self) -> int:
        """Cycles of a step's rows, and of the wait for the state or the readout where there are few."""
        every = self.answers_every_step
        period = self.joint_period if every else self.update_period
        gap = self.answer_gap if every else self.step_gap
        return (self.placement.passes - 1) * period + max(period, gap)

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do.

        The input buffer, two decisions and a launch, the passes of update and answer, chain, bias, queue. The
        argmax alone waits for all its logits. With a readout: one launch, the passes of the update, the first
        unit, and the sweeps.
        """
        p, net = self.placement, self.placement.network
        logits = 0 if net.output_kind.has_logits else net.output_size
        if p.chain.readout_lanes:
            update = (p.passes - 1) * self.update_period + self.chain_latency + self.tail_latency
            whole = (p.readout_sweeps - 1) * (net.hidden_size + p.chain.readout_lanes)
            sweeps = whole + logits - (p.readout_sweeps - 1) * p.chain.readout_lanes if logits else 0
            return update + net.hidden_size + sweeps + READOUT_LATENCY
        passes = (p.passes - 1) * (self.update_period + self.answer_period)
        wait = max(self.step_gap, self.update_period + 1)
        return passes + wait + self.chain_latency + 8 + logits

    @property
    def last_logit_delay(self) -> int:
        """Cycles from the first logit of an answer to the last, sweep after sweep."""
        last, lanes = self.placement.network.output_size - 1, self.placement.chain.readout_lanes
        if not lanes:
            return last
        sweep, lane = divmod(last, lanes)
        return sweep * (self.placement.network.hidden_size + lanes) + lane
