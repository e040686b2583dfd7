"""Training of quantized, approximately orthogonal recurrent networks.

``config`` needs NumPy only, so that evaluation and the help of the command line work without torch. The rest
needs the extra ``train``: ``pip install 'qornn-hw[train]'``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qornn_hw.training.config import Method, RunConfig
from qornn_hw.training.task_configs import (
    AddingConfig,
    ArraysConfig,
    CharactersConfig,
    CopyConfig,
    MnistConfig,
    PermutedMnistConfig,
    SequentialMnistConfig,
    SpeechConfig,
)

if TYPE_CHECKING:
    from qornn_hw.training.run import train

__all__ = [
    "AddingConfig",
    "ArraysConfig",
    "CharactersConfig",
    "CopyConfig",
    "Method",
    "MnistConfig",
    "PermutedMnistConfig",
    "RunConfig",
    "SequentialMnistConfig",
    "SpeechConfig",
    "train",
]

_LAZY = {"train": "qornn_hw.training.run"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'qornn_hw.training' has no attribute {name!r}")
