"""Where every column of the network sits in the systolic chain, and when every row passes it.

The columns of ``[U W]`` are cut into *words* of ``columns_per_element`` columns, inputs first, then hidden
units; neither kind shares a word with the other. Word w belongs to element ``w % elements`` in column pass
``w // elements``. The rows of ``[U W]`` come first, then those of ``[0 V]``; one row enters the chain a
cycle and moves on one element a cycle.

A step is ``passes`` passes over its rows. Cycle counts here follow from the pipeline below, which
:mod:`rtl_gen.core` builds; the tests compare them with what the simulation counts:

    launch        the sequencer decides                                   cycle 0
    token         row 0 reaches element 0, which loads its operands       2
    partial sum   row 0 leaves the last element                           2 + chain_latency
    state         the unit of row 0 is written to the operand memory      2 + chain_latency + tail_latency
    operand       an element can load it                                  4 + chain_latency + tail_latency
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qornn_hw.bounds import Bounds, accumulator_bounds, input_range, product_ranges, state_range
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.fixed import bits_for_range
from qornn_hw.network import Activation, IntegerNetwork, OutputMode

__all__ = ["DSP_OPERAND_BITS", "Schedule", "dot_product_latency", "requantizer_latency"]

IntArray = NDArray[np.int64]

# A requantizer input wider than this is cut in two halves of this width, a multiplier each (SB_MAC16, 16x16).
DSP_OPERAND_BITS = 16


def levels(count: int) -> int:
    """Return the depth of a binary tree with ``count`` leaves.

    >>> [levels(n) for n in (1, 2, 3, 4, 5)]
    [0, 1, 2, 2, 3]
    """
    return (count - 1).bit_length()


def dot_product_latency(columns: int, weight_bits: int) -> int:
    """Return the cycles of an element's dot product: a register after every level of its adder trees."""
    return max(1, levels(columns) + levels(weight_bits))


def requantizer_latency(value_bits: int) -> int:
    """Return the cycles of the requantizer: multiply, join the halves if there are two, saturate."""
    return 3 if value_bits > DSP_OPERAND_BITS else 2


# Zeroing and the bias of modrelu; the other activations work in the requantizer's saturation or table.
MODRELU_LATENCY = 2


