"""Widths of the dsp engine: proved from the weights, and the widest that any weights need."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.engines.dsp.placement import DspPlacement
from qornn_hw.compiler.widest import Reaches, largest_product, two_sided, widest_network
from qornn_hw.compiler.widths import Widths, network_widths
from qornn_hw.ir.formats import bits_for_range

__all__ = ["prove_widths", "row_constants", "widest_widths"]

IntArray = NDArray[np.int64]
# More than any sum has.
UNLIMITED_BITS = 64


def row_constants(placement: DspPlacement) -> IntArray:
    """Return the constant that the sum of each row starts from, (rows,): b, or 0 for modrelu, then c."""
    net = placement.network
    bias = np.zeros_like(net.bias) if net.activation.shape.unit_bias else net.bias
    return np.concatenate([bias, net.output_bias])


def _starts(p: DspPlacement) -> tuple[IntArray, IntArray]:
    """Return the smallest and largest number that each row's sum starts from, (rows,): with its symbol."""
    net, n = p.network, p.network.hidden_size
    low = row_constants(p).copy()
    high = low.copy()
    if not net.vector_input:
        low[:n] += np.minimum(net.input_weight.min(axis=1), 0) << net.input_shift
        high[:n] += np.maximum(net.input_weight.max(axis=1), 0) << net.input_shift
    return low, high


def _word_ranges(p: DspPlacement) -> tuple[IntArray, IntArray]:
    """Return the smallest and largest sum of each row in each word, (rows, words of all passes)."""
    ends = np.stack([p.word_weights * operand for operand in p.operand_ranges])
    return ends.min(axis=0).sum(axis=2), ends.max(axis=0).sum(axis=2)


def prove_widths(placement: DspPlacement, *, limited: bool = True) -> Widths:
    """Return the smallest widths that hold every number of a network on a chain.

    Arguments as in :func:`qornn_hw.compiler.engines.lut.widths.prove_widths`.
    """
    p = placement
    of_network = network_widths(p.network, logits_apart=False)
    most = of_network.accumulator_bits if limited else UNLIMITED_BITS
    words = [p.by_element(word) for word in _word_ranges(p)]
    behind = [
        p.by_element(start[:, np.newaxis] + word.reshape(p.rows, -1).cumsum(axis=1))
        for start, word in zip(_starts(p), words, strict=True)
    ]
    constants = row_constants(p)
    constant_bits = min(most, bits_for_range(int(constants.min()), int(constants.max())))
    waiting = constant_bits
    if p.passes > 1:
        low, high = (r[:, : p.passes - 1, -1] for r in behind)
        waiting = max(waiting, min(most, bits_for_range(int(low.min()), int(high.max()))))
    elements = range(p.chain.elements)
    return Widths(
        dot_bits=tuple(
            bits_for_range(int(words[0][:, :, e].min()), int(words[1][:, :, e].max())) for e in elements
        ),
        partial_sum_bits=tuple(
            min(most, bits_for_range(int(behind[0][:, :, e].min()), int(behind[1][:, :, e].max())))
            for e in elements
        ),
        waiting_sum_bits=waiting,
        total_bits=bits_for_range(0, 0),
        constant_bits=constant_bits,
        **asdict(of_network),
    )


def widest_widths(placement: DspPlacement) -> Widths:
    """Return the widths that hold every number of any network of the same formats."""
    p = placement
    of_network, reaches = widest_network(p), Reaches.of(p.network)
    sums, elements = of_network.accumulator_bits, p.chain.elements
    reach, behind = 1 << (sums - 1), []
    for word in range(p.passes * elements):
        columns = len(p.columns(word)) if word < p.words else 0
        operand = reaches.shifted_input if word < p.input_words else reaches.state
        reach += columns * largest_product(p.weight_bits[word % elements], operand)
        behind.append(min(sums, two_sided(reach)))
    return Widths(
        dot_bits=(1,) * elements,
        partial_sum_bits=tuple(max(behind[e::elements]) for e in range(elements)),
        waiting_sum_bits=sums,
        total_bits=bits_for_range(0, 0),
        constant_bits=sums,
        **asdict(of_network),
    )
