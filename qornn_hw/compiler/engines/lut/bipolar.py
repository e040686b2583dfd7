"""Bipolar weights: the form in which the chain of the lut engine adds weights.

The chain adds ``2 w + 1``, which is a sum of bit planes that are +1 or -1 each
(:mod:`qornn_hw.rtl_gen.engines.lut.dot_product`). With g the operands and N what the one's complements of
negated planes lack,

    sum in the chain = 2 (W g) + sum_j g_j - N        2 (W g + b) = sum in the chain + (N + 2 b) - sum_j g_j

so a row has a constant ``N + 2 b``, and a step has a *total* ``sum_j g_j``. Weights of one bit are +1 or -1
themselves and need no total.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["bipolar_weights", "complement_losses"]

IntArray = NDArray[np.int64]


def bipolar_weights(weights: IntArray, bits: int) -> IntArray:
    """Return the factors whose digits are the bit planes of weights: ``2 w + 1``; w itself at one bit.

    >>> bipolar_weights(np.array([-8, 0, 7]), 4), bipolar_weights(np.array([-1, 1]), 1)
    (array([-15,   1,  15]), array([-1,  1]))
    """
    return weights if bits == 1 else 2 * weights + 1


def complement_losses(weights: IntArray, bits: int) -> IntArray:
    """Return what the planes of a row of weights lack because a negated plane is a one's complement.

    ``-v`` is ``~v + 1``. Columns go in pairs, and the bit of a pair's first column says whether its plane is
    negated. The last axis is the columns.

    >>> complement_losses(np.array([[7, 0, -8], [-8, 7, 0]]), 4)
    array([15, 22])
    """
    first = weights[..., ::2]
    if bits == 1:
        return np.asarray((first < 0).sum(axis=-1))
    return np.asarray(((1 << (bits - 1)) - 1 - first).sum(axis=-1))
