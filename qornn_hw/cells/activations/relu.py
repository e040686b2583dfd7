"""``h = max(z + b, 0)``."""

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from qornn_hw.cells.activations.function import ActivationFunction, FloatArray, IntArray
from qornn_hw.cells.activations.kernel_form import KernelForm
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.ir.ops import Operation, PiecewiseLinear

if TYPE_CHECKING:
    from torch import Tensor

    from qornn_hw.cells.elman_network import IntegerNetwork

__all__ = ["FUNCTION"]


class Relu(ActivationFunction):
    """``h = max(z + b, 0)``, a saturation of the requantizer in hardware."""

    shape: ClassVar[ActivationShape] = ActivationShape(rectified=True)
    torch_name: ClassVar[str | None] = "relu"
    centre: ClassVar[float] = 0.2
    linear_start: ClassVar[bool] = True
    kernel: ClassVar[KernelForm | None] = KernelForm(rectified=True)

    def evaluate(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return ``max(z + b, 0)``."""
        return np.maximum(z + bias, 0.0)

    def evaluate_accumulator(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return the same."""
        return self.evaluate(z, bias)

    def activate(self, z: "Tensor", bias: "Tensor", scratch: "Tensor") -> None:
        """Put the activation in the place of z."""
        z.add_(bias).clamp_min_(0.0)

    def differentiate(self, d: "Tensor", h: "Tensor", bias_sum: "Tensor", scratch: "Tensor") -> None:
        """Let the gradient of positive states pass."""
        import torch

        torch.sign(h, out=scratch)
        d.mul_(scratch)
        bias_sum.add_(d)

    def accumulator_operation(self, name: str, value: str, bias: IntArray) -> Operation | None:
        """Return ``max(value, 0)``."""
        return PiecewiseLinear.relu(name, value)

    def recognizes(self, before: Operation | None, behind: Operation | None, full_scale: bool) -> bool:
        """Return whether a relu stands in front of the requantizer."""
        return isinstance(before, PiecewiseLinear) and before.is_relu and behind is None

    def state_ends(self, network: "IntegerNetwork") -> tuple[int, int]:
        """Return the largest state, and no least one: 0 is a value like others."""
        return network.state_format.min - 1, network.state_format.max


FUNCTION = Relu()
