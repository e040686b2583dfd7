"""The schedule of the dsp engine: a hard multiplier an element, one column each, many passes.

All passes are alike: they walk all rows, those of ``[U W]`` and those of ``[0 V]``, whether both are wanted
or not, and one begins where the other ended. The weight memories of all elements share one address, which
counts through the whole step: element e, which a row reaches e cycles later, has its weights e words further
on.

The bias (but that of modrelu), and the drive of a symbol, are where a sum starts from. Complete sums wait in
a memory for a requantizer that takes one after the other, ``drain_cycles`` each. As the next step needs only
``elements`` units a pass, it is never behind where ``elements * drain_cycles`` fit a pass.

Cycles of a pass, as :mod:`rtl_gen.dsp_core` builds them:

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

import numpy as np
from numpy.typing import NDArray

from qornn_hw.device import SPRAM_DEPTH, SPRAM_WORD_BITS
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.fixed import bits_for_range
from qornn_hw.schedule import Schedule

__all__ = ["DspSchedule"]

IntArray = NDArray[np.int64]

# SB_MAC16: operands, the sum of its adder, and what of them a byte of SPRAM brings.
MAC_OPERAND_BITS = 16
MAC_SUM_BITS = 32
SPRAM_WEIGHT_BITS = 8
LANES_PER_SPRAM = SPRAM_WORD_BITS // SPRAM_WEIGHT_BITS


@dataclass(frozen=True)
class DspSchedule(Schedule):
    """The plan of a network on ``elements`` hard multipliers.

    Attributes:
        weight_store: where the weights are.
    """

    weight_store: WeightStore = WeightStore.SPRAM

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.columns_per_element != 1:
            raise FormatError(
                f"columns_per_element of the dsp engine must be 1, not {self.columns_per_element!r}"
            )
        if self.spram_elements:
            raise FormatError(f"spram_elements of the dsp engine must be 0, not {self.spram_elements!r}")
        if self.answer_registers:
            raise FormatError("answer_registers must be off with the dsp engine")
        if self.operand_bits > MAC_OPERAND_BITS:
            raise FormatError(
                f"operands of the dsp engine must fit {MAC_OPERAND_BITS} bits, but states of "
                f"{self.network.state_bits} bits and inputs shifted by {self.network.input_shift} need "
                f"{self.operand_bits}"
            )

    def check(self) -> None:
        """Raise a FormatError unless every sum fits the multipliers and every weight its memory.

        Apart from ``__post_init__``, because it looks at every weight.
        """
        # On the way sums are right modulo a power of two, and the last one fits it.
        if self.sum_bits > MAC_SUM_BITS:
            raise FormatError(
                f"sums of the dsp engine must fit {MAC_SUM_BITS} bits, but the weights can make one of "
                f"{self.sum_bits}"
            )
        if self.weight_store is WeightStore.SPRAM and self.weight_depth > SPRAM_DEPTH:
            raise FormatError(
                f"weights must fit {SPRAM_DEPTH} words of SPRAM for each two elements, but {self.passes} "
                f"passes of {self.rows} rows need {self.weight_depth}; take more elements or fewer units"
            )

    @property
    def engine(self) -> Engine:
        """What multiplies."""
        return Engine.DSP

    @property
    def store(self) -> WeightStore:
        """Where the weights are."""
        return self.weight_store

    # -- weights ------------------------------------------------------------------------------------

    @cached_property
    def weight_bits(self) -> tuple[int, ...]:
        """Bits of a stored weight: a byte in SPRAM, else what any element needs, the same in all.

        -1 and +1 are stored as numbers.
        """
        if self.weight_store is WeightStore.SPRAM:
            return (SPRAM_WEIGHT_BITS,) * self.elements
        bits = self.network.weight_bits
        of_input = bits.input if self.network.vector_input else 2
        return (max(2, of_input, bits.recurrent, bits.output),) * self.elements

    @property
    def weight_depth(self) -> int:
        """Words of a weight memory: all passes, and as many more as the last element lags behind."""
        return (self.passes - 1) * self.joint_period + self.rows + self.elements - 1

    def weight_address(self, word: int, row: int) -> tuple[int, int]:
        """Return ``(element, address)`` of the weights of a word in a row."""
        column_pass, element = self.place(word)
        return element, column_pass * self.joint_period + row + element

    @property
    def lanes_per_bank(self) -> int:
        """Elements whose weights lie side by side in a large memory."""
        return LANES_PER_SPRAM

    @property
    def weight_banks(self) -> int:
        """Large memories that hold the weights, ``lanes_per_bank`` elements each."""
        return -(-self.elements // LANES_PER_SPRAM) if self.weight_store is WeightStore.SPRAM else 0

    # -- widths ---------------------------------------------------------------------------------------

    @property
    def total_elements(self) -> int:
        """None: weights are what they are, and so are the sums."""
        return 0

    @cached_property
    def _losses(self) -> IntArray:
        return np.zeros((self.rows, self.passes, self.elements), dtype=np.int64)

    @cached_property
    def _word_ranges(self) -> tuple[IntArray, IntArray]:
        weights = self.word_weights
        ends = np.stack([weights * operand for operand in self._operand_ranges])
        return self._by_element(ends.min(axis=0).sum(axis=2)), self._by_element(ends.max(axis=0).sum(axis=2))

    @cached_property
    def start_ranges(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest number that each row's sum starts from, (rows,)."""
        net, n = self.network, self.network.hidden_size
        low = np.array(self.row_constants)
        high = low.copy()
        if not net.vector_input:
            low[:n] += np.minimum(net.input_weight.min(axis=1), 0) << net.input_shift
            high[:n] += np.maximum(net.input_weight.max(axis=1), 0) << net.input_shift
        return low, high

    @cached_property
    def _partial_sum_ranges(self) -> tuple[IntArray, IntArray]:
        low, high = (
            self._by_element(start[:, np.newaxis] + word.reshape(self.rows, -1).cumsum(axis=1))
            for start, word in zip(self.start_ranges, self._word_ranges, strict=True)
        )
        return low, high

    @cached_property
    def waiting_sum_bits(self) -> int:
        """Bits of the memory that holds the sums that wait, and the constants that sums start from."""
        if self.passes == 1:
            return self.constant_bits
        low, high = (r[:, : self.passes - 1, -1] for r in self._partial_sum_ranges)
        needed = bits_for_range(int(low.min()), int(high.max()))
        return max(self.constant_bits, min(self.sum_bits, needed))

    # -- times ----------------------------------------------------------------------------------------

    @property
    def dot_product_latency(self) -> int:
        """None: a multiplier adds to the sum that passes."""
        return 0

    @property
    def activation_latency(self) -> int:
        """Cycles of the activation at accumulator precision, right behind the chain's own register."""
        return max(0, super().activation_latency - 1)

    @property
    def drain_cycles(self) -> int:
        """Cycles of the requantizer for a unit: a bit of M each, and one to begin with."""
        return self.multiplier_bits + 1

    @property
    def tail_latency(self) -> int:
        """Cycles from the partial sum of unit 0 to its state; see :meth:`unit_latency`."""
        return self.activation_latency + 3 + self.drain_cycles

    def unit_latency(self, unit: int) -> int:
        """Return the cycles from the launch of a step's last pass to the write of a unit."""
        return 2 + self.chain_latency + self.tail_latency + unit * self.drain_cycles

    def period(self, rows: int) -> int:
        """Return the cycles from one pass's launch to the next one's, whatever rows are wanted of it.

        At least one a row, and long enough for a pass to have loaded its operands before the next one is
        decided on, and for a sum to be written before the next pass reads it.
        """
        del rows
        return max(self.rows, self.chain_latency + 3)

    @cached_property
    def step_gap(self) -> int:
        """Cycles from the launch of a step's last pass to the earliest launch of another step.

        The last element's weights lag behind the first one's. Word w of the state is read
        ``q period + e`` cycles after a launch (pass q, element e), and its unit must have been written.
        """
        gap = self.joint_period + self.elements - 1
        for word in range(self.input_words, self.words):
            q, e = self.place(word)
            gap = max(gap, self.unit_latency(word - self.input_words) + 1 - q * self.joint_period - e)
        return gap

    @property
    def row_cycles(self) -> int:
        """Cycles of a step's passes, and of the wait for the state where it is longer."""
        return (self.passes - 1) * self.joint_period + self.step_gap

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do.

        The passes of the update, then those of the answer.
        """
        net = self.network
        logits = 0 if net.output_kind.has_logits else net.output_size
        passes = self.row_cycles + (self.passes - 1) * self.joint_period + net.hidden_size
        return passes + self.chain_latency + 7 + logits
