"""The largest numbers that any network of given sizes and formats can have, for hardware with room."""

from dataclasses import dataclass
from typing import Self

from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.widths import NetworkWidths
from qornn_hw.ir.formats import bits_for_range

__all__ = ["Reaches", "largest_product", "two_sided", "widest_network"]

# Room of the requantizer's factor M: bits by which it may be larger, and what a hard multiplier takes.
LARGER_BITS = 2
FACTOR_BITS = 15


def two_sided(reach: int) -> int:
    """Return the bits of a signed number of at most ``reach`` in magnitude."""
    return bits_for_range(-reach, reach)


def largest_product(weight_bits: int, value: int) -> int:
    """Return the largest magnitude of a weight of so many bits, times ``value``.

    >>> largest_product(4, 10), largest_product(1, 10)
    (80, 10)
    """
    return value if weight_bits == 1 else value << (weight_bits - 1)


@dataclass(frozen=True)
class Reaches:
    """Largest magnitudes of the numbers that weights are multiplied with.

    Attributes:
        state: a state.
        input: an entry of an input vector.
        shifted_input: the same, shifted to the grid of the states.
    """

    state: int
    input: int
    shifted_input: int

    @classmethod
    def of(cls, network: IntegerNetwork) -> Self:
        """Return those of a network."""
        entry = max(-network.input_format.min, network.input_format.max)
        return cls(-network.state_format.min, entry, entry << network.input_shift)


def widest_network(placement: Placement) -> NetworkWidths:
    """Return the widths of any network of the same formats.

    Biases of up to the largest sum of products fit, too. M is in a memory, whether units share it or not.
    """
    net, reaches = placement.network, Reaches.of(placement.network)
    bits = net.weight_bits
    recurrent = net.hidden_size * largest_product(bits.recurrent, reaches.state)
    driven = (
        net.input_size * largest_product(bits.input, reaches.input)
        if net.vector_input
        else largest_product(bits.input, 1)
    )
    # The bias may double both.
    unit = two_sided(2 * (recurrent + (driven << net.input_shift)))
    logit = two_sided(2 * net.hidden_size * largest_product(bits.output, reaches.state))
    accumulator = max(unit, logit)
    index = bits_for_range(0, net.output_size - 1) if net.output_kind.has_argmax else 1
    multiplier_bits = int(net.multiplier.max()).bit_length()
    return NetworkWidths(
        accumulator_bits=accumulator,
        logit_bits=accumulator,
        activated_bits=unit,
        bias_bits=unit,
        multiplier_bits=max(multiplier_bits, min(FACTOR_BITS, multiplier_bits + LARGER_BITS)),
        shared_multiplier=None,
        answer_bits=max(logit if net.output_kind.has_logits else 1, index),
    )
