"""``h = min(max(z + b, -1), 1)``."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from qornn_hw.cells.activations.function import ActivationFunction, FloatArray
from qornn_hw.cells.activations.kernel_form import KernelForm
from qornn_hw.ir.ops import Operation

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FUNCTION"]


class Hardtanh(ActivationFunction):
    """``h = min(max(z + b, -1), 1)``: the saturation of the requantizer, with a full scale of 1."""

    bounded: ClassVar[bool] = True
    kernel: ClassVar[KernelForm | None] = KernelForm(clipped=True)

    def evaluate(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return ``min(max(z + b, -1), 1)``."""
        return np.clip(z + bias, -1.0, 1.0)

    def activate(self, z: "Tensor", bias: "Tensor", scratch: "Tensor") -> None:
        """Put the activation in the place of z."""
        z.add_(bias).clamp_(-1.0, 1.0)

    def differentiate(self, d: "Tensor", h: "Tensor", bias_sum: "Tensor", scratch: "Tensor") -> None:
        """Let the gradient of states within -1 and 1 pass."""
        import torch

        torch.abs(h, out=scratch)
        d.mul_(scratch.neg_().add_(1.0).sign_())
        bias_sum.add_(d)

    def recognizes(self, before: Operation | None, behind: Operation | None, full_scale: bool) -> bool:
        """Return whether there is nothing but the requantizer, and the state's full scale is 1."""
        return before is None and behind is None and full_scale


FUNCTION = Hardtanh()
