"""Import of gated or stacked float networks, in every supported form."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qornn_hw.errors import FormatError
from qornn_hw.importers.imported import Imported
from qornn_hw.importers.keras_import import read_keras
from qornn_hw.importers.onnx_import import read_onnx
from qornn_hw.importers.safetensors_file import read_safetensors
from qornn_hw.importers.state_dict import Description, read_state_dict
from qornn_hw.importers.torch_run import sample_batch
from qornn_hw.ir.kinds import OutputMode
from qornn_hw.quantization.stack import RealStack

__all__ = ["READERS", "imported_stack", "of_state_dict"]

# The readers of files by suffix.
READERS: dict[str, Callable[[Path], Imported]] = {".onnx": read_onnx, ".keras": read_keras}


def imported_stack(
    model: Any, calibration_inputs: Any, description: Description | None = None
) -> Imported | None:
    """Return the float network of a model that is not a single Elman layer in memory.

    Args:
        model: a :class:`~qornn_hw.quantization.stack.RealStack`; the path of an ``.onnx``, ``.keras`` or
            ``.safetensors`` file; a state dict; a torch module with gated or several recurrent layers, or a
            tuple of such layers and a readout.
        calibration_inputs: typical inputs, on which torch modules are run.
        description: facts that the names of a state dict do not show.

    Returns:
        None for every other object.

    Raises:
        FormatError: the model is not supported; the message has the reason.
        ToolError: the package for reading the file is not installed.
    """
    if isinstance(model, RealStack):
        return Imported(model, OutputMode.EVERY_STEP, 0.0)
    if isinstance(model, (str, Path)):
        return _of_file(Path(model), description)
    if isinstance(model, Mapping):
        return of_state_dict(model, description)
    module = _torch_stack(model)
    if module is None:
        return None
    from qornn_hw.importers.torch_stack import has_stack, read_torch_stack

    if has_stack(module):
        return read_torch_stack(module, sample_batch(calibration_inputs))
    # One plain layer is an Elman network, which has faster engines, unless a relu is in front of its readout.
    try:
        found = read_torch_stack(module, sample_batch(calibration_inputs))
    except FormatError:
        return None
    return found if found.stack.output_relu else None


def of_state_dict(state: Mapping[str, Any], description: Description | None) -> Imported:
    """Return the float network of a state dict, which does not show when the network answers."""
    return Imported(read_state_dict(state, description), OutputMode.EVERY_STEP, 0.0)


def _of_file(path: Path, description: Description | None) -> Imported:
    if not path.is_file():
        raise FormatError(f"model must be an existing file, but {path} is not")
    if path.suffix == ".safetensors":
        return of_state_dict(read_safetensors(path), description)
    if path.suffix not in READERS:
        raise FormatError(
            f"model must be a file of {', '.join(READERS)} or .safetensors to be imported, not {path.name}"
        )
    return READERS[path.suffix](path)


def _torch_stack(model: Any) -> Any:
    """Return a torch module that needs a stack; None for another object, or without torch."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    from qornn_hw.importers.torch_stack import has_relu, has_stack

    if isinstance(model, torch.nn.Module):
        return model if has_stack(model) or has_relu(model) else None
    pair = isinstance(model, (tuple, list)) and len(model) == 2
    if not pair or not all(isinstance(part, torch.nn.Module) for part in model) or not has_stack(model[0]):
        return None

    class Pair(torch.nn.Module):  # type: ignore[misc]
        """A recurrent layer and its readout."""

        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.readout = model

        def forward(self, x: Any) -> Any:
            """Answer at every step."""
            return self.readout(self.rnn(x)[0])

    made = Pair()
    made.train(any(part.training for part in model))
    return made
