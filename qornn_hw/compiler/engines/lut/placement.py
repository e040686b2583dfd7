"""Weights, scale and row constants of the lut engine."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines.lut.bipolar import complement_losses
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.schedule import Schedule

__all__ = ["LutPlacement"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class LutPlacement(Placement):
    """A network on a chain of elements of logic cells."""

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Return the placement of a schedule of the lut engine."""
        placement = ChainSchedule.of(schedule).placement
        assert isinstance(placement, cls)
        return placement

    @cached_property
    def weight_bits(self) -> tuple[int, ...]:
        """Bits of a stored weight in each element: the widest block that it holds in any pass.

        One bit means -1 and +1. An element with inputs needs zeros for its rows of V: at least two bits.
        """
        bits, elements = self.network.weight_bits, self.chain.elements
        of_input, of_state = max(bits.input, 2), bits.recurrent
        if not self.chain.readout_lanes:
            of_state = max(of_state, bits.output)
        # The first word of an element holds inputs if any of its words does, its last one states.
        last = (e + (self.words - 1 - e) // elements * elements for e in range(elements))
        return tuple(
            max(of_input if e < self.input_words else 1, of_state if word >= self.input_words else 1)
            for e, word in enumerate(last)
        )

    @property
    def weight_banks(self) -> int:
        """Large memories that hold weights: one for each of the first elements."""
        return self.chain.spram_elements

    @property
    def weight_depth(self) -> int:
        """Words of each weight memory."""
        return self.passes * self.rows

    def weight_address(self, word: int, row: int) -> tuple[int, int]:
        """Return ``(element, address)`` of the weights of a word in a row."""
        column_pass, element = self.place(word)
        return element, column_pass * self.rows + row

    @property
    def total_elements(self) -> int:
        """Elements, the first ones, whose weights are ``2 w + 1`` and need the total of their operands.

        The others, of one bit, are behind them: only elements with inputs are wider than those without.
        """
        return sum(bits > 1 for bits in self.weight_bits)

    @property
    def scale(self) -> int:
        """Ratio of the sums in the chain to those of the network: 2, or 1 if all weights have one bit."""
        return 2 if self.total_elements else 1

    @cached_property
    def losses(self) -> IntArray:
        """What the sums in the chain lack of each row in each word, (rows, passes, elements)."""
        weights = self.by_element(self.word_weights)
        losses = np.zeros(weights.shape[:3], dtype=np.int64)
        for e, (bits, columns) in enumerate(zip(self.weight_bits, self.element_columns, strict=True)):
            factor = self.scale if bits == 1 else 1
            losses[:, :, e] = factor * complement_losses(weights[:, :, e, :columns], bits)
        return losses

    @cached_property
    def row_constants(self) -> tuple[int, ...]:
        """What is added to the sum of each row behind the chain: ``N + 2 b``, or ``N + 2 c``, (rows,).

        The bias of modrelu is not in it: the activation adds it.
        """
        net = self.network
        bias = np.zeros_like(net.bias) if net.activation.shape.unit_bias else net.bias
        addends = self.scale * np.concatenate([bias, net.output_bias])[: self.rows]
        return tuple(int(v) for v in addends + self.losses.sum(axis=(1, 2)))
