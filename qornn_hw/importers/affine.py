"""Affine maps: the composition of linear layers, biases and scalings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = ["AffineMap"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AffineMap:
    """``y = weight @ x + bias``.

    Attributes:
        weight: (k, m).
        bias: (k,).

    >>> AffineMap.identity(2).scaled(np.array([2.0, 3.0])).shifted(np.array([1.0])).bias.tolist()
    [1.0, 1.0]
    """

    weight: FloatArray
    bias: FloatArray

    @classmethod
    def identity(cls, size: int) -> "AffineMap":
        """Return the identity map."""
        return cls(np.eye(size), np.zeros(size))

    @property
    def is_identity(self) -> bool:
        """Whether the map is the identity."""
        square = self.weight.shape[0] == self.weight.shape[1]
        return square and np.array_equal(self.weight, np.eye(len(self.weight))) and not np.any(self.bias)

    def then(self, weight: FloatArray) -> "AffineMap":
        """Return this map followed by a matrix.

        Raises:
            FormatError: the matrix has another number of columns.
        """
        if weight.ndim != 2 or weight.shape[1] != len(self.weight):
            raise FormatError(f"a matrix must have {len(self.weight)} columns, not shape {weight.shape}")
        return AffineMap(weight @ self.weight, weight @ self.bias)

    def scaled(self, factor: FloatArray) -> "AffineMap":
        """Return this map with its results multiplied by a factor each, or by one factor."""
        factors = self._entries(factor)
        return AffineMap(factors[:, None] * self.weight, factors * self.bias)

    def shifted(self, constant: FloatArray) -> "AffineMap":
        """Return this map with a constant added to each result, or one constant to all."""
        return AffineMap(self.weight, self.bias + self._entries(constant))

    def _entries(self, value: FloatArray) -> FloatArray:
        flat = np.asarray(value, dtype=np.float64).reshape(-1)
        if flat.size not in (1, len(self.bias)):
            raise FormatError(f"a constant must be one number or {len(self.bias)} of them, not {flat.size}")
        return np.broadcast_to(flat, self.bias.shape)
