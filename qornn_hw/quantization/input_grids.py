"""The integers of an input vector: format, and scale and offset of each channel.

``integer_j = clip(round((real_j - offset_j) / scale_j))``. Column j of U has the step
``d_U,j = d_W tau / scale_j`` with one number tau (:mod:`qornn_hw.quantization.candidates`), so that scales by
channel give the columns of U steps of their own:

| form | scale of channel j |
|---|---|
| one | the same for all: the largest range is full scale |
| channel | its own range is full scale |
| even | ``channel``, made coarser where the channel moves the accumulator less: U's column uses its bits |
| half_even | between the two, in the geometric mean |
"""

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import INPUT_BITS
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.arguments import ExportArguments
from qornn_hw.quantization.calibration import InputRange
from qornn_hw.quantization.input_grid import InputGrid

__all__ = ["DEFAULT_BITS", "InputForm", "InputGrids", "index_grid", "plain_or_tuple"]

FloatArray = NDArray[np.floating[Any]]

# Bits that are tried where the caller gives none.
DEFAULT_BITS = range(8, 3, -1)
# An offset is worth trying where it makes a channel's range this much smaller.
_OFFSET_GAIN = 1.5
# Scales by channel are worth trying where the channels differ by more than this factor.
_UNLIKE = 2.0


class InputForm(StrEnum):
    """How the scales of the channels are chosen."""

    ONE = "one"
    CHANNEL = "channel"
    HALF_EVEN = "half_even"
    EVEN = "even"


def index_grid(form: IntFormat, symbols: int) -> InputGrid:
    """Return the grid of a one-hot input: an entry is 0 or 1."""
    return InputGrid(form, np.ones(symbols), np.zeros(symbols))


def _bits_that_hold(found: InputRange, scale: FloatArray, offset: FloatArray, signed: bool) -> int:
    """Return the fewest bits whose format holds every calibration input at given scales."""
    low = float(np.rint((found.low - offset) / scale).min())
    high = float(np.rint((found.high - offset) / scale).max())
    for bits in INPUT_BITS:
        form = IntFormat(bits, signed)
        if form.min <= low and high <= form.max:
            return bits
    most = IntFormat(INPUT_BITS.stop - 1, signed)
    need = max(high / most.max, low / most.min if signed else 0.0)
    worst = int(np.argmax(np.maximum(np.abs(found.low - offset), np.abs(found.high - offset)) / scale))
    raise FormatError(
        f"input_scale must hold the calibration inputs in at most {most.bits} bits, not {scale[worst]:g}, "
        f"with which they are {low:.0f} to {high:.0f}; make it {need * scale[worst]:.3g} or more, or pass "
        "input_bits to clip them"
    )


def _unlike(sizes: FloatArray) -> bool:
    """Return whether positive sizes differ by more than :data:`_UNLIKE`."""
    positive = sizes[sizes > 0]
    return len(positive) > 0 and bool(positive.max() > _UNLIKE * positive.min())


