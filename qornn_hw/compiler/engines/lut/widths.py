"""Widths of the lut engine: proved from the weights, and the widest that any weights need."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.engines.lut.bipolar import bipolar_weights
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.widest import Reaches, two_sided, widest_network
from qornn_hw.compiler.widths import Widths, network_widths
from qornn_hw.ir.formats import bits_for_range

__all__ = ["prove_widths", "widest_widths"]

IntArray = NDArray[np.int64]
# More than any sum has: with it a sum on the way has the bits that it needs for itself.
UNLIMITED_BITS = 64


@dataclass(frozen=True)
class _Ranges:
    """Smallest and largest sums in the chain, each (rows, passes, elements)."""

    placement: LutPlacement

    @cached_property
    def words(self) -> tuple[IntArray, IntArray]:
        """Sum of each row in each word."""
        p = self.placement
        operand_low, operand_high = (p.by_element(r) for r in p.operand_ranges)
        weights = p.by_element(p.word_weights)
        low = np.zeros(weights.shape[:3], dtype=np.int64)
        high = np.zeros_like(low)
        for e, bits in enumerate(p.weight_bits):
            factors = bipolar_weights(weights[:, :, e], bits) * (p.scale if bits == 1 else 1)
            at_low, at_high = factors * operand_low[:, :, e], factors * operand_high[:, :, e]
            low[:, :, e] = np.minimum(at_low, at_high).sum(axis=2)
            high[:, :, e] = np.maximum(at_low, at_high).sum(axis=2)
        return low - p.losses, high - p.losses

    @cached_property
    def partial_sums(self) -> tuple[IntArray, IntArray]:
        """Partial sum of each row behind each word."""
        p = self.placement
        low, high = (p.by_element(r.reshape(p.rows, -1).cumsum(axis=1)) for r in self.words)
        return low, high


def prove_widths(placement: LutPlacement, *, limited: bool = True) -> Widths:
    """Return the smallest widths that hold every number of a network on a chain.

    Args:
        placement: the network on the chain.
        limited: whether a sum on the way is at most as wide as the last one. Sums are added modulo a power
            of two and the last one fits it, so none needs more. Without the limit each sum has the bits that
            its own range needs.
    """
    p, ranges = placement, _Ranges(placement)
    of_network = network_widths(p.network, logits_apart=p.chain.readout_lanes > 0)
    most = of_network.accumulator_bits + p.scale - 1 if limited else UNLIMITED_BITS
    low, high = ranges.words
    scales = [p.scale if bits == 1 else 1 for bits in p.weight_bits]
    behind_low, behind_high = ranges.partial_sums
    waiting = 1
    if p.passes > 1:
        waits_low, waits_high = (r[:, : p.passes - 1, -1] for r in ranges.partial_sums)
        waiting = min(most, bits_for_range(int(waits_low.min()), int(waits_high.max())))
    # Any part of the passes and elements: each operand counts only towards its own side of zero.
    total_low, total_high = (p.by_element(r)[:, :, : p.total_elements] for r in p.operand_ranges)
    return Widths(
        dot_bits=tuple(
            bits_for_range(int(low[:, :, e].min()) // scale, int(high[:, :, e].max()) // scale)
            for e, scale in enumerate(scales)
        ),
        partial_sum_bits=tuple(
            min(most, bits_for_range(int(behind_low[:, :, e].min()), int(behind_high[:, :, e].max())))
            for e in range(p.chain.elements)
        ),
        waiting_sum_bits=waiting,
        total_bits=min(most, bits_for_range(min(0, int(total_low.sum())), max(0, int(total_high.sum())))),
        constant_bits=min(most, bits_for_range(min(p.row_constants), max(p.row_constants))),
        **asdict(of_network),
    )


def widest_widths(placement: LutPlacement) -> Widths:
    """Return the widths that hold every number of any network of the same formats."""
    p = placement
    of_network, reaches = widest_network(p), Reaches.of(p.network)
    sums = of_network.accumulator_bits + p.scale - 1
    elements = p.chain.elements
    dots, behind, total = [0] * elements, [], 0
    reach = 0
    for word in range(p.passes * elements):
        e, k = word % elements, p.weight_bits[word % elements]
        columns = len(p.columns(word)) if word < p.words else 0
        operand = reaches.shifted_input if word < p.input_words else reaches.state
        digits = (1 << k) - 1 if k > 1 else 1
        dot = digits * (columns * operand + -(-p.element_columns[e] // 2))
        dots[e] = max(dots[e], dot)
        reach += dot * (p.scale if k == 1 else 1)
        behind.append(min(sums, two_sided(reach)))
        total += columns * operand if e < p.total_elements else 0
    last = behind[elements - 1 : -1 : elements]
    return Widths(
        dot_bits=tuple(two_sided(dot) for dot in dots),
        partial_sum_bits=tuple(max(behind[e::elements]) for e in range(elements)),
        waiting_sum_bits=max(last, default=1),
        total_bits=min(sums, two_sided(total)) if p.total_elements else bits_for_range(0, 0),
        constant_bits=sums,
        **asdict(of_network),
    )
