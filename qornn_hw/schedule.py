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
    operand       an element can load it                                  5 + chain_latency + tail_latency

The chain adds *bipolar* weights: ``2 w + 1`` is a sum of bit planes that are +1 or -1 each
(:mod:`rtl_gen.dot_product`). With g the operands and N what the one's complements of negated planes lack,

    sum in the chain = 2 (W g) + sum_j g_j - N        2 (W g + b) = sum in the chain + (N + 2 b) - sum_j g_j

so that a row has a constant ``N + 2 b``, and a step a *total* ``sum_j g_j``. Weights of one bit are +1 or -1
themselves and need no total.
"""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qornn_hw.bounds import Bounds, accumulator_bounds, input_range, state_range
from qornn_hw.device import SPRAM_DEPTH, SPRAM_WORD_BITS
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.fixed import bits_for_range
from qornn_hw.network import Activation, IntegerNetwork, OutputMode

__all__ = [
    "DSP_OPERAND_BITS",
    "Schedule",
    "bipolar_weights",
    "complement_losses",
    "dot_product_latency",
    "requantizer_latency",
]

IntArray = NDArray[np.int64]

# A requantizer input wider than this is cut in two halves of this width, a multiplier each (SB_MAC16, 16x16).
DSP_OPERAND_BITS = 16


def levels(count: int) -> int:
    """Return the depth of a binary tree with ``count`` leaves.

    >>> [levels(n) for n in (1, 2, 3, 4, 5)]
    [0, 1, 2, 2, 3]
    """
    return (count - 1).bit_length()


def bipolar_weights(weights: IntArray, bits: int) -> IntArray:
    """Return the factors of which the bit planes of weights are the digits: ``2 w + 1``; w itself at one bit.

    >>> bipolar_weights(np.array([-8, 0, 7]), 4), bipolar_weights(np.array([-1, 1]), 1)
    (array([-15,   1,  15]), array([-1,  1]))
    """
    return weights if bits == 1 else 2 * weights + 1


def complement_losses(weights: IntArray, bits: int) -> IntArray:
    """Return what the planes of a row of weights lack because a negated plane is a one's complement.

    ``-v`` is ``~v + 1``; columns go in pairs, and the first one's bit says whether a plane of the pair is
    negated. The last axis is the columns.

    >>> complement_losses(np.array([[7, 0, -8], [-8, 7, 0]]), 4)
    array([15, 22])
    """
    first = weights[..., ::2]
    if bits == 1:
        return np.asarray((first < 0).sum(axis=-1))
    return np.asarray(((1 << (bits - 1)) - 1 - first).sum(axis=-1))


def dot_product_latency(columns: int, weight_bits: int) -> int:
    """Return the cycles of an element's dot product: a register after the selection and after every adder."""
    return 1 + levels(-(-columns // 2)) + levels(weight_bits)


def requantizer_latency(value_bits: int, multiplier: int | None) -> int:
    """Return the cycles of the requantizer: registers in and behind the multiplier, and a saturation.

    A value that is cut in two halves takes one more to join them. A factor that all rows share and that is a
    power of two needs no multiplier.
    """
    if multiplier is not None and multiplier.bit_count() == 1:
        return 3
    return 5 if value_bits > DSP_OPERAND_BITS else 4


# Zeroing and the bias of modrelu; the other activations work in the requantizer's saturation or table.
MODRELU_LATENCY = 2

# From an input's last word to the first launch, from a unit to its product in a logit, and out of the queue.
READOUT_LATENCY = 12


@dataclass(frozen=True)
class Schedule:
    """The plan of a network on a chain of ``elements`` elements of ``columns_per_element`` columns.

    Attributes:
        network: what is computed.
        columns_per_element: columns in an element, at least 1.
        elements: elements in the chain, at least 1.
        readout_lanes: multipliers beside the chain that compute the logits (:mod:`rtl_gen.readout`); with 0
            the rows of V ride in the chain.
        input_lanes: 1 for a multiplier behind the chain that adds U x of a network of one input; with 0 the
            input has columns in the chain.
        memory_register: whether a register follows the memories of weights, operands and constants, where
            block RAM takes half a cycle to give its word.
        spram_elements: elements, the first ones, whose weights are in a large memory each, loaded after
            start-up; their words have at most 16 bits. The others have theirs in block RAM.
        answer_registers: whether answers wait in flip-flops, not in block RAM; where there is one a sequence
            and no readout, of which the queue then holds one.
    """

    network: IntegerNetwork
    columns_per_element: int
    elements: int
    _: KW_ONLY
    readout_lanes: int = 0
    input_lanes: int = 0
    memory_register: bool = False
    spram_elements: int = 0
    answer_registers: bool = False

    def __post_init__(self) -> None:
        for name in ("columns_per_element", "elements"):
            value = getattr(self, name)
            if value < 1:
                raise FormatError(f"{name} must be at least 1, not {value!r}")
        if not 0 <= self.readout_lanes <= self.network.output_size:
            raise FormatError(
                f"readout_lanes must be 0 to {self.network.output_size}, the outputs of the network, "
                f"not {self.readout_lanes!r}"
            )
        if self.readout_lanes == self.network.hidden_size == 1 and self.readout_sweeps > 1:
            raise FormatError(
                "readout_lanes must be 0 or at least 2 where one hidden unit has several outputs, not 1: a "
                "sweep must have three cycles"
            )
        alone = self.network.vector_input and self.network.input_size == 1
        if not 0 <= self.input_lanes <= alone:
            raise FormatError(
                f"input_lanes must be 0{' or 1' if alone else ', of a network without a single input'}, not "
                f"{self.input_lanes!r}"
            )
        if self.input_lanes and self.dot_product_latency < self.addend_latency:
            raise FormatError(
                "input_lanes must be 0 where an element has one or two columns of one bit, not "
                f"{self.input_lanes!r}"
            )
        if self.elements > self.words:
            raise FormatError(
                f"elements must be at most {self.words}, the words of {self.columns_per_element} columns of "
                f"the network, not {self.elements!r}"
            )
        if not 0 <= self.spram_elements <= self.elements:
            raise FormatError(
                f"spram_elements must be 0 to {self.elements}, the elements, not {self.spram_elements!r}"
            )
        if self.spram_elements:
            self._check_spram()
        if self.answer_registers and (
            self.network.output_mode is not OutputMode.LAST_STEP or self.readout_lanes
        ):
            raise FormatError(
                "answer_registers must be off with a readout or an answer at every step, which would wait"
            )

    def _check_spram(self) -> None:
        widths = [k * c for k, c in zip(self.weight_bits, self.element_columns, strict=True)]
        if (width := max(widths[: self.spram_elements])) > SPRAM_WORD_BITS:
            raise FormatError(
                f"spram_elements must have at most {SPRAM_WORD_BITS} bits of weights in a word, not {width}; "
                "take fewer columns an element"
            )
        if self.weight_depth > SPRAM_DEPTH:
            raise FormatError(
                f"spram_elements must have at most {SPRAM_DEPTH} words of weights, not {self.weight_depth}; "
                "take more elements"
            )

    @property
    def keeps_columns(self) -> bool:
        """Whether read-only memories have a word more, of bits unlike those of the first.

        Synthesis leaves out a column of bits that are all alike, and other weights may need it.
        """
        return False

    @property
    def engine(self) -> Engine:
        """What multiplies; :class:`qornn_hw.dsp_schedule.DspSchedule` has the other one."""
        return Engine.LUT

    @property
    def store(self) -> WeightStore:
        """Where the weights are; SPRAM where those of any element are."""
        return WeightStore.SPRAM if self.weight_banks else WeightStore.BLOCK_RAM

    # -- places -------------------------------------------------------------------------------------

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that chain, input and readout can do in a cycle."""
        return self.elements * self.columns_per_element + self.readout_lanes + self.input_lanes

    @property
    def input_words(self) -> int:
        """Words that hold columns of U; none for a one-hot input, or one that does not go into the chain."""
        if not self.network.vector_input or self.input_lanes:
            return 0
        return -(-self.network.input_size // self.columns_per_element)

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
        """Rows of a pass with an answer: n of ``[U W]``, then p of ``[0 V]`` if these ride in the chain."""
        return self.network.hidden_size + (0 if self.readout_lanes else self.network.output_size)

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
                if not self.readout_lanes:
                    weights[n:, word, : len(columns)] = net.output_weight[:, columns]
        return weights

    @cached_property
    def weight_bits(self) -> tuple[int, ...]:
        """Bits of a stored weight in each element: the widest block that it holds in any pass.

        One bit means -1 and +1. An element with inputs needs zeros for its rows of V: at least two bits.
        """
        bits = self.network.weight_bits
        of_input, of_state = max(bits.input, 2), bits.recurrent
        if not self.readout_lanes:
            of_state = max(of_state, bits.output)
        # An element's first word is an input's before any other is, its last one a state's.
        last = (e + (self.words - 1 - e) // self.elements * self.elements for e in range(self.elements))
        return tuple(
            max(of_input if e < self.input_words else 1, of_state if word >= self.input_words else 1)
            for e, word in enumerate(last)
        )

    @property
    def lanes_per_bank(self) -> int:
        """Elements whose weights lie side by side in a large memory."""
        return 1

    @property
    def weight_banks(self) -> int:
        """Large memories that hold weights: of the first elements, ``lanes_per_bank`` each."""
        return self.spram_elements

    def loads(self, element: int) -> bool:
        """Return whether the weights of an element are loaded into a large memory after start-up."""
        return element < self.weight_banks * self.lanes_per_bank

    @property
    def weight_depth(self) -> int:
        """Words of each weight memory."""
        return self.passes * self.rows

    def weight_address(self, word: int, row: int) -> tuple[int, int]:
        """Return ``(element, address)`` of the weights of a word in a row."""
        column_pass, element = self.place(word)
        return element, column_pass * self.rows + row

    @cached_property
    def element_columns(self) -> tuple[int, ...]:
        """Columns of each element: those of the longest word that it holds in any pass."""
        # Two words at most are shorter than the others, the last ones of inputs and states.
        first = (range(e, self.words, self.elements)[:3] for e in range(self.elements))
        return tuple(max(len(self.columns(word)) for word in words) for words in first)

    @cached_property
    def element_operand_bits(self) -> tuple[int, ...]:
        """Bits of the signed operands of each element: those of the states where it never holds inputs."""
        inputs = min(self.input_words, self.elements)
        return (self.operand_bits,) * inputs + (self.network.state_bits,) * (self.elements - inputs)

    @property
    def total_elements(self) -> int:
        """Elements, the first ones, whose weights are ``2 w + 1`` and need the total of their operands.

        The others, of one bit, come behind them: only elements with inputs are wider than those without.
        """
        return sum(bits > 1 for bits in self.weight_bits)

    @property
    def scale(self) -> int:
        """What the sums in the chain are to the sums of the network: 2, or 1 if all weights have one bit."""
        return 2 if self.total_elements else 1

    def _by_element(self, values: IntArray) -> IntArray:
        """Return an array over words, axis 1, as one over passes and elements."""
        return values.reshape(values.shape[0], self.passes, self.elements, *values.shape[2:])

    @cached_property
    def _losses(self) -> IntArray:
        """What the sums in the chain lack of each row in each word, (rows, passes, elements)."""
        weights = self._by_element(self.word_weights)
        losses = np.zeros(weights.shape[:3], dtype=np.int64)
        for e, (bits, columns) in enumerate(zip(self.weight_bits, self.element_columns, strict=True)):
            factor = self.scale if bits == 1 else 1
            losses[:, :, e] = factor * complement_losses(weights[:, :, e, :columns], bits)
        return losses

    @cached_property
    def row_constants(self) -> tuple[int, ...]:
        """What is added to the sum of each row behind the chain: ``N + 2 b``, or ``N + 2 c``.

        b of modrelu is not in it: the activation adds it.
        """
        net = self.network
        bias = np.zeros_like(net.bias) if net.activation is Activation.MODRELU else net.bias
        addends = self.scale * np.concatenate([bias, net.output_bias])[: self.rows]
        return tuple(int(v) for v in addends + self._losses.sum(axis=(1, 2)))

    # -- widths, proved from the weights --------------------------------------------------------------

    @cached_property
    def bounds(self) -> Bounds:
        """Intervals of the network's accumulators."""
        return accumulator_bounds(self.network)

    @property
    def operand_bits(self) -> int:
        """Bits of an element's signed operand: a state, or an input shifted to the state's grid."""
        net = self.network
        if not self.input_words:
            return net.state_bits
        return max(net.state_bits, net.input_format.signed_bits + net.input_shift)

    @cached_property
    def _operand_ranges(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest operand of every column, (1, passes * elements, columns); 0 where none is.

        An answer that goes alone loads whatever input is there: one of an earlier step, or zeros.
        """
        shape = (1, self.passes * self.elements, self.columns_per_element)
        low, high = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        x_low, x_high = (x << self.network.input_shift for x in input_range(self.network))
        for word in range(self.words):
            held = slice(0, len(self.columns(word)))
            ends = (min(x_low, 0), x_high) if word < self.input_words else state_range(self.network)
            low[:, word, held], high[:, word, held] = ends
        return low, high

    @cached_property
    def _word_ranges(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest sum of each row in each word, in the chain, (rows, passes, elements)."""
        operand_low, operand_high = (self._by_element(r) for r in self._operand_ranges)
        weights = self._by_element(self.word_weights)
        low = np.zeros(weights.shape[:3], dtype=np.int64)
        high = np.zeros_like(low)
        for e, bits in enumerate(self.weight_bits):
            factors = bipolar_weights(weights[:, :, e], bits) * (self.scale if bits == 1 else 1)
            at_low, at_high = factors * operand_low[:, :, e], factors * operand_high[:, :, e]
            low[:, :, e] = np.minimum(at_low, at_high).sum(axis=2)
            high[:, :, e] = np.maximum(at_low, at_high).sum(axis=2)
        return low - self._losses, high - self._losses

    @cached_property
    def dot_bits(self) -> tuple[int, ...]:
        """Bits of the dot product of each element; at one bit before it is put to the chain's scale."""
        low, high = self._word_ranges
        scales = [self.scale if bits == 1 else 1 for bits in self.weight_bits]
        return tuple(
            bits_for_range(int(low[:, :, e].min()) // scale, int(high[:, :, e].max()) // scale)
            for e, scale in enumerate(scales)
        )

    @cached_property
    def _partial_sum_ranges(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest partial sum of each row behind each word, (rows, passes, elements)."""
        low, high = (self._by_element(r.reshape(self.rows, -1).cumsum(axis=1)) for r in self._word_ranges)
        return low, high

    @property
    def sum_bits(self) -> int:
        """Bits of ``2 (W g + b)`` behind the chain.

        Sums on the way there need no more: they are added modulo a power of two, and the last one fits it.
        """
        return self.accumulator_bits + self.scale - 1

    @cached_property
    def partial_sum_bits(self) -> tuple[int, ...]:
        """Bits of the partial sum that leaves each element, over all passes; at most ``sum_bits``."""
        low, high = self._partial_sum_ranges
        return tuple(
            min(self.sum_bits, bits_for_range(int(low[:, :, e].min()), int(high[:, :, e].max())))
            for e in range(self.elements)
        )

    @cached_property
    def waiting_sum_bits(self) -> int:
        """Bits of a partial sum that waits for the next pass; of no use with a single pass."""
        if self.passes == 1:
            return 1
        low, high = (r[:, : self.passes - 1, -1] for r in self._partial_sum_ranges)
        return min(self.sum_bits, bits_for_range(int(low.min()), int(high.max())))

    @cached_property
    def total_bits(self) -> int:
        """Bits of the total of the operands, over any part of the passes and elements that have one."""
        low, high = (self._by_element(r)[:, :, : self.total_elements] for r in self._operand_ranges)
        return min(self.sum_bits, bits_for_range(min(0, int(low.sum())), max(0, int(high.sum()))))

    @property
    def accumulator_bits(self) -> int:
        """Bits of the accumulator behind the chain: of hidden units, and of logits that ride in it."""
        return self.bounds.state_bits if self.readout_lanes else self.bounds.bits

    @property
    def logit_bits(self) -> int:
        """Bits of a logit where it is computed."""
        return self.bounds.output_bits if self.readout_lanes else self.accumulator_bits

    @property
    def activated_bits(self) -> int:
        """Bits of a hidden unit's accumulator after the activation, the requantizer's input."""
        return self.bounds.state_bits

    @cached_property
    def constant_bits(self) -> int:
        """Bits of the widest constant of a row."""
        return min(self.sum_bits, bits_for_range(min(self.row_constants), max(self.row_constants)))

    @property
    def input_weight_bits(self) -> int:
        """Bits of a weight of U in the multiplier behind the chain: two for -1 and +1."""
        return max(2, self.network.weight_bits.input)

    @property
    def bias_bits(self) -> int:
        """Bits of the widest b, where it is the activation's."""
        return bits_for_range(int(self.network.bias.min()), int(self.network.bias.max()))

    @property
    def multiplier_bits(self) -> int:
        """Bits of the largest M."""
        return int(self.network.multiplier.max()).bit_length()

    @property
    def shares_multiplier(self) -> bool:
        """Whether all units have the same M, which is then no part of a memory."""
        return bool(np.all(self.network.multiplier == self.network.multiplier[0]))

    @property
    def shared_multiplier(self) -> int | None:
        """M where all units share it, else None."""
        return int(self.network.multiplier[0]) if self.shares_multiplier else None

    @property
    def constant_widths(self) -> tuple[int, ...]:
        """Bits of the fields of a row's word of constants, from the lowest.

        Its constant, then b of modrelu, then M where units differ in it, then U of an input behind the chain.
        """
        widths = [self.constant_bits]
        if self.network.activation is Activation.MODRELU:
            widths.append(self.bias_bits)
        if not self.shares_multiplier:
            widths.append(self.multiplier_bits)
        if self.input_lanes:
            widths.append(self.input_weight_bits)
        return tuple(widths)

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
        """Cycles of the dot product, in every element that of the widest, with the register before it."""
        return self.memory_register + dot_product_latency(self.columns_per_element, max(self.weight_bits))

    @property
    def addend_latency(self) -> int:
        """Cycles from a row's constant out of its memory to what is added behind the chain.

        A register behind the memory, if there is one; constant and total are one addition; U x, of a symbol
        or a multiplier, is one more.
        """
        apart = self.input_lanes > 0 or (not self.network.vector_input and self.total_elements > 0)
        return self.memory_register + 1 + apart

    @property
    def chain_latency(self) -> int:
        """Cycles from a row's token at the first element to its partial sum out of the last.

        A cycle for each element, one for the weight memory, and those of the dot product.
        """
        return self.elements + 1 + self.dot_product_latency

    @property
    def activation_latency(self) -> int:
        """Cycles of the activation at accumulator precision, with the accumulator's register before it."""
        return 1 + MODRELU_LATENCY if self.network.activation is Activation.MODRELU else 0

    @property
    def tail_latency(self) -> int:
        """Cycles from a row's partial sum to its state: activation, requantizer (or table).

        The row's constant is added on the way into the first register of either.
        """
        return self.activation_latency + requantizer_latency(self.activated_bits, self.shared_multiplier)

    def period(self, rows: int) -> int:
        """Return the cycles from one pass's launch to the next one's.

        At least one a row, and long enough for a pass to leave the chain before the next but one enters
        the tail: partial sums are read back, and a step's symbol is taken over, in that time. The sequencer
        needs five.
        """
        return max(rows, self.chain_latency + 1, 5)

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
        the last pass; three more cycles lead through the operand memory and the sums of pairs.
        """
        shortest = self.update_period if self.readout_lanes else min(self.answer_period, self.update_period)
        latency = self.chain_latency + self.tail_latency + 3
        # A period is longer than 3 anyway; the sequencer's counter cannot wait less.
        gap = 3
        for word in range(self.input_words, self.words):
            q, e = self.place(word)
            gap = max(gap, self.columns(word)[-1] + latency - q * shortest - e)
        return gap

    @property
    def readout_sweeps(self) -> int:
        """Times that the readout goes through the units for an answer, ``readout_lanes`` logits each."""
        return -(-self.network.output_size // self.readout_lanes)

    @property
    def readout_weight_bits(self) -> int:
        """Bits of a weight of V in the readout, two's complement: two for -1 and +1."""
        return max(2, self.network.weight_bits.output)

    @property
    def readout_cycles(self) -> int:
        """Cycles from the first unit of an answer to that of the next one, with a readout.

        A unit a cycle in each sweep, then a cycle for each lane's logit.
        """
        return self.readout_sweeps * (self.network.hidden_size + self.readout_lanes)

    @property
    def answer_gap(self) -> int:
        """``step_gap`` behind a step whose answer the readout computes."""
        if not self.readout_lanes:
            return self.step_gap
        return max(self.step_gap, self.readout_cycles - (self.passes - 1) * self.update_period)

    @property
    def answers_held(self) -> int:
        """Answers that the queue has room for: one in registers, else what leaves and all under way.

        The room is taken at the launch; a readout gives the last logit long after it.
        """
        if not self.readout_lanes:
            return 1 if self.answer_registers else 2
        passes = (self.passes - 1) * self.update_period
        until = passes + self.chain_latency + self.tail_latency + self.readout_cycles + READOUT_LATENCY
        return 1 - -until // (passes + max(self.update_period, self.answer_gap))

    @property
    def answer_queue_depth(self) -> int:
        """Words of the memory of the answers' queue: a power of two, one word of which stays free."""
        return 1 << (self.answers_held * self.answer_words).bit_length()

    @property
    def row_cycles(self) -> int:
        """Cycles of a step's rows, and of the wait for the state or the readout where there are few."""
        every = self.network.output_mode is OutputMode.EVERY_STEP
        period = self.joint_period if every else self.update_period
        return (self.passes - 1) * period + max(period, self.answer_gap if every else self.step_gap)

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

        The input buffer, two decisions and a launch, the passes of update and answer, chain, bias, queue; of
        the argmax alone waits for all its logits. With a readout: one launch, the passes of the update, the
        first unit, and the sweeps.
        """
        logits = 0 if self.network.output_kind.has_logits else self.network.output_size
        if self.readout_lanes:
            update = (self.passes - 1) * self.update_period + self.chain_latency + self.tail_latency
            whole = (self.readout_sweeps - 1) * (self.network.hidden_size + self.readout_lanes)
            sweeps = whole + logits - (self.readout_sweeps - 1) * self.readout_lanes if logits else 0
            return update + self.network.hidden_size + sweeps + READOUT_LATENCY
        passes = (self.passes - 1) * (self.update_period + self.answer_period)
        wait = max(self.step_gap, self.update_period + 1)
        return passes + wait + self.chain_latency + 8 + logits

    @property
    def input_cycles(self) -> int:
        """Cycles that a step's input takes to arrive.

        A word a cycle, and for a vector, which shares the operand memory's write port with the state, one
        more for each hidden unit.
        """
        return self.network.input_size + self.network.hidden_size if self.input_words else 1
