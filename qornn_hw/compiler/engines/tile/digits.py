"""Weights as digits of two bits each, whose products are a choice among x, 2x, -x and 0.

    w - offset = sum over d of digit[d] * 4**d,    digits -1 to 2, the highest one -2 to 1

A lane of D digits takes weights of 2 D bits. Its range lies ``(4**(D-1) - 1) / 3`` below theirs. That is the
offset; its product with the sum of the operands is what an accumulator starts with. A negative digit selects
the complement, which is one unit of its digit less than the product. :func:`complements` counts these units,
and a constant behind the accumulator makes up for them.

Weights of more bits are a sum of *chunks*, each of a lane's width:

    w = sum over c of chunk[c] << (2 D c),    all without sign but the highest
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CODE_BITS",
    "HIGHEST",
    "LOWER",
    "Chunk",
    "chunks",
    "codes",
    "complements",
    "digit_count",
    "digits",
]

IntArray = NDArray[np.int64]

CODE_BITS = 2
# The digit of each code.
LOWER = (0, 1, 2, -1)
HIGHEST = (0, 1, -2, -1)


@dataclass(frozen=True, eq=False)
class Chunk:
    """A part of a matrix that lanes can take.

    Attributes:
        weights: (rows, columns).
        shift: left shift of its sums.
        offset: what is subtracted from each weight.
    """

    weights: IntArray
    shift: int
    offset: int


def digit_count(bits: int) -> int:
    """Return the digits of a weight of some bits."""
    return -(-bits // CODE_BITS)


def _reach(count: int) -> tuple[int, int]:
    """Return the least and the largest number of ``count`` digits."""
    highest, below = 4 ** (count - 1), (4 ** (count - 1) - 1) // 3
    return -2 * highest - below, highest + 2 * below


def chunks(weights: IntArray, bits: int, count: int) -> list[Chunk]:
    """Return weights as chunks of ``count`` digits, the lowest first.

    >>> [(c.weights.tolist(), c.shift, c.offset) for c in chunks(np.array([[-128, 127]]), 8, 2)]
    [([[0, 15]], 0, 9), ([[-8, 7]], 4, 1)]
    """
    width = CODE_BITS * count
    found, shift = [], 0
    while bits > width:
        low = weights & ((1 << width) - 1)
        found.append(Chunk(low, shift, (1 << width) - 1 - _reach(count)[1]))
        weights, bits, shift = weights >> width, bits - width, shift + width
    found.append(Chunk(weights, shift, (1 << (width - 1)) - 1 - _reach(count)[1]))
    return found


def digits(weights: IntArray, count: int) -> IntArray:
    """Return the digits of weights whose offset is subtracted, (..., count), the lowest first.

    >>> digits(np.array([-9, 6, 0]), 2).tolist()
    [[-1, -2], [2, 1], [0, 0]]
    """
    found = np.empty((*weights.shape, count), dtype=np.int64)
    rest = weights
    for d in range(count - 1):
        found[..., d] = (rest + 1) % 4 - 1
        rest = (rest - found[..., d]) // 4
    found[..., -1] = rest
    assert rest.size == 0 or (rest.min() >= -2 and rest.max() <= 1)
    return found


def codes(weights: IntArray, count: int) -> IntArray:
    """Return the code of each digit, (..., count)."""
    found = digits(weights, count)
    lower, highest = np.zeros(4, dtype=np.int64), np.zeros(4, dtype=np.int64)
    for code, (low, high) in enumerate(zip(LOWER, HIGHEST, strict=True)):
        lower[low], highest[high] = code, code
    # Negative digits index from the end: -1 and 2 are three apart, -2 and 1, too.
    result = lower[found]
    result[..., -1] = highest[found[..., -1]]
    return result


def complements(weights: IntArray, count: int) -> IntArray:
    """Return for each row what the complements of its negative digits lack, (rows,)."""
    negative = digits(weights, count) < 0
    lacking: IntArray = (negative * 4 ** np.arange(count)).sum(axis=(1, 2))
    return lacking
