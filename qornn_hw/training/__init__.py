"""Training of quantized, approximately orthogonal recurrent networks.

``config`` and ``tasks`` need NumPy only, so that evaluation and the command line's help work without torch;
the rest needs the extra: ``pip install 'qornn-hw[train]'``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qornn_hw.training.config import (
    AddingConfig,
    ArraysConfig,
    CharactersConfig,
    CopyConfig,
    Method,
    MnistConfig,
    PermutedMnistConfig,
    RunConfig,
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
