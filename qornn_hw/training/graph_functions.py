"""The element-wise functions of the language of cells on tensors, with their gradients, one row each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qornn_hw.ir.formats import IntFormat

__all__ = ["FUNCTIONS", "TensorFunction"]


@dataclass(frozen=True)
class TensorFunction:
    """A function in place, and its gradient from its result.

    Attributes:
        apply: compute in place.
        differentiate: write the gradient of the operand, given that of the result, the result, and a place.
        by_table: whether the hardware has a table of it; else it is the saturation of the sum in front.
        lowest: the smallest integer of its results in a format.
    """

    apply: Callable[[Tensor], object]
    differentiate: Callable[[Tensor, Tensor, Tensor], object]
    by_table: bool
    lowest: Callable[[IntFormat], int]


def _clipped(low: float, high: float) -> TensorFunction:
    """Return the saturation between two numbers."""
    backward = torch.ops.aten.hardtanh_backward.grad_input
    return TensorFunction(
        lambda y: y.clamp_(low, high),
        lambda g, y, out: backward(g, y, low, high, grad_input=out),
        False,
        lambda form: form.min,
    )


_SIGMOID = torch.ops.aten.sigmoid_backward.grad_input
_TANH = torch.ops.aten.tanh_backward.grad_input
_RELU = torch.ops.aten.threshold_backward.grad_input

FUNCTIONS: dict[str, TensorFunction] = {
    # Its table has no 0, and that of tanh is odd.
    "sigmoid": TensorFunction(
        torch.sigmoid_, lambda g, y, out: _SIGMOID(g, y, grad_input=out), True, lambda form: form.min + 1
    ),
    "tanh": TensorFunction(
        torch.tanh_,
        lambda g, y, out: _TANH(g, y, grad_input=out),
        True,
        lambda form: max(form.min, -form.max),
    ),
    "relu": TensorFunction(
        torch.relu_, lambda g, y, out: _RELU(g, y, 0.0, grad_input=out), False, lambda form: form.min
    ),
    "hard_tanh": _clipped(-1.0, 1.0),
    "hard_sigmoid": _clipped(0.0, 1.0),
}
