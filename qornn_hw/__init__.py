"""qornn-hw: from a trained, quantized recurrent network to verified FPGA hardware."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qornn_hw.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from qornn_hw.exporting import export, export_torch_rnn

# Name -> module, loaded at first use so that `import qornn_hw` stays cheap.
_LAZY = {
    "Checkpoint": "qornn_hw.checkpoint",
    "load_checkpoint": "qornn_hw.checkpoint",
    "save_checkpoint": "qornn_hw.checkpoint",
    "export": "qornn_hw.exporting",
    "export_torch_rnn": "qornn_hw.exporting",
}

__all__ = ["Checkpoint", "export", "export_torch_rnn", "load_checkpoint", "save_checkpoint"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'qornn_hw' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
