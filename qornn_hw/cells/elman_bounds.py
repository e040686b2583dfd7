"""Accumulator widths, proved from the weights instead of guessed.

They are the intervals of an Elman network's operations (:mod:`qornn_hw.ir.intervals`). A sum of products
``sum_j w_j x_j`` with ``x_j`` in ``[low_j, high_j]`` lies in the interval
``[sum_j min(w_j low_j, w_j high_j), sum_j max(w_j low_j, w_j high_j)]`` and reaches both ends, so the
widths below are the smallest that can never overflow, whatever the inputs and however long the sequence.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman import ACCUMULATOR, ACTIVATED, LOGITS, STATE, lower
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import bits_for_range
from qornn_hw.ir.intervals import VALUE_BITS_MAX, Ranges, value_ranges

__all__ = [
    "ACCUMULATOR_BITS_MAX",
    "Bounds",
    "accumulator_bounds",
    "bounds_of",
    "elman_ranges",
    "input_range",
    "state_range",
]

IntArray = NDArray[np.int64]

ACCUMULATOR_BITS_MAX = VALUE_BITS_MAX


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


# A network never changes, and a planner asks for the same ranges a thousand times.
_KNOWN: WeakKeyDictionary[IntegerNetwork, Ranges] = WeakKeyDictionary()


def elman_ranges(network: IntegerNetwork) -> Ranges:
    """Return the ranges of the operations of an Elman network, computed once for each network object."""
    if (ranges := _KNOWN.get(network)) is None:
        ranges = _KNOWN[network] = value_ranges(lower(network))
    return ranges


def state_range(network: IntegerNetwork) -> tuple[int, int]:
    """Return the smallest and the largest value that any hidden unit can take, initial state included.

    relu leaves only 0 and above, tanh only what its table holds; the other activations use all of the
    state's format.
    """
    state = elman_ranges(network).values[STATE]
    return state.least, state.most


def input_range(network: IntegerNetwork) -> tuple[int, int]:
    """Return the smallest and the largest entry of an input vector; a one-hot entry is 0 or 1."""
    if network.vector_input:
        return network.input_format.min, network.input_format.max
    return 0, 1


def accumulator_bounds(network: IntegerNetwork) -> Bounds:
    """Return the exact intervals of a network's accumulators.

    Raises:
        FormatError: an accumulator would need more than ``ACCUMULATOR_BITS_MAX`` bits.
    """
    return bounds_of(elman_ranges(network))


def bounds_of(ranges: Ranges) -> Bounds:
    """Return the intervals of the accumulators of an Elman network whose operations have these ranges.

    Raises:
        FormatError: as for :func:`accumulator_bounds`.
    """
    values = ranges.values
    state = values[ACCUMULATOR]
    activated = values.get(ACTIVATED, state)
    if activated.least >= 0:
        # A relu is part of the saturation behind the requantizer, which takes the accumulator as it is.
        activated = state
    output = values[LOGITS]
    bits = max(one.bits for one in (state, activated, output))
    if bits > ACCUMULATOR_BITS_MAX:
        raise FormatError(f"the accumulator must fit {ACCUMULATOR_BITS_MAX} bits, not {bits}")
    ends = (end for one in (state, activated, output) for end in (one.low, one.high))
    return Bounds(*(end.astype(np.int64) for end in ends))
