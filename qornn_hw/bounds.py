"""Accumulator widths, proved from the weights instead of guessed.

A sum of products ``sum_j w_j x_j`` with ``x_j`` in ``[low_j, high_j]`` lies in the interval
``[sum_j min(w_j low_j, w_j high_j), sum_j max(w_j low_j, w_j high_j)]`` and reaches both ends, so the
widths below are the smallest that can never overflow, whatever the inputs and however long the sequence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.fixed import bits_for_range
from qornn_hw.network import Activation, IntegerNetwork

__all__ = [
    "ACCUMULATOR_BITS_MAX",
    "Bounds",
    "accumulator_bounds",
    "input_range",
    "product_ranges",
    "state_range",
]

IntArray = NDArray[np.int64]

# The float64 matrix products of the integer model are exact below 2**53.
ACCUMULATOR_BITS_MAX = 48


@dataclass(frozen=True)
class Bounds:
    """Intervals that hold every value of a network's accumulators.

    Attributes:
        state_low, state_high: of W g + (U x << e) + b before the activation, (n,) each. For modrelu
            without b, which the activation adds.
        activated_low, activated_high: of the activation's result, where it works at accumulator
            precision (modrelu), else as above, (n,) each.
        output_low, output_high: of the logits V g + c, (p,) each.
    """

    state_low: IntArray
    state_high: IntArray
    activated_low: IntArray
    activated_high: IntArray
    output_low: IntArray
    output_high: IntArray

    @property
    def state_bits(self) -> int:
        """Bits of the accumulator of the hidden units, activation included."""
        return bits_for_range(
            int(min(self.state_low.min(), self.activated_low.min())),
            int(max(self.state_high.max(), self.activated_high.max())),
        )

    @property
    def output_bits(self) -> int:
        """Bits of a logit."""
        return bits_for_range(int(self.output_low.min()), int(self.output_high.max()))

    @property
    def bits(self) -> int:
        """Bits of the one accumulator that serves hidden units and logits."""
        return max(self.state_bits, self.output_bits)


def state_range(network: IntegerNetwork) -> tuple[int, int]:
    """Return the smallest and the largest value that any hidden unit can take, initial state included.

    relu leaves only 0 and above, tanh only what its table holds; the other activations use all of the
    state's format.
    """
    low, high = network.state_format.min, network.state_format.max
    if network.activation is Activation.RELU:
        low = 0
    elif network.table is not None:
        low, high = int(network.table.min()), int(network.table.max())
    return min(low, int(network.initial_state.min())), max(high, int(network.initial_state.max()))


def input_range(network: IntegerNetwork) -> tuple[int, int]:
    """Return the smallest and the largest entry of an input vector; a one-hot entry is 0 or 1."""
    if network.vector_input:
        return network.input_format.min, network.input_format.max
    return 0, 1


def product_ranges(weights: IntArray, low: int, high: int) -> tuple[IntArray, IntArray]:
    """Return the smallest and the largest ``w * x`` for each entry w and every x in ``[low, high]``."""
    at_low, at_high = weights * low, weights * high
    return np.minimum(at_low, at_high), np.maximum(at_low, at_high)


def _check_magnitude(network: IntegerNetwork, state: int) -> None:
    """Raise a FormatError if the bounds themselves could pass 64 bits; rough, in floating point."""
    x_low, x_high = input_range(network)
    drive = np.abs(network.input_weight.astype(float)).sum(axis=1).max() * max(-x_low, x_high)
    most = np.abs(network.recurrent_weight.astype(float)).sum(axis=1).max() * state
    most += drive * 2.0**network.input_shift + 2.0 * np.abs(network.bias).max()
    if most >= 2.0**60:
        raise FormatError(
            f"the accumulator must fit {ACCUMULATOR_BITS_MAX} bits, not {int(np.log2(most)) + 2}"
        )


def accumulator_bounds(network: IntegerNetwork) -> Bounds:
    """Return the exact intervals of a network's accumulators.

    Raises:
        FormatError: an accumulator would need more than ``ACCUMULATOR_BITS_MAX`` bits.
    """
    g_low, g_high = state_range(network)
    _check_magnitude(network, max(-g_low, g_high))
    low, high = (r.sum(axis=1) for r in product_ranges(network.recurrent_weight, g_low, g_high))
    if network.vector_input:
        u_low, u_high = (r.sum(axis=1) for r in product_ranges(network.input_weight, *input_range(network)))
    else:  # an index past the last symbol adds nothing
        u_low = np.minimum(network.input_weight.min(axis=1), 0)
        u_high = np.maximum(network.input_weight.max(axis=1), 0)
    low = low + (u_low << network.input_shift)
    high = high + (u_high << network.input_shift)
    if network.activation is Activation.MODRELU:
        # sgn(z) max(|z| + b, 0): odd in z, so symmetric; |z| + b itself is formed on the way.
        reach = np.maximum(np.abs(low), np.abs(high)) + network.bias
        activated_high = np.maximum(reach, np.abs(network.bias))
        activated_low = -activated_high
    else:
        low, high = low + network.bias, high + network.bias
        activated_low, activated_high = low, high
    y_low, y_high = (r.sum(axis=1) for r in product_ranges(network.output_weight, g_low, g_high))
    bounds = Bounds(
        low, high, activated_low, activated_high, y_low + network.output_bias, y_high + network.output_bias
    )
    if bounds.bits > ACCUMULATOR_BITS_MAX:
        raise FormatError(f"the accumulator must fit {ACCUMULATOR_BITS_MAX} bits, not {bounds.bits}")
    return bounds
