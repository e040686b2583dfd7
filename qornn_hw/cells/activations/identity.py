"""``h = z + b``: a linear layer, saturated at the ends of the state's format."""

from typing import TYPE_CHECKING, ClassVar

from qornn_hw.cells.activations.function import ActivationFunction, FloatArray
from qornn_hw.cells.activations.kernel_form import KernelForm
from qornn_hw.ir.ops import Operation

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FUNCTION"]


class Identity(ActivationFunction):
    """``h = z + b``: the requantizer alone."""

    linear: ClassVar[bool] = True
    kernel: ClassVar[KernelForm | None] = KernelForm(biased=False)

    def evaluate(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return ``z + b``."""
        return z + bias

    def activate(self, z: "Tensor", bias: "Tensor", scratch: "Tensor") -> None:
        """Leave z, since b is 0."""

    def differentiate(self, d: "Tensor", h: "Tensor", bias_sum: "Tensor", scratch: "Tensor") -> None:
        """Leave the gradient."""

    def recognizes(self, before: Operation | None, behind: Operation | None, full_scale: bool) -> bool:
        """Return whether there is nothing but the requantizer, and the state's scale is any."""
        return before is None and behind is None and not full_scale


FUNCTION = Identity()
