"""An activation in the words of the kernel that trains on a GPU."""

from dataclasses import dataclass

__all__ = ["KernelForm"]


@dataclass(frozen=True)
class KernelForm:
    """What the kernel of :mod:`qornn_hw.training.recurrence_gpu` compiles; at most one but ``biased`` is set.

    Attributes:
        biased: the argument is ``z + b``, else z alone.
        rectified: ``max(argument, 0)``.
        shrunk: ``sgn(z) max(|z| + b, 0)``.
        clipped: ``min(max(argument, -1), 1)``.
        tanh: ``tanh(argument)``.
    """

    biased: bool = True
    rectified: bool = False
    shrunk: bool = False
    clipped: bool = False
    tanh: bool = False
