"""The integers of an input vector: format, and scale and offset of each channel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.data.real_inputs import rounded_units
from qornn_hw.ir.formats import IntFormat

__all__ = ["InputGrid"]

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class InputGrid:
    """``real_j = integer_j * scale_j + offset_j``.

    Attributes:
        format: of an entry.
        scale: (m,).
        offset: (m,).
    """

    format: IntFormat
    scale: FloatArray
    offset: FloatArray

    @classmethod
    def of_range(cls, inputs: FloatArray, bits: int) -> "InputGrid":
        """Return a signed format whose channels hold the inputs (..., m), from end to end of each range."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        low, high = flat.min(axis=0), flat.max(axis=0)
        form = IntFormat(bits, signed=True)
        scale = (high - low) / (form.max - form.min)
        scale = np.where(scale > 0, scale, 1.0)
        return cls(form, scale, low - form.min * scale)

    def integers(self, real: NDArray[Any]) -> NDArray[np.int64]:
        """Return real vectors (..., m) as integers, saturated; ties go to even."""
        return rounded_units(real, self.format, self.scale, self.offset)[0]

    def real(self, integers: NDArray[np.int64]) -> FloatArray:
        """Return the real vectors of integers (..., m)."""
        return np.asarray(integers * self.scale + self.offset)

    def clip(self, real: NDArray[Any]) -> FloatArray:
        """Return real vectors (..., m) within the range of the format."""
        low, high = self.format.min, self.format.max
        clipped: FloatArray = np.clip(real, low * self.scale + self.offset, high * self.scale + self.offset)
        return clipped
