"""The quantizer of a user's float network, for every supported form of the network."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import Checkpoint, NetworkCheckpoint
from qornn_hw.importers.torch_import import export_torch_rnn
from qornn_hw.importers.torch_tracing import export_torch_module
from qornn_hw.quantization.float_model import RealNetwork
from qornn_hw.quantization.quantize import export

__all__ = ["quantizer_of"]


def quantizer_of(model: Any) -> Callable[..., Checkpoint]:
    """Return the function that quantizes a float network, with ``calibration_inputs`` and options.

    The options are those of :func:`qornn_hw.quantization.quantize.export`.

    Args:
        model: W, U and V as a tuple of three arrays; a tuple of a ``torch.nn.RNN`` and its
            ``torch.nn.Linear`` readout; a module of both; or a checkpoint with the weights of a float
            network, from which activation, biases and the kinds of input and answer are taken.

    Raises:
        FormatError: another object, or a checkpoint without float weights.
    """
    if isinstance(model, Checkpoint):
        return _requantizer(model)
    if isinstance(model, (tuple, list)) and len(model) == 3:
        return partial(export, *model)
    if isinstance(model, (tuple, list)) and len(model) == 2:
        rnn, readout = model
        return lambda *, calibration_inputs, **options: export_torch_rnn(
            rnn, readout, calibration_inputs, **options
        )
    if _is_torch_module(model):
        return lambda *, calibration_inputs, **options: export_torch_module(
            model, calibration_inputs, **options
        )
    if isinstance(model, NetworkCheckpoint):
        raise FormatError(
            f"model must hold float weights, and {model.network!r} has integers only: pass the trained model "
            "that it was quantized from"
        )
    raise FormatError(
        "model must be a Checkpoint, a tuple of three arrays (W, U, V), a tuple of a torch.nn.RNN and its "
        f"readout, or a torch module of both, not {type(model).__name__}"
    )


def _requantizer(model: Checkpoint) -> Callable[..., Checkpoint]:
    """Return the function that quantizes the float weights of a checkpoint again."""
    real = RealNetwork.trained(model)
    if real is None:
        raise FormatError(
            "model must hold the weights of a float network; a quantization-aware training leaves none"
        )
    net = model.network
    return partial(
        export,
        real.recurrent_weight,
        real.input_weight,
        real.output_weight,
        activation=str(net.activation),
        bias=real.bias,
        output_bias=real.output_bias,
        initial_state=real.initial_state,
        input=str(net.input_kind),
        output_mode=str(net.output_mode),
        output_kind=str(net.output_kind),
        rounding=str(net.rounding),
    )


def _is_torch_module(model: Any) -> bool:
    """Return whether an object is a torch module; False if torch is not installed."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)
