"""The activations that there are.

The word of one is the name of its module in this package, whose ``FUNCTION`` is the activation.
"""

from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from importlib import import_module

from qornn_hw.cells.activations.function import ActivationFunction
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.ir.ops import Operation

__all__ = ["BOUNDED", "Activation", "activation_of_torch", "recognized_activation"]


class Activation(StrEnum):
    """The function between the accumulator and the new state (docs/numerics.md section 5)."""

    IDENTITY = "identity"
    RELU = "relu"
    MODRELU = "modrelu"
    HARDTANH = "hardtanh"
    TANH = "tanh"
    PWL_SIGMOID = "pwl_sigmoid"

    @property
    def function(self) -> ActivationFunction:
        """What the activation is."""
        return _function(self.value)

    @property
    def shape(self) -> ActivationShape:
        """Its parts in hardware."""
        return self.function.shape


@cache
def _function(word: str) -> ActivationFunction:
    found = import_module(f"qornn_hw.cells.activations.{word}").FUNCTION
    assert isinstance(found, ActivationFunction)
    return found


# Those whose states have full scale 1.
BOUNDED: tuple[Activation, ...] = tuple(one for one in Activation if one.function.bounded)


def activation_of_torch(nonlinearity: str) -> Activation:
    """Return the activation of a ``torch.nn.RNN`` by its ``nonlinearity``.

    Raises:
        ValueError: torch has no such RNN.
    """
    for one in Activation:
        if one.function.torch_name == nonlinearity:
            return one
    raise ValueError(f"nonlinearity must be one of {', '.join(_torch_names())}, not {nonlinearity!r}")


def _torch_names() -> Iterable[str]:
    return (name for one in Activation if (name := one.function.torch_name))


def recognized_activation(
    before: Operation | None, behind: Operation | None, full_scale: bool
) -> Activation | None:
    """Return the activation whose operations these are: :meth:`ActivationFunction.recognizes`."""
    for one in Activation:
        if one.function.recognizes(before, behind, full_scale):
            return one
    return None
