"""Bits of every number inside a core, as one record.

The widths of a plan are either *proved* from the weights of a network, so that no sum can overflow, or
*given*: the widest ones that any weights of the same formats need, or those of hardware that exists.
"""

from dataclasses import dataclass
from functools import lru_cache

from qornn_hw.cells.elman_bounds import Bounds, accumulator_bounds
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.ir.formats import bits_for_range

__all__ = ["NetworkWidths", "Widths", "network_bounds", "network_widths"]


@dataclass(frozen=True, kw_only=True)
class NetworkWidths:
    """Widths that follow from the network alone, in bits.

    Attributes:
        accumulator_bits: the accumulator of a row: of hidden units, and of logits that are rows of the chain.
        logit_bits: a logit where it is computed.
        activated_bits: a hidden unit's accumulator after the activation: the requantizer's input.
        bias_bits: the bias of modrelu, which its activation adds.
        multiplier_bits: the requantizer's factor M, unsigned.
        shared_multiplier: M itself if all units share it and it is a constant of the logic, else None.
        answer_bits: a signed word of the output stream.
    """

    accumulator_bits: int
    logit_bits: int
    activated_bits: int
    bias_bits: int
    multiplier_bits: int
    shared_multiplier: int | None
    answer_bits: int

    @property
    def shares_multiplier(self) -> bool:
        """Whether M is a constant of the logic and not part of a memory."""
        return self.shared_multiplier is not None


@dataclass(frozen=True, kw_only=True)
class Widths(NetworkWidths):
    """All widths of a core, in bits.

    Attributes:
        dot_bits: the dot product of each element; for weights of one bit before it is scaled to the chain.
        partial_sum_bits: the partial sum that leaves each element, over all passes.
        waiting_sum_bits: a partial sum that waits for the next pass.
        total_bits: the total of the operands of a step, over any part of the passes and elements.
        constant_bits: the constant that is added to a row's sum.
    """

    dot_bits: tuple[int, ...]
    partial_sum_bits: tuple[int, ...]
    waiting_sum_bits: int
    total_bits: int
    constant_bits: int


@lru_cache(maxsize=16)
def network_bounds(network: IntegerNetwork) -> Bounds:
    """Return the intervals of a network's accumulators; a planner asks for those of one network often."""
    return accumulator_bounds(network)


def network_widths(network: IntegerNetwork, *, logits_apart: bool) -> NetworkWidths:
    """Return the widths that are proved from a network alone.

    Args:
        network: the network.
        logits_apart: whether the logits have an accumulator of their own (a readout), instead of sharing that
            of the hidden units.
    """
    bounds, kind, multiplier = network_bounds(network), network.output_kind, network.multiplier
    accumulator_bits = bounds.state_bits if logits_apart else bounds.bits
    index_bits = bits_for_range(0, network.output_size - 1) if kind.has_argmax else 1
    return NetworkWidths(
        accumulator_bits=accumulator_bits,
        logit_bits=bounds.output_bits if logits_apart else accumulator_bits,
        activated_bits=bounds.state_bits,
        bias_bits=bits_for_range(int(network.bias.min()), int(network.bias.max())),
        multiplier_bits=int(multiplier.max()).bit_length(),
        shared_multiplier=int(multiplier[0]) if bool((multiplier == multiplier[0]).all()) else None,
        answer_bits=max(bounds.output_bits if kind.has_logits else 1, index_bits),
    )