class InputGrids:
    """The grids that a vector input may have, given what the caller has fixed."""

    def __init__(self, arguments: ExportArguments, found: InputRange) -> None:
        self._arguments = arguments
        self._found = found
        given = arguments.input_scale
        zero = np.zeros(arguments.inputs)
        self._offset = arguments.input_offset
        if self._offset is None and given is not None:
            self._offset = zero
        low = found.low - (zero if self._offset is None else self._offset)
        signed = bool(low.min() < 0) if arguments.input_signed is None else arguments.input_signed
        if not signed and low.min() < 0:
            raise FormatError(
                f"calibration_inputs must not be negative for unsigned inputs, not {float(low.min())}"
            )
        self.signed = signed
        self.bits: tuple[int, ...]
        if arguments.input_bits is not None:
            self.bits = (arguments.input_bits,)
        elif given is not None:
            assert self._offset is not None
            self.bits = (_bits_that_hold(found, given, self._offset, signed),)
        else:
            self.bits = tuple(DEFAULT_BITS)

    @property
    def fixed(self) -> bool:
        """Whether the caller has given scale and bits, so that nothing is left to choose."""
        return self._arguments.input_scale is not None

    def offsets_help(self) -> bool:
        """Return whether an offset may be chosen and makes the range of some channel much smaller."""
        arguments = self._arguments
        if self._offset is not None or arguments.activation.shape.unit_bias:
            return False
        if arguments.input_signed is False:
            return False
        _, half = self._middles(offset=True)
        plain = self._found.magnitude / (1 if self.signed else 2)
        return bool(np.any((half > 0) & (plain > _OFFSET_GAIN * half)))

    def forms(self, weight: FloatArray) -> list[InputForm]:
        """Return the forms of the scales that may be chosen and would differ by a factor.

        Args:
            weight: the size of each column of U, (m,).
        """
        arguments = self._arguments
        found = [InputForm.ONE]
        tied = arguments.steps is not None and arguments.homogeneous
        if self.fixed or tied or arguments.inputs == 1:
            return found
        _, reach = self._middles(offset=self.offsets_help())
        if _unlike(reach):
            found.append(InputForm.CHANNEL)
        if _unlike(reach * weight):
            found += [InputForm.HALF_EVEN, InputForm.EVEN]
        return found

    def _middles(self, offset: bool) -> tuple[FloatArray, FloatArray]:
        """Return what is subtracted from each channel, and the largest magnitude that is left."""
        low, high = self._found.low, self._found.high
        if offset:
            middle = np.where(high > low, (low + high) / 2, 0.0)
        else:
            middle = np.zeros(len(low)) if self._offset is None else self._offset
        return middle, np.maximum(np.abs(low - middle), np.abs(high - middle))

    def grid(self, bits: int, form: InputForm, offset: bool, weight: FloatArray) -> InputGrid:
        """Return one grid.

        Args:
            bits: of an entry.
            form: how the scales are chosen.
            offset: whether each channel's range is centred on 0 by an offset.
            weight: the size of each column of U, (m,).
        """
        signed = offset or self.signed
        entry = IntFormat(bits, signed)
        if self._arguments.input_scale is not None:
            assert self._offset is not None
            return InputGrid(entry, self._arguments.input_scale, self._offset)
        middle, reach = self._middles(offset)
        whole = float(reach.max()) or 1.0
        top = max(entry.max, 1)
        if form is InputForm.ONE:
            return InputGrid(entry, np.full(len(reach), whole / top), middle)
        reach = np.where(reach > 0, reach, whole)
        power = {InputForm.CHANNEL: 0.0, InputForm.HALF_EVEN: 0.5, InputForm.EVEN: 1.0}[form]
        moves = weight * reach
        less = np.where(moves > 0, moves.max() / np.where(moves > 0, moves, 1.0), 1.0) ** power
        return InputGrid(entry, reach / top * np.minimum(less, top), middle)

    def limits(self) -> InputGrid | None:
        """Return the grid beyond whose ends inputs are clipped, None where all that is known are ranges."""
        if self._arguments.input_scale is None:
            return None
        return self.grid(self.bits[0], InputForm.ONE, False, np.ones(self._arguments.inputs))

    def clip(self, real: NDArray[Any]) -> FloatArray:
        """Return real vectors (..., m) as the hardware sees them at best: clipped, not rounded."""
        limits = self.limits()
        x = np.asarray(real, dtype=np.float64)
        if limits is not None:
            return limits.clip(x)
        return np.clip(x, self._found.low, self._found.high) if self._arguments.percentile < 100 else x


def plain_or_tuple(values: FloatArray) -> float | tuple[float, ...]:
    """Return one number where all are the same, else all of them, as a checkpoint holds them."""
    numbers = [float(v) for v in values]
    return numbers[0] if len(set(numbers)) == 1 else tuple(numbers)
