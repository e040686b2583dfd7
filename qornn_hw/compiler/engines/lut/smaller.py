"""Networks of the same kind that cost less, to say what would fit: for their cost alone."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import IntegerNetwork, WeightBits
from qornn_hw.ir.formats import IntFormat

__all__ = ["narrowed", "shrunk"]


def narrowed(network: IntegerNetwork, bits: int) -> IntegerNetwork:
    """Return the network with W, U and V clipped to ``bits`` bits: of the same shape, for its cost alone."""
    form = IntFormat(bits, signed=True)

    def clip(weights: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.clip(weights, form.min, form.max)

    old = network.weight_bits
    return replace(
        network,
        recurrent_weight=clip(network.recurrent_weight) if old.recurrent > bits else network.recurrent_weight,
        output_weight=clip(network.output_weight) if old.output > bits else network.output_weight,
        input_weight=clip(network.input_weight) if old.input > bits else network.input_weight,
        weight_bits=WeightBits(min(old.recurrent, bits), min(old.input, bits), min(old.output, bits)),
    )


def shrunk(network: IntegerNetwork, hidden: int) -> IntegerNetwork:
    """Return the network's first ``hidden`` units: for its cost alone."""
    return replace(
        network,
        recurrent_weight=network.recurrent_weight[:hidden, :hidden],
        input_weight=network.input_weight[:hidden],
        output_weight=network.output_weight[:, :hidden],
        bias=network.bias[:hidden],
        multiplier=network.multiplier[:hidden],
        initial_state=network.initial_state[:hidden],
    )
