"""Weights of the dsp engine: one column an element, all passes over all rows.

The weight memories of all elements share one address, which counts through the whole step. A row reaches
element e e cycles after the first one, so element e has its weights e words further on.
"""

from dataclasses import dataclass
from typing import Self

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.family import SPRAM_WORD_BITS
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.weight_store import WeightStore

__all__ = ["SPRAM_WEIGHT_BITS", "DspPlacement"]

# Bits that SPRAM holds for a weight.
SPRAM_WEIGHT_BITS = 8
LANES_PER_SPRAM = SPRAM_WORD_BITS // SPRAM_WEIGHT_BITS


@dataclass(frozen=True)
class DspPlacement(Placement):
    """A network on a chain of hard multipliers."""

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Return the placement of a schedule of the dsp engine."""
        placement = ChainSchedule.of(schedule).placement
        assert isinstance(placement, cls)
        return placement

    @property
    def in_spram(self) -> bool:
        """Whether the weights are in large memories."""
        return self.chain.store is WeightStore.SPRAM

    @property
    def weight_bits(self) -> tuple[int, ...]:
        """Bits of a stored weight: a byte in SPRAM, else what any element needs, the same in all.

        -1 and +1 are stored as numbers.
        """
        elements = self.chain.elements
        if self.in_spram:
            return (SPRAM_WEIGHT_BITS,) * elements
        bits = self.network.weight_bits
        of_input = bits.input if self.network.vector_input else 2
        return (max(2, of_input, bits.recurrent, bits.output),) * elements

    @property
    def chain_latency(self) -> int:
        """Cycles from a row at the first element to its partial sum out of the last."""
        return self.chain.elements + 1

    @property
    def pass_period(self) -> int:
        """Cycles from the launch of one pass to the next, whatever rows are wanted of it.

        At least one a row, and long enough for a pass to have loaded its operands before the next one is
        decided on, and for a sum to be written before the next pass reads it.
        """
        return max(self.rows, self.chain_latency + 3)

    @property
    def weight_depth(self) -> int:
        """Words of a weight memory: all passes, and as many more as the last element lags behind."""
        return (self.passes - 1) * self.pass_period + self.rows + self.chain.elements - 1

    def weight_address(self, word: int, row: int) -> tuple[int, int]:
        """Return ``(element, address)`` of the weights of a word in a row."""
        column_pass, element = self.place(word)
        return element, column_pass * self.pass_period + row + element

    @property
    def lanes_per_bank(self) -> int:
        """Elements whose weights lie side by side in a large memory."""
        return LANES_PER_SPRAM

    @property
    def weight_banks(self) -> int:
        """Large memories that hold the weights, ``lanes_per_bank`` elements each."""
        return -(-self.chain.elements // LANES_PER_SPRAM) if self.in_spram else 0
