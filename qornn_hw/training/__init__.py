"""Training of quantized, approximately orthogonal recurrent networks.

``config`` and ``tasks`` need NumPy only, so that evaluation and the command line's help work without torch;
the rest needs the extra: ``pip install 'qornn-hw[train]'``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qornn_hw.training.config import CopyConfig, MnistConfig

if TYPE_CHECKING:
    from qornn_hw.training.copy_run import train_copy
    from qornn_hw.training.mnist_run import train_mnist

__all__ = ["CopyConfig", "MnistConfig", "train_copy", "train_mnist"]

_LAZY = {"train_copy": "qornn_hw.training.copy_run", "train_mnist": "qornn_hw.training.mnist_run"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'qornn_hw.training' has no attribute {name!r}")
