"""Numbers side by side in a word, packed in another way than :mod:`qornn_hw.compiler.memory` does it."""

import numpy as np


def pack_fields(values, widths):
    """Return a word with ``values`` in two's complement, the first in the lowest bits."""
    word = offset = 0
    for value, width in zip(values, widths, strict=True):
        word |= int(value) % (1 << width) << offset
        offset += width
    return word


def pack_weights(weights, bits):
    """Return a word with a row of weights; at one bit 0 stands for +1 and 1 for -1."""
    codes = np.asarray(weights) < 0 if bits == 1 else weights
    return pack_fields(codes, [bits] * len(codes))
