"""Constants as digits: what the multiplier of the simple engine takes one of in a cycle."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["balanced_digits"]


def balanced_digits(constants: ArrayLike, bits: int) -> NDArray[np.int64]:
    """Return ``d`` with ``constants = sum over l of d[l] * 2**(bits * l)``, the lowest digit first.

    Every digit is a signed integer of ``bits`` bits, so a constant of at most ``bits`` bits is one digit.

    Args:
        constants: integers of any shape, 63 bits signed at most.
        bits: of a digit, at least 2.

    Returns:
        (levels, *shape); as many levels as the widest constant needs, none if all are zero.

    >>> balanced_digits([100, -8, 7, 8], 4).tolist()
    [[4, -8, 7, -8], [6, 0, 0, 1]]
    """
    if bits < 2:
        raise ValueError(f"a digit must have at least 2 bits, not {bits}")
    shape = np.shape(constants)
    rest = np.array(constants, dtype=object).reshape(-1)
    half, levels = 1 << (bits - 1), []
    while np.any(rest != 0):
        low = (rest + half) % (2 * half) - half
        levels.append(low.astype(np.int64))
        rest = (rest - low) // (2 * half)
    return np.array(levels, dtype=np.int64).reshape(len(levels), *shape)
