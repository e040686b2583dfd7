"""Quantization of real inputs to the network's integers, with a count of the clipped entries.

``integer_j = clip(round((real_j - input_offset_j) / input_j))`` for entry j of a vector, with the network's
scales and input format; ties round to even. All code that takes real inputs calls :func:`quantize_inputs`, so
every clipped entry is counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.arguments import array_of
from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.network import Input

__all__ = ["QuantizedInputs", "clipped_text", "input_of", "quantize_inputs", "rounded_units"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class QuantizedInputs:
    """Inputs as the network's integers.

    Attributes:
        integers: the integers, in the shape of the real inputs.
        clipped: number of clipped entries of each channel, (m,); a single 0 for indices.
        entries: number of entries of each channel.
    """

    integers: IntArray
    clipped: IntArray
    entries: int

    @property
    def share(self) -> float:
        """Fraction of all entries that were clipped."""
        total = self.entries * len(self.clipped)
        return float(self.clipped.sum() / total) if total else 0.0


def input_of(network: AnyNetwork | Input) -> Input:
    """Return the input of a network of either kind: its size, its format, scales and offsets."""
    return network if isinstance(network, Input) else operations_of(network).input


def rounded_units(
    real: NDArray[Any], form: IntFormat, scale: ArrayLike, offset: ArrayLike
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Return ``clip(round((real - offset) / scale))``, and a mask of the clipped entries.

    Args:
        real: real vectors, (..., m), finite.
        form: integer format; ties round to even.
        scale: real value of one unit: one number, or (m,).
        offset: the real number that integer 0 stands for: one number, or (m,).

    Returns:
        Two arrays of the shape of ``real``: int64 and bool.
    """
    units = np.rint((real - np.asarray(offset)) / np.asarray(scale))
    outside = (units < form.min) | (units > form.max)
    return np.clip(units, form.min, form.max).astype(np.int64), outside


def quantize_inputs(network: AnyNetwork | Input, values: ArrayLike) -> QuantizedInputs:
    """Quantize real inputs to the network's input format, and count the clipped entries.

    Args:
        network: the network whose scales and formats are used, or its input.
        values: real vectors (..., m); for a one-hot network indices of any shape, 0 to m - 1.

    Raises:
        FormatError: the number of channels is wrong, an entry is not finite, or an index is out of range.
    """
    form = input_of(network)
    m = form.size
    real = array_of("inputs", values)
    if form.one_hot:
        return QuantizedInputs(_indices(real, m), np.zeros(1, dtype=np.int64), real.size)
    if real.ndim < 1 or real.shape[-1] != m:
        raise FormatError(f"inputs must have {m} channels in their last dimension, not shape {real.shape}")
    real = real.astype(np.float64)
    bad = np.argwhere(~np.isfinite(real))
    if len(bad):
        at = [int(i) for i in bad[0]]
        raise FormatError(f"inputs must be finite, not {real[tuple(at)]} at {at}")
    integers, outside = rounded_units(real, form.format, form.scale, form.offset)
    clipped = outside.reshape(-1, m).sum(axis=0).astype(np.int64)
    return QuantizedInputs(integers, clipped, int(np.prod(real.shape[:-1])))


def _indices(real: NDArray[Any], symbols: int) -> IntArray:
    bad = real[~((real >= 0) & (real < symbols) & (real == np.floor(real)))]
    if bad.size:
        raise FormatError(f"inputs must be indices from 0 to {symbols - 1}, not {bad.flat[0]:g}")
    return real.astype(np.int64)


def clipped_text(network: AnyNetwork | Input, found: QuantizedInputs) -> str | None:
    """Return one sentence about the clipped entries; None if there are none."""
    if not found.clipped.any():
        return None
    worst = int(found.clipped.argmax())
    form = input_of(network)
    step, offset = form.scales[worst], form.offsets[worst]
    return (
        f"{int(found.clipped.sum())} of {found.entries * form.size} input entries lay outside the input's "
        f"format and were clipped, most of them in channel {worst} ({int(found.clipped[worst])} of "
        f"{found.entries}), which takes "
        f"{form.format.min * step + offset:.6g} to {form.format.max * step + offset:.6g}"
    )
