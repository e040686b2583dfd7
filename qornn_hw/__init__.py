"""qornn-hw: from a trained, quantized recurrent network to verified FPGA hardware.

    import qornn_hw
    net = qornn_hw.quantize(model, calibration, weight_bits=4, state_bits=8)
    net(x)                                       # what the hardware computes, as real numbers
    print(net.quality)
    design = qornn_hw.compile(net, board="icebreaker")
    design.simulate(x)                           # RTL against the integer model
    with design.build("out").program() as board:
        board.run(x, check=True)

docs/python.md is the reference. Names are loaded at their first use, so that the import is quick.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qornn_hw.api.board import Board
    from qornn_hw.api.build import Build
    from qornn_hw.api.design import Design, compile
    from qornn_hw.api.network import Network, Quality, compare_bits, finetune, load, quantize, save
    from qornn_hw.api.virtual_board import VirtualBoard
    from qornn_hw.errors import (
        BoardError,
        CapacityError,
        CheckpointError,
        DataError,
        FormatError,
        LinkError,
        MismatchError,
        OutputError,
        QornnError,
        QualityWarning,
        StreamLostError,
        TimingError,
        ToolError,
        TrainingError,
    )
    from qornn_hw.files.checkpoint import Checkpoint

    __version__: str

_ERRORS = (
    "BoardError", "CapacityError", "CheckpointError", "DataError", "FormatError", "LinkError",
    "MismatchError", "OutputError", "QornnError", "QualityWarning", "StreamLostError", "TimingError",
    "ToolError", "TrainingError",
)  # fmt: skip
_MODULES = {
    "Board": "qornn_hw.api.board",
    "Build": "qornn_hw.api.build",
    "Checkpoint": "qornn_hw.files.checkpoint",
    "Design": "qornn_hw.api.design",
    "Network": "qornn_hw.api.network",
    "Quality": "qornn_hw.api.network",
    "VirtualBoard": "qornn_hw.api.virtual_board",
    "compare_bits": "qornn_hw.api.network",
    "compile": "qornn_hw.api.design",
    "finetune": "qornn_hw.api.network",
    "load": "qornn_hw.api.network",
    "quantize": "qornn_hw.api.network",
    "save": "qornn_hw.api.network",
    **dict.fromkeys(_ERRORS, "qornn_hw.errors"),
}
# Old name -> where it is, its name there, and the new one.
_OLD = {
    "export": ("qornn_hw.quantization.quantize", "export", "quantize((W, U, V), calibration, ...)"),
    "export_torch_module": (
        "qornn_hw.importers.torch_tracing", "export_torch_module", "quantize(module, calibration, ...)",
    ),
    "export_torch_rnn": (
        "qornn_hw.importers.torch_import", "export_torch_rnn", "quantize((rnn, readout), calibration, ...)",
    ),
    "load_checkpoint": ("qornn_hw.files.checkpoint", "load_checkpoint", "load(path)"),
    "save_checkpoint": ("qornn_hw.api.network", "save", "save(path, net)"),
}  # fmt: skip

__all__ = [
    "Board",
    "BoardError",
    "Build",
    "CapacityError",
    "Checkpoint",
    "CheckpointError",
    "DataError",
    "Design",
    "FormatError",
    "LinkError",
    "MismatchError",
    "Network",
    "OutputError",
    "QornnError",
    "Quality",
    "QualityWarning",
    "StreamLostError",
    "TimingError",
    "ToolError",
    "TrainingError",
    "VirtualBoard",
    "__version__",
    "compare_bits",
    "compile",
    "finetune",
    "load",
    "quantize",
    "save",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("qornn-hw")
    if name in _OLD:
        module, there, new = _OLD[name]
        warnings.warn(f"qornn_hw.{name} is now qornn_hw.{new}", DeprecationWarning, stacklevel=2)
        return getattr(import_module(module), there)
    raise AttributeError(f"module 'qornn_hw' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
