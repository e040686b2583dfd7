"""What an activation is: its real function, its operations, its hardware, and what quantization needs."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.activations.kernel_form import KernelForm
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.ops import Operation, Table

if TYPE_CHECKING:
    from torch import Tensor

    from qornn_hw.cells.elman_network import IntegerNetwork

__all__ = ["ActivationFunction", "FloatArray", "IntArray"]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]


class ActivationFunction(ABC):
    """An activation ``h = act(z, b)`` of an Elman layer; ``act(z + b)`` but where the class says otherwise.

    A subclass in a file of its own is all that an activation is; the module's ``FUNCTION`` is the one object,
    and the registry has its name. Every other module asks this object.

    Attributes:
        shape: its parts in hardware.
        bounded: whether its states have full scale 1, so that the state's step is ``2**(1 - state_bits)``.
            Else it is positively homogeneous, ``act(k z, k b) = k act(z, b)`` for k > 0, and the step of the
            state is free.
        torch_name: the ``nonlinearity`` of a ``torch.nn.RNN`` that computes it; None where there is none.
        linear: whether it is linear, so that powers of W stand for steps; training leaves its b at 0, which
            would only move the network's fixed point.
        centre: the middle of typical states as a share of the full scale; above 0 where no state is negative.
        bias_reach: training begins with biases from minus to plus this.
        kernel: how a GPU computes it in training; None: step by step, as a processor does.
        linear_start: whether a network of large states is linear, so that training may begin with one.
    """

    shape: ClassVar[ActivationShape] = ActivationShape()
    bounded: ClassVar[bool] = False
    torch_name: ClassVar[str | None] = None
    linear: ClassVar[bool] = False
    centre: ClassVar[float] = 0.0
    bias_reach: ClassVar[float] = 0.0
    linear_start: ClassVar[bool] = False
    kernel: ClassVar[KernelForm | None] = None

    # -- real numbers ------------------------------------------------------------------------------

    @abstractmethod
    def evaluate(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return the activation of real sums z, (..., n), and biases b, (n,)."""

    def evaluate_accumulator(self, z: FloatArray, bias: FloatArray) -> FloatArray:
        """Return the part of :meth:`evaluate` in front of the requantizer; by default ``z + b``."""
        return z + bias

    def activate(self, z: "Tensor", bias: "Tensor", scratch: "Tensor") -> None:
        """Put ``act(z, b)`` in the place of a torch tensor z; ``scratch`` has its shape."""
        raise NotImplementedError

    def differentiate(self, d: "Tensor", h: "Tensor", bias_sum: "Tensor", scratch: "Tensor") -> None:
        """Put the gradient by z in the place of that by ``h = act(z, b)``; add that by b to ``bias_sum``."""
        raise NotImplementedError

    # -- operations --------------------------------------------------------------------------------

    def accumulator_operation(self, name: str, value: str, bias: IntArray) -> Operation | None:
        """Return the operation on the accumulator in front of the requantizer, if there is one."""
        return None

    def state_operation(self, name: str, value: str, network: "IntegerNetwork") -> Operation | None:
        """Return the operation from the requantizer's result to the state: the table or the pieces."""
        if network.table is not None:
            return Table(name, value, network.table)
        if network.pieces is not None:
            return network.pieces.operation(name, value, network.state_format, network.rounding)
        return None

    @abstractmethod
    def recognizes(self, before: Operation | None, behind: Operation | None, full_scale: bool) -> bool:
        """Return whether operations are this activation's.

        Args:
            before: the operation in front of the requantizer.
            behind: the operation behind it.
            full_scale: whether the scale of the state is that of a full scale of 1.
        """

    def state_ends(self, network: "IntegerNetwork") -> tuple[int, int]:
        """Return the least and the largest state: at the ends something may have been cut off."""
        index = IntFormat(network.index_bits, signed=True)
        behind = self.state_operation("state", "index", network)
        if behind is None:
            return index.min, index.max
        states = behind.interval(Interval.of_format(index))
        return states.least, states.most

    # -- quantization ------------------------------------------------------------------------------

    def index_step(self, state_bits: int, index_bits: int) -> float | None:
        """Return the real worth of a unit of the requantizer's result; None where that is the state."""
        return None

    def parts(self, index_bits: int, index_step: float, state_bits: int) -> dict[str, Any]:
        """Return the fields of a network that hold the function behind the requantizer, by name."""
        return {}

    def check_parts(self, network: "IntegerNetwork", index_step: float) -> None:
        """Refuse fields behind the requantizer that are not this activation's.

        Args:
            network: that has them.
            index_step: the real worth of a unit of the requantizer's result.

        Raises:
            FormatError: they are another function's.
        """
        raise NotImplementedError
