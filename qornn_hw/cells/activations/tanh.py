"""``h = tanh(z + b)``: a table behind the requantizer."""

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qornn_hw.cells.activations.function import ActivationFunction, FloatArray, IntArray
from qornn_hw.cells.activations.kernel_form import KernelForm
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.ops import Operation, Table

if TYPE_CHECKING:
    from torch import Tensor

    from qornn_hw.cells.elman_network import IntegerNetwork

__all__ = ["FUNCTION", "tanh_range", "tanh_table"]

# The spacing of a table may be rounded to a few digits.
_TOLERANCE = 0.01
# Units of an entry of the table: half of rounding, and one between the two usual full scales.
_SLACK = 1.5


def tanh_table(index_bits: int, index_step: float, state_bits: int) -> IntArray:
    """Return ``clip(round(tanh(q index_step) 2**(a-1)))`` for q from ``-2**(t-1)`` to ``2**(t-1) - 1``.

    The requantizer rounds to the nearest index, so q times the step is the centre of what falls on q.
    """
    q = np.arange(-(1 << (index_bits - 1)), 1 << (index_bits - 1))
    form = IntFormat(state_bits, signed=True)
    values = np.rint(np.tanh(q * index_step) * 2.0 ** (state_bits - 1))
    integers: IntArray = np.clip(values, form.min, form.max).astype(np.int64)
    return integers


def tanh_range(state_bits: int) -> float:
    """Return the power of two beyond which tanh is within half a unit of 1 in ``state_bits`` bits."""
    return 2.0 ** math.ceil(math.log2(math.atanh(1 - 2.0**-state_bits)))


class Tanh(ActivationFunction):
    """``h = tanh(z + b)``, whose table has full scale 1."""

    shape: ClassVar[ActivationShape] = ActivationShape(table=True)
    bounded: ClassVar[bool] = True
    torch_name: ClassVar[str | None] = "tanh"
    kernel: ClassVar[KernelForm | None] = KernelForm(tanh=True)

    def evaluate(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return ``tanh(z + b)``."""
        return np.tanh(z + bias)

    def activate(self, z: "Tensor", bias: "Tensor", scratch: "Tensor") -> None:
        """Put the activation in the place of z."""
        z.add_(bias).tanh_()

    def differentiate(self, d: "Tensor", h: "Tensor", bias_sum: "Tensor", scratch: "Tensor") -> None:
        """Multiply the gradient by ``1 - h**2``."""
        import torch

        torch.mul(h, h, out=scratch)
        d.mul_(scratch.neg_().add_(1.0))
        bias_sum.add_(d)

    def recognizes(self, before: Operation | None, behind: Operation | None, full_scale: bool) -> bool:
        """Return whether a table without offset stands behind the requantizer."""
        return before is None and isinstance(behind, Table) and not behind.offset

    def index_step(self, state_bits: int, index_bits: int) -> float | None:
        """Return the distance of neighbouring entries of the table."""
        return tanh_range(state_bits) / 2.0 ** (index_bits - 1)

    def parts(self, index_bits: int, index_step: float, state_bits: int) -> dict[str, Any]:
        """Return the table."""
        return {"table": tanh_table(index_bits, index_step, state_bits)}

    def check_parts(self, network: "IntegerNetwork", index_step: float) -> None:
        """Refuse an entry that is not tanh of something that is rounded to its index.

        Raises:
            FormatError: see there.
        """
        table, full, step = network.table, 2.0 ** (network.state_bits - 1), index_step
        assert table is not None
        index = np.arange(-(len(table) // 2), len(table) // 2)
        low = np.tanh((index - 0.5) * step * (1 - _TOLERANCE * np.sign(index - 0.5))) * full - _SLACK
        high = np.tanh((index + 0.5) * step * (1 + _TOLERANCE * np.sign(index + 0.5))) * full + _SLACK
        wrong = np.flatnonzero((table < low) | (table > high))
        if len(wrong):
            at = int(wrong[len(wrong) // 2])
            raise FormatError(
                "table must be tanh at the spacing scales.accumulator * 2**shift / max(multiplier) = "
                f"{step:.6g}, {np.tanh(index[at] * step) * full:.6g} at [{at}], not {int(table[at])}; "
                "see docs/checkpoint.md, section 2"
            )


FUNCTION = Tanh()
