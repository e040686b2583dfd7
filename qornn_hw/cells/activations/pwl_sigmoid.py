"""``h = 1 / (1 + exp(-(z + b)))``, computed as straight pieces behind the requantizer."""

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qornn_hw.cells.activations.function import ActivationFunction, FloatArray
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.cells.pieces import Pieces
from qornn_hw.cells.piecewise_fit import fitted_pieces
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.ops import Operation, PiecewiseLinear

if TYPE_CHECKING:
    from torch import Tensor

    from qornn_hw.cells.elman_network import IntegerNetwork

__all__ = ["FUNCTION", "sigmoid", "sigmoid_pieces", "sigmoid_range"]

# Units of the state by which a piece may err before rounding, and the most knots on each side of 0.
_TOLERANCE = 0.5
_KNOTS_MAX = 15
# A model file's pieces must be the sigmoid to this share of the full scale, and some units of rounding.
_SHARE = 1 / 16
_SLACK = 1.5


def sigmoid(x: FloatArray) -> FloatArray:
    """Return ``1 / (1 + exp(-x))``, which is ``(1 + tanh(x / 2)) / 2`` and so never overflows."""
    half: FloatArray = 0.5 * np.tanh(0.5 * x)
    return half + 0.5


def sigmoid_range(state_bits: int) -> float:
    """Return the power of two beyond which the sigmoid is within half a unit of 1 in ``state_bits`` bits."""
    return 2.0 ** math.ceil(math.log2(math.log(2.0**state_bits - 1)))


def sigmoid_pieces(index_bits: int, index_step: float, state_bits: int) -> Pieces:
    """Return pieces for ``2**(a-1) sigmoid(q index_step)``, q an index of t bits.

    A piece errs by at most half a unit of the state before rounding, as long as 15 knots on each side of 0
    are enough for that.
    """
    full = 2.0 ** (state_bits - 1)
    return fitted_pieces(
        lambda q: full * sigmoid(q * index_step),
        centre=full / 2,
        index_bits=index_bits,
        shift=state_bits,
        tolerance=_TOLERANCE,
        knots_max=_KNOTS_MAX,
    )


class PwlSigmoid(ActivationFunction):
    """``h = sigmoid(z + b)`` of real numbers; the integers are those of :func:`sigmoid_pieces`."""

    shape: ClassVar[ActivationShape] = ActivationShape(pieces=True)
    bounded: ClassVar[bool] = True
    centre: ClassVar[float] = 0.5

    def evaluate(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return ``sigmoid(z + b)``."""
        return sigmoid(z + bias)

    def activate(self, z: "Tensor", bias: "Tensor", scratch: "Tensor") -> None:
        """Put the activation in the place of z."""
        z.add_(bias).sigmoid_()

    def differentiate(self, d: "Tensor", h: "Tensor", bias_sum: "Tensor", scratch: "Tensor") -> None:
        """Multiply the gradient by ``h (1 - h)``."""
        import torch

        torch.mul(h, h, out=scratch)
        d.mul_(scratch.neg_().add_(h))
        bias_sum.add_(d)

    def recognizes(self, before: Operation | None, behind: Operation | None, full_scale: bool) -> bool:
        """Return whether straight pieces stand behind the requantizer."""
        return before is None and isinstance(behind, PiecewiseLinear)

    def index_step(self, state_bits: int, index_bits: int) -> float | None:
        """Return the worth of an index."""
        return sigmoid_range(state_bits) / 2.0 ** (index_bits - 1)

    def parts(self, index_bits: int, index_step: float, state_bits: int) -> dict[str, Any]:
        """Return the pieces."""
        return {"pieces": sigmoid_pieces(index_bits, index_step, state_bits)}

    def check_parts(self, network: "IntegerNetwork", index_step: float) -> None:
        """Refuse pieces that are more than a sixteenth of the full scale from the sigmoid.

        Raises:
            FormatError: see there.
        """
        full, index = 2.0 ** (network.state_bits - 1), IntFormat(network.index_bits, signed=True)
        behind = self.state_operation("state", "index", network)
        assert behind is not None
        q = np.arange(index.min, index.max + 1)
        found, wanted = behind.evaluate(q), full * sigmoid(q * index_step)
        wrong = np.flatnonzero(np.abs(found - wanted) > full * _SHARE + _SLACK)
        if len(wrong):
            at = int(wrong[len(wrong) // 2])
            raise FormatError(
                "pieces must be the sigmoid at the spacing scales.accumulator * 2**shift / max(multiplier) = "
                f"{index_step:.6g}, {wanted[at]:.6g} for index {q[at]}, not {int(found[at])}; "
                "see docs/checkpoint.md, section 2"
            )


FUNCTION = PwlSigmoid()
