"""``h = sgn(z) max(|z| + b, 0)``: shrinks or stretches a sum, and keeps its sign."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from qornn_hw.cells.activations.function import ActivationFunction, FloatArray, IntArray
from qornn_hw.cells.activations.kernel_form import KernelForm
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.ir.ops import ModRelu as ModReluOperation
from qornn_hw.ir.ops import Operation

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FUNCTION"]


class ModRelu(ActivationFunction):
    """``h = sgn(z) max(|z| + b, 0)``: b is the activation's own, and not added to z."""

    shape: ClassVar[ActivationShape] = ActivationShape(unit_bias=True)
    bias_reach: ClassVar[float] = 0.01
    kernel: ClassVar[KernelForm | None] = KernelForm(shrunk=True)

    def evaluate(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return ``sgn(z) max(|z| + b, 0)``."""
        return np.asarray(np.sign(z) * np.maximum(np.abs(z) + bias, 0.0))

    def evaluate_accumulator(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return the same."""
        return self.evaluate(z, bias)

    def activate(self, z: "Tensor", bias: "Tensor", scratch: "Tensor") -> None:
        """Put the activation in the place of z."""
        import torch

        torch.sign(z, out=scratch)
        z.abs_().add_(bias).clamp_min_(0.0).mul_(scratch)

    def differentiate(self, d: "Tensor", h: "Tensor", bias_sum: "Tensor", scratch: "Tensor") -> None:
        """Let the gradient of states other than 0 pass; that by b has the sign of the state."""
        import torch

        torch.sign(h, out=scratch)
        d.mul_(scratch)
        bias_sum.add_(d)
        d.mul_(scratch)

    def accumulator_operation(self, name: str, value: str, bias: IntArray) -> Operation | None:
        """Return the operation ``ModRelu`` with the network's bias."""
        return ModReluOperation(name, value, bias)

    def recognizes(self, before: Operation | None, behind: Operation | None, full_scale: bool) -> bool:
        """Return whether a ``ModRelu`` stands in front of the requantizer."""
        return isinstance(before, ModReluOperation) and behind is None


FUNCTION = ModRelu()
