"""Sylvester's Hadamard matrices: ``H_0 = [1]``, ``H_(m+1) = [[H_m, H_m], [H_m, -H_m]]``.

They are symmetric, and ``H_m H_m = 2**m I``.
"""

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = ["UNITS_MAX", "block_of", "blocks", "sylvester"]


# A matrix of blocks has at most so many rows and columns.
UNITS_MAX = 4096


def sylvester(order: int) -> NDArray[np.int64]:
    """Return ``H_order``, (2**order, 2**order), of -1 and +1.

    >>> sylvester(1).tolist()
    [[1, 1], [1, -1]]
    """
    matrix = np.ones((1, 1), dtype=np.int64)
    for _ in range(order):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def blocks(units: int, block: int) -> NDArray[np.int64]:
    """Return ``blockdiag(H, ..., H)`` of (units, units), H of ``block`` units; 0 outside the blocks."""
    return np.kron(np.eye(units // block, dtype=np.int64), sylvester(block.bit_length() - 1))


def block_of(units: int, block: int) -> int:
    """Return the units of a block, where 0 asks for the largest block.

    Args:
        units: n.
        block: a power of two from 2 on that divides n, or 0 for the largest one.

    Raises:
        FormatError: there is no such block.

    >>> block_of(96, 0), block_of(96, 8)
    (32, 8)
    """
    if type(block) is not int:
        raise FormatError(f"block must be an integer, not {block!r:.80}")
    if units > UNITS_MAX:
        raise FormatError(f"the units of a Hadamard matrix must be at most {UNITS_MAX}, not {units}")
    largest = units & -units
    found = block or largest
    if found < 2 or found & (found - 1) or units % found:
        raise FormatError(
            f"block must be a power of two from 2 to {largest}, which divides {units} units, not {found}"
            if largest > 1
            else f"the units must be even for a Hadamard matrix, not {units}"
        )
    return found
