"""The grid of a vector input: the real number that each integer of an entry stands for, by channel.

``real_j = integer_j * scale_j + offset_j``. Channels of similar ranges share one scale. Channels of different
units, such as accelerations in m/s^2 and temperatures in kelvin, have scales of their own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.data.real_inputs import rounded_units
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat

__all__ = ["InputGrid", "input_grid", "input_grid_of"]

# Largest ratio of the channels' ranges for one shared scale: the channel of the smallest range then loses one
# bit.
_ALIKE = 2.0
# A channel has an offset if its range is less than this fraction of its largest magnitude.
_NARROW = 0.5


@dataclass(frozen=True)
class InputGrid:
    """Format, scale and offset of the entries of a vector.

    Attributes:
        bits: bits b of an entry, 1 to 16.
        signed: whether the integers are signed.
        scale: real value of one unit: one number, or m of them.
        offset: the real number that integer 0 stands for: one number, or m of them.
    """

    bits: int
    signed: bool
    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...] = 0.0

    def integers(self, values: NDArray[np.floating]) -> tuple[NDArray[np.int64], int]:
        """Return ``clip(round((values - offset) / scale))`` and the number of clipped entries."""
        integers, outside = rounded_units(values, IntFormat(self.bits, self.signed), self.scale, self.offset)
        return integers, int(np.count_nonzero(outside))


def input_grid(rows: NDArray[np.floating], bits: int, offsets: bool = True) -> InputGrid:
    """Return the grid for training inputs: the smallest scales with which no entry is clipped.

    A channel whose values are far from zero compared with their range, ``max - min < max|x| / 2``, gets the
    middle of its range as its offset o. The integers are signed if there is an offset or a negative entry.
    The scale is ``max((max - o) / (2**(b-1) - 1), (o - min) / 2**(b-1))``, or unsigned ``max / (2**b - 1)``.

    Args:
        rows: input vectors of all steps, (rows, m), not all zero.
        bits: bits b, 1 to 16; at least 2 for signed integers.
        offsets: allow offsets of channels.

    Raises:
        FormatError: ``bits`` is 1 and the integers are signed.
    """
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    largest = np.maximum(np.abs(low), np.abs(high))
    offset = np.zeros(len(low))
    if offsets and bits > 1:
        narrow = (high - low) < _NARROW * largest
        offset[narrow] = ((low + high) / 2)[narrow]
    low, high = low - offset, high - offset
    signed = bool(offset.any() or low.min() < 0)
    if signed and bits < 2:
        raise FormatError("input_bits must be at least 2 for inputs that are negative, not 1")
    form = IntFormat(bits, signed)
    scale = high / form.max
    if signed:
        scale = np.maximum(scale, low / form.min)
    used = scale[scale > 0]
    if offset.any() or used.max() > _ALIKE * used.min():
        # A constant zero channel can have any scale.
        scale[scale <= 0] = used.max() if len(used) else 1.0
        shift = tuple(offset.tolist()) if offset.any() else 0.0
        return InputGrid(bits, signed, tuple(scale.tolist()), shift)
    return InputGrid(bits, signed, float(scale.max()))


def input_grid_of(network: IntegerNetwork, bits: int) -> InputGrid | None:
    """Return the grid of a network's vector input; None if its entries do not have ``bits`` bits."""
    form, scales = network.input_format, network.scales
    if not network.vector_input or form.bits != bits:
        return None
    return InputGrid(form.bits, form.signed, scales.input, scales.input_offset)