@dataclass(frozen=True)
class Schedule:
    """The plan of a network on a chain of ``elements`` elements of ``columns_per_element`` columns.

    Attributes:
        network: what is computed.
        columns_per_element: columns in an element, at least 1.
        elements: elements in the chain, at least 1.
    """

    network: IntegerNetwork
    columns_per_element: int
    elements: int

    def __post_init__(self) -> None:
        for name in ("columns_per_element", "elements"):
            value = getattr(self, name)
            if value < 1:
                raise FormatError(f"{name} must be at least 1, not {value!r}")
        if self.elements > self.words:
            raise FormatError(
                f"elements must be at most {self.words}, the words of {self.columns_per_element} columns of "
                f"the network, not {self.elements!r}"
            )

    @property
    def engine(self) -> Engine:
        """What multiplies; :class:`qornn_hw.dsp_schedule.DspSchedule` has the other one."""
        return Engine.LUT

    @property
    def store(self) -> WeightStore:
        """Where the weights are."""
        return WeightStore.BLOCK_RAM

    # -- places -------------------------------------------------------------------------------------

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that the chain can do in a cycle."""
        return self.elements * self.columns_per_element

    @property
    def input_words(self) -> int:
        """Words that hold columns of U; none for a one-hot input, which has a table instead."""
        return -(-self.network.input_size // self.columns_per_element) if self.network.vector_input else 0

    @property
    def state_words(self) -> int:
        """Words that hold columns of W and V."""
        return -(-self.network.hidden_size // self.columns_per_element)

    @property
    def words(self) -> int:
        """All words of the network."""
        return self.input_words + self.state_words

    @property
    def passes(self) -> int:
        """Column passes of a step."""
        return -(-self.words // self.elements)

    def place(self, word: int) -> tuple[int, int]:
        """Return ``(column pass, element)`` of a word."""
        return divmod(word, self.elements)

    def columns(self, word: int) -> range:
        """Return the columns of U (for a word below ``input_words``) or of W and V that a word holds."""
        c, net = self.columns_per_element, self.network
        if word < self.input_words:
            return range(word * c, min((word + 1) * c, net.input_size))
        first = (word - self.input_words) * c
        return range(first, max(first, min(first + c, net.hidden_size)))

    @property
    def rows(self) -> int:
        """Rows of a pass with an answer: n of ``[U W]``, then p of ``[0 V]``."""
        return self.network.hidden_size + self.network.output_size

    # -- weights ------------------------------------------------------------------------------------

    @cached_property
    def word_weights(self) -> IntArray:
        """Every weight at its place, zero where there is none, (rows, passes * elements, columns)."""
        net, c = self.network, self.columns_per_element
        n = net.hidden_size
        weights = np.zeros((self.rows, self.passes * self.elements, c), dtype=np.int64)
        for word in range(self.words):
            columns = self.columns(word)
            if word < self.input_words:
                weights[:n, word, : len(columns)] = net.input_weight[:, columns]
            else:
                weights[:n, word, : len(columns)] = net.recurrent_weight[:, columns]
                weights[n:, word, : len(columns)] = net.output_weight[:, columns]
        return weights

    @cached_property
    def weight_bits(self) -> tuple[int, ...]:
        """Bits of a stored weight in each element: the widest block that it holds in any pass.

        One bit means -1 and +1. An element with inputs needs zeros for its rows of V: at least two bits.
        """
        bits = self.network.weight_bits
        of_input, of_state = max(bits.input, 2), max(bits.recurrent, bits.output)
        result = [1] * self.elements
        for word in range(self.words):
            _, element = self.place(word)
            result[element] = max(result[element], of_input if word < self.input_words else of_state)
        return tuple(result)

    @property
    def weight_depth(self) -> int:
        """Words of each weight memory."""
        return self.passes * self.rows

    def weight_address(self, word: int, row: int) -> tuple[int, int]:
        """Return ``(element, address)`` of the weights of a word in a row."""
        column_pass, element = self.place(word)
        return element, column_pass * self.rows + row

    # -- widths, proved from the weights --------------------------------------------------------------

    @cached_property
    def bounds(self) -> Bounds:
        """Intervals of the network's accumulators."""
        return accumulator_bounds(self.network)

    @property
    def operand_bits(self) -> int:
        """Bits of an element's signed operand: a state, or an input shifted to the state's grid."""
        net = self.network
        if not net.vector_input:
            return net.state_bits
        return max(net.state_bits, net.input_format.signed_bits + net.input_shift)

    @cached_property
    def _word_ranges(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest dot product of each row in each word, (rows, passes, elements)."""
        low = np.zeros((self.rows, self.passes * self.elements), dtype=np.int64)
        high = np.zeros_like(low)
        i = self.input_words
        state_low, state_high = product_ranges(self.word_weights[:, i:], *state_range(self.network))
        low[:, i:], high[:, i:] = state_low.sum(axis=2), state_high.sum(axis=2)
        if i:
            input_low, input_high = product_ranges(self.word_weights[:, :i], *input_range(self.network))
            shift = self.network.input_shift
            low[:, :i], high[:, :i] = input_low.sum(axis=2) << shift, input_high.sum(axis=2) << shift
        shape = (self.rows, self.passes, self.elements)
        return low.reshape(shape), high.reshape(shape)

    @cached_property
    def dot_bits(self) -> tuple[int, ...]:
        """Bits of the dot product of each element."""
        low, high = self._word_ranges
        return tuple(
            bits_for_range(int(low[:, :, e].min()), int(high[:, :, e].max())) for e in range(self.elements)
        )

    @cached_property
    def _partial_sum_ranges(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest partial sum of each row behind each word, (rows, passes, elements)."""
        shape = (self.rows, self.passes, self.elements)
        low, high = (r.reshape(self.rows, -1).cumsum(axis=1).reshape(shape) for r in self._word_ranges)
        return low, high

    @cached_property
    def partial_sum_bits(self) -> tuple[int, ...]:
        """Bits of the partial sum that leaves each element, over all passes."""
        low, high = self._partial_sum_ranges
        return tuple(
            bits_for_range(int(low[:, :, e].min()), int(high[:, :, e].max())) for e in range(self.elements)
        )

    @cached_property
    def waiting_sum_bits(self) -> int:
        """Bits of a partial sum that waits for the next pass; of no use with a single pass."""
        low, high = (r[:, : self.passes - 1, -1] for r in self._partial_sum_ranges)
        return bits_for_range(int(low.min()), int(high.max())) if self.passes > 1 else 1

    @property
    def accumulator_bits(self) -> int:
        """Bits of the accumulator that serves hidden units and logits."""
        return self.bounds.bits

    @property
    def activated_bits(self) -> int:
        """Bits of a hidden unit's accumulator after the activation, the requantizer's input."""
        return self.bounds.state_bits

    @property
    def bias_bits(self) -> int:
        """Bits of the widest entry of b and c."""
        constants = np.concatenate([self.network.bias, self.network.output_bias])
        return bits_for_range(int(constants.min()), int(constants.max()))

    @property
    def multiplier_bits(self) -> int:
        """Bits of the largest M."""
        return int(self.network.multiplier.max()).bit_length()

    @property
    def shares_multiplier(self) -> bool:
        """Whether all units have the same M, which is then no part of a memory."""
        return bool(np.all(self.network.multiplier == self.network.multiplier[0]))

    @property
    def operand_half(self) -> int:
        """Words in each half of the operand memory, a power of two.

        Word w is at w in either half: a state word in the lower half holds the running state and in the upper
        the initial state; an input word is double-buffered in the two.
        """
        return 1 << (self.passes * self.elements - 1).bit_length()

    # -- the ports of the core ------------------------------------------------------------------------

    @property
    def input_words_per_step(self) -> int:
        """Words on the input stream for a time step: one an input, or the index of the symbol."""
        return self.network.input_size if self.network.vector_input else 1

    @property
    def answer_words(self) -> int:
        """Words on the output stream for an answer: logits, then the argmax, as the output kind says."""
        kind = self.network.output_kind
        return (self.network.output_size if kind.has_logits else 0) + int(kind.has_argmax)

    @property
    def answer_bits(self) -> int:
        """Bits of a signed word on the output stream."""
        kind = self.network.output_kind
        logits = self.bounds.output_bits if kind.has_logits else 1
        index = bits_for_range(0, self.network.output_size - 1) if kind.has_argmax else 1
        return max(logits, index)

    # -- times ----------------------------------------------------------------------------------------

    @property
    def dot_product_latency(self) -> int:
        """Cycles of the dot product, the same in every element: that of the widest."""
        return dot_product_latency(self.columns_per_element, max(self.weight_bits))

    @property
    def chain_latency(self) -> int:
        """Cycles from a row's token at the first element to its partial sum out of the last.

        A cycle for each element, one for the weight memory, and those of the dot product.
        """
        return self.elements + 1 + self.dot_product_latency

    @property
    def activation_latency(self) -> int:
        """Cycles of the activation at accumulator precision."""
        return MODRELU_LATENCY if self.network.activation is Activation.MODRELU else 0

    @property
    def tail_latency(self) -> int:
        """Cycles from a row's partial sum to its state: bias, activation, requantizer (or table)."""
        return 1 + self.activation_latency + requantizer_latency(self.activated_bits)

    def period(self, rows: int) -> int:
        """Return the cycles from one pass's launch to the next one's.

        At least one a row, and long enough for a pass to leave the chain before the next but one enters
        the tail: partial sums are read back, and a step's symbol is taken over, in that time.
        """
        return max(rows, self.chain_latency + 1)

    @property
    def answer_period(self) -> int:
        """Period of a pass over the rows of V alone."""
        return self.period(self.network.output_size)

    @property
    def update_period(self) -> int:
        """Period of a pass over the rows of ``[U W]`` alone."""
        return self.period(self.network.hidden_size)

    @property
    def joint_period(self) -> int:
        """Period of a pass over all rows."""
        return self.period(self.rows)

    @cached_property
    def step_gap(self) -> int:
        """Cycles from the launch of a step's last pass to the earliest launch that may use its state.

        Word w of the state is loaded ``q period + e`` cycles after a step's launch (pass q, element e) and
        complete when the last of its units, u, is written: ``u + chain + tail`` cycles after the launch of
        the last pass; two more cycles lead through the operand memory.
        """
        shortest = min(self.answer_period, self.update_period)
        latency = self.chain_latency + self.tail_latency + 2
        # A period is longer than 3 anyway; the sequencer's counter cannot wait less.
        gap = 3
        for word in range(self.input_words, self.words):
            q, e = self.place(word)
            gap = max(gap, self.columns(word)[-1] + latency - q * shortest - e)
        return gap

    @property
    def row_cycles(self) -> int:
        """Cycles of a step's rows, and of the wait for the state where there are few of them."""
        every = self.network.output_mode is OutputMode.EVERY_STEP
        period = self.joint_period if every else self.update_period
        return (self.passes - 1) * period + max(period, self.step_gap)

    @property
    def cycles_per_step(self) -> int:
        """Cycles from step to step within a sequence, the streams never making the core wait.

        The rows' or the input's, whichever takes longer. Exact for the rows'. For the input's a lower bound:
        an answer may then go alone, because the next input is not there yet. The simulation counts the
        cycles of the hardware (:mod:`sim`), and the report carries what it counted.
        """
        return max(self.row_cycles, self.input_cycles)

    @property
    def answer_latency(self) -> int:
        """Cycles from an input's last word to its answer's first, in a core with nothing else to do.

        Two decisions and a launch, the passes of update and answer, the chain, bias and queue; an answer of
        the argmax alone waits for all its logits.
        """
        passes = (self.passes - 1) * (self.update_period + self.answer_period)
        wait = max(self.step_gap, self.update_period + 1)
        logits = 0 if self.network.output_kind.has_logits else self.network.output_size
        return passes + wait + self.chain_latency + 7 + logits

    @property
    def input_cycles(self) -> int:
        """Cycles that a step's input takes to arrive.

        A word a cycle, and for a vector, which shares the operand memory's write port with the state, one
        more for each hidden unit.
        """
        return self.network.input_size + self.network.hidden_size if self.network.vector_input else 1
