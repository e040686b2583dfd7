"""Where every column of the network sits in the chain.

The columns of ``[U W]`` are cut into *words* of ``columns_per_element`` columns, inputs first, then hidden
units; no word holds both. Word w belongs to element ``w % elements`` in column pass ``w // elements``. The
rows of ``[U W]`` come first, then those of ``[0 V]``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_bounds import input_range, state_range
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.chain_plan import Chain

__all__ = ["Placement"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Placement(ABC):
    """Columns, rows and weight addresses of a network on a chain.

    Attributes:
        network: what is computed.
        chain: the shape of the core.
    """

    network: IntegerNetwork
    chain: Chain

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that chain, input and readout can do in a cycle."""
        c = self.chain
        return c.elements * c.columns_per_element + c.readout_lanes + c.input_lanes

    @cached_property
    def input_words(self) -> int:
        """Words that hold columns of U; none for a one-hot input, or one that does not go into the chain."""
        if not self.network.vector_input or self.chain.input_lanes:
            return 0
        return -(-self.network.input_size // self.chain.columns_per_element)

    @cached_property
    def state_words(self) -> int:
        """Words that hold columns of W and V."""
        return -(-self.network.hidden_size // self.chain.columns_per_element)

    @cached_property
    def words(self) -> int:
        """All words of the network."""
        return self.input_words + self.state_words

    @property
    def passes(self) -> int:
        """Column passes of a step."""
        return -(-self.words // self.chain.elements)

    def place(self, word: int) -> tuple[int, int]:
        """Return ``(column pass, element)`` of a word."""
        return divmod(word, self.chain.elements)

    def columns(self, word: int) -> range:
        """Return the columns of U (for a word below ``input_words``) or of W and V that a word holds."""
        c, net = self.chain.columns_per_element, self.network
        if word < self.input_words:
            return range(word * c, min((word + 1) * c, net.input_size))
        first = (word - self.input_words) * c
        return range(first, max(first, min(first + c, net.hidden_size)))

    @cached_property
    def rows(self) -> int:
        """Rows of a pass with an answer: n of ``[U W]``, then p of ``[0 V]`` if these are in the chain."""
        return self.network.hidden_size + (0 if self.chain.readout_lanes else self.network.output_size)

    @cached_property
    def element_columns(self) -> tuple[int, ...]:
        """Columns of each element: those of the longest word that it holds in any pass."""
        # Two words at most are shorter than the others: the last ones of inputs and states.
        elements = self.chain.elements
        first = (range(e, self.words, elements)[:3] for e in range(elements))
        return tuple(max(len(self.columns(word)) for word in words) for words in first)

    # -- operands -------------------------------------------------------------------------------------

    @property
    def operand_bits(self) -> int:
        """Bits of an element's signed operand: a state, or an input shifted to the state's grid."""
        net = self.network
        if not self.input_words:
            return net.state_bits
        return max(net.state_bits, net.input_format.signed_bits + net.input_shift)

    @cached_property
    def element_operand_bits(self) -> tuple[int, ...]:
        """Bits of the signed operands of each element: those of the states where it never holds inputs."""
        elements = self.chain.elements
        inputs = min(self.input_words, elements)
        return (self.operand_bits,) * inputs + (self.network.state_bits,) * (elements - inputs)

    @property
    def operand_half(self) -> int:
        """Words in each half of the operand memory, a power of two.

        Word w is at w in either half. The lower half of a state word holds the running state, the upper half
        the initial state. An input word is double-buffered in the two halves.
        """
        return 1 << (self.passes * self.chain.elements - 1).bit_length()

    @cached_property
    def operand_ranges(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest operand of every column, (1, passes * elements, columns); 0 where none is.

        An answer that goes alone loads whatever input is there: one of an earlier step, or zeros.
        """
        shape = (1, self.passes * self.chain.elements, self.chain.columns_per_element)
        low, high = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        x_low, x_high = (x << self.network.input_shift for x in input_range(self.network))
        for word in range(self.words):
            held = slice(0, len(self.columns(word)))
            ends = (min(x_low, 0), x_high) if word < self.input_words else state_range(self.network)
            low[:, word, held], high[:, word, held] = ends
        return low, high

    # -- weights --------------------------------------------------------------------------------------

    @cached_property
    def word_weights(self) -> IntArray:
        """Every weight at its place, zero where there is none, (rows, passes * elements, columns)."""
        net, c = self.network, self.chain.columns_per_element
        n = net.hidden_size
        weights = np.zeros((self.rows, self.passes * self.chain.elements, c), dtype=np.int64)
        for word in range(self.words):
            columns = self.columns(word)
            if word < self.input_words:
                weights[:n, word, : len(columns)] = net.input_weight[:, columns]
            else:
                weights[:n, word, : len(columns)] = net.recurrent_weight[:, columns]
                if not self.chain.readout_lanes:
                    weights[n:, word, : len(columns)] = net.output_weight[:, columns]
        return weights

    def by_element(self, values: IntArray) -> IntArray:
        """Return an array over words, axis 1, as one over passes and elements."""
        return values.reshape(values.shape[0], self.passes, self.chain.elements, *values.shape[2:])

    @property
    @abstractmethod
    def weight_bits(self) -> tuple[int, ...]:
        """Bits of a stored weight in each element."""

    @property
    @abstractmethod
    def weight_depth(self) -> int:
        """Words of each weight memory."""

    @abstractmethod
    def weight_address(self, word: int, row: int) -> tuple[int, int]:
        """Return ``(element, address)`` of the weights of a word in a row."""

    @property
    def lanes_per_bank(self) -> int:
        """Elements whose weights lie side by side in a large memory."""
        return 1

    @property
    def weight_banks(self) -> int:
        """Large memories that hold weights, of the first elements, ``lanes_per_bank`` each."""
        return 0

    def loads(self, element: int) -> bool:
        """Return whether the weights of an element are loaded into a large memory after start-up."""
        return element < self.weight_banks * self.lanes_per_bank

    # -- readout --------------------------------------------------------------------------------------

    @property
    def readout_sweeps(self) -> int:
        """Times that the readout goes through the units for an answer, ``readout_lanes`` logits each."""
        return -(-self.network.output_size // self.chain.readout_lanes)

    @property
    def readout_weight_bits(self) -> int:
        """Bits of a weight of V in the readout, two's complement: two for -1 and +1."""
        return max(2, self.network.weight_bits.output)

    @property
    def input_weight_bits(self) -> int:
        """Bits of a weight of U in the multiplier behind the chain: two for -1 and +1."""
        return max(2, self.network.weight_bits.input)
