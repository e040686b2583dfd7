"""Import of torch modules: the computation of a module's own forward pass, as an integer network.

The module is copied, and only the copy is run, in evaluation mode on the CPU. Its weights are read after a
forward pass, because hooks can compute them (pruning, weight and spectral normalization). Then the float
network of these weights is compared with the copy's own forward pass, on calibration inputs and on random
inputs, and the module is refused if they differ. So a hook, subclass or mode cannot be ignored by mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.arguments import array_of
from qornn_hw.cells.activations.registry import activation_of_torch
from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.data.sequences import sequences_of
from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.importers.imported import TOLERANCE
from qornn_hw.importers.torch_layers import (
    Affine,
    RecurrentLayer,
    check_evaluation,
    front_of,
    readout_of,
    require_recurrent,
)
from qornn_hw.importers.torch_modules import class_name, leaves, private_copy, require_module
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quantize import export

__all__ = [
    "TorchNetwork",
    "agree",
    "export_torch_network",
    "export_torch_rnn",
    "read_layers",
    "read_torch_rnn",
]

FloatArray = NDArray[np.floating[Any]]

# Few steps: if a state is chaotic, rounding differences grow from step to step.
_STEPS = 16
_SEQUENCES = 4
_OWN_OPTIONS = ("activation", "bias", "output_bias")


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """A torch network as arrays, with its own forward pass.

    Attributes:
        network: the float network, which answers after every step.
        one_hot: True if its inputs are the indices of an embedding.
        logits: the modules' own forward pass in evaluation mode: from inputs (batch, steps, m), or indices
            (batch, steps), to logits (batch, steps, p).
    """

    network: RealNetwork
    one_hot: bool
    logits: Callable[[NDArray[Any]], FloatArray]


@dataclass(frozen=True, eq=False)
class _Reference:
    """The reference logits for the quality of an integer network.

    Attributes:
        network: the torch network.
        last: the integer network answers after the last step only.
    """

    network: TorchNetwork
    last: bool
    name: str = "module's own forward pass"

    def __call__(self, inputs: NDArray[Any]) -> FloatArray:
        logits = self.network.logits(inputs)
        return logits[:, -1:] if self.last else logits


def export_torch_rnn(rnn: Any, readout: Any, calibration_inputs: Any, **options: Any) -> Checkpoint:
    """Export a one-layer ``torch.nn.RNN`` or ``RNNCell`` (tanh or relu) and its ``torch.nn.Linear`` readout.

    The result is the computation of the modules in evaluation mode, whatever determines their weights:
    parameters, parametrizations, pruning, weight or spectral normalization. The modules are neither run nor
    changed. Wrappers (``DataParallel``, ``torch.compile``) are removed. The two biases of the RNN are added.

    Args:
        rnn: the recurrent layer, or a ``Sequential`` of an ``Embedding`` or ``Linear`` and the layer.
        readout: a ``Linear``, or a ``Sequential`` of ``Linear``, ``Identity``, ``Dropout`` and ``Flatten``.
        calibration_inputs: as for :func:`qornn_hw.quantize`, (batch, steps, m) or indices (batch, steps),
            whatever the RNN's ``batch_first``. Indices stand for ``torch.nn.functional.one_hot`` vectors,
            or for the symbols of the ``Embedding``.
        options: options of :func:`qornn_hw.quantization.quantize.export` except activation, bias and
            output_bias. ``initial_state`` may also be (1, n) or (1, 1, n). The quality of the integer
            network is measured against the modules' own forward pass.

    Raises:
        FormatError: a module is not supported, or its forward pass differs from its weights; the message has
            the reason and the next step.
    """
    found = read_torch_rnn(rnn, readout, calibration_inputs, options.pop("initial_state", None))
    return export_torch_network(found, calibration_inputs, options)


def export_torch_network(found: TorchNetwork, calibration_inputs: Any, options: dict[str, Any]) -> Checkpoint:
    """Quantize the network read from torch modules; ``options`` as for :func:`export_torch_rnn`."""
    for name in _OWN_OPTIONS:
        if name in options:
            raise FormatError(f"{name} must not be given, because the modules determine it")
    if found.one_hot and options.setdefault("input", "one_hot") != "one_hot":
        raise FormatError(f"input must be 'one_hot' behind an embedding, not {options['input']!r}")
    real = found.network
    last = options.get("output_mode") == OutputMode.LAST_STEP
    options.setdefault("reference", _Reference(found, last))
    return export(
        real.recurrent_weight,
        real.input_weight,
        real.output_weight,
        activation=str(real.activation),
        calibration_inputs=calibration_inputs,
        bias=real.bias,
        output_bias=real.output_bias,
        initial_state=real.initial_state,
        **options,
    )


def read_torch_rnn(rnn: Any, readout: Any, inputs: Any, initial_state: Any = None) -> TorchNetwork:
    """Return the float network of a recurrent layer and its readout, checked against their forward pass.

    Args:
        rnn: as for :func:`export_torch_rnn`.
        readout: as for :func:`export_torch_rnn`.
        inputs: some typical inputs, on which network and modules are compared.
        initial_state: state h before the first step, (n,), (1, n) or (1, 1, n); None for zero.

    Raises:
        FormatError: as for :func:`export_torch_rnn`.
    """
    rnn = require_module("rnn", rnn, "a torch.nn.RNN or RNNCell")
    readout = require_module("readout", readout, "a torch.nn.Linear")
    front: list[tuple[str, Any]] = []
    if class_name(rnn) == "Sequential" and len(parts := list(leaves(rnn))) > 1:
        *front, (_, rnn) = parts
    require_recurrent("rnn", rnn)
    for name, layers in (("rnn", front), ("readout", list(leaves(readout)))):
        check_evaluation(name, layers)
    copies = [(key, private_copy(f"rnn.{key}", one)) for key, one in front]
    behind = [(key, private_copy("readout", one)) for key, one in leaves(readout)]
    return read_layers(copies, private_copy("rnn", rnn), behind, inputs, initial_state)


def read_layers(
    front: list[tuple[str, Any]],
    rnn: Any,
    behind: list[tuple[str, Any]],
    inputs: Any,
    initial_state: Any,
) -> TorchNetwork:
    """Return the network of layers, given as private copies in the order of their use.

    Raises:
        FormatError: as for :func:`export_torch_rnn`.
    """
    layer = RecurrentLayer(rnn)
    readout = readout_of("readout", behind, layer.hidden_size)
    first = front_of("rnn", front, layer.input_size)
    table = first if isinstance(first, np.ndarray) else None
    state = None if initial_state is None else _state(initial_state, layer.hidden_size)
    u, b = layer.input_weight, layer.bias
    if isinstance(first, Affine):
        u, b = u @ first.weight, b + u @ first.bias
    elif table is not None:
        u = u @ table.T
    network = RealNetwork(
        activation=activation_of_torch(layer.nonlinearity),
        recurrent_weight=layer.recurrent_weight,
        input_weight=u,
        output_weight=readout.weight,
        bias=b,
        output_bias=readout.bias,
        initial_state=np.zeros(layer.hidden_size) if state is None else state,
        output_mode=OutputMode.EVERY_STEP,
    )

    def states(batch: NDArray[Any]) -> FloatArray:
        x = np.asarray(batch)
        if x.ndim == 2:
            x = np.eye(layer.input_size)[x.astype(np.int64)] if table is None else table[x.astype(np.int64)]
        elif isinstance(first, Affine):
            x = first.run(x.astype(np.float64), layer.dtype)
        return layer.run(x, state)

    samples = _samples(inputs, u.shape[1], table is not None)
    for batch in samples:
        wanted, (found, logits) = states(batch), run_real(network, batch)
        agree("rnn", found, wanted, rnn)
        agree("readout", logits, readout.run(wanted, layer.dtype), *(one for _, one in behind))
    return TorchNetwork(network, table is not None, lambda x: readout.run(states(x), layer.dtype))


def _state(value: Any, size: int) -> FloatArray:
    """Return an initial state as (n,); torch adds a dimension for layers and one for the batch."""
    state = array_of("initial_state", value).astype(np.float64)
    if state.shape not in ((size,), (1, size), (1, 1, size)):
        raise FormatError(
            f"initial_state must have shape ({size},), (1, {size}) or (1, 1, {size}), not {state.shape}"
        )
    return state.reshape(size)


def _samples(inputs: Any, size: int, indices: bool) -> list[NDArray[Any]]:
    """Return the first steps of the first sequences, and random inputs of the same kind."""
    sequences = sequences_of("calibration_inputs", inputs)
    rng = np.random.default_rng(0)
    if sequences[0].ndim == 1:
        beginnings = [one[None, :_STEPS] for one in sequences[:_SEQUENCES]]
        for one in sequences:
            bad = one[(one < 0) | (one >= size) | (one != np.floor(one))]
            if bad.size:
                raise FormatError(f"calibration_inputs must be indices from 0 to {size - 1}, not {bad[0]:g}")
        return [*beginnings, rng.integers(0, size, (_SEQUENCES, _STEPS))]
    if indices or sequences[0].shape[1] != size:
        form = "indices (batch, steps)" if indices else f"vectors (batch, steps, {size})"
        shape = sequences[0].shape
        raise FormatError(f"calibration_inputs must be {form}, not sequences of shape {shape}")
    some = np.concatenate([one[:_STEPS] for one in sequences[:256]]).astype(np.float64)
    middle, spread = some.mean(axis=0), some.std(axis=0)
    beginnings = [one[None, :_STEPS].astype(np.float64) for one in sequences[:_SEQUENCES]]
    drawn = middle + np.where(spread > 0, spread, 1.0) * rng.normal(size=(_SEQUENCES, _STEPS, size))
    return [one for one in (*beginnings, drawn) if np.all(np.isfinite(one))]


def agree(name: str, found: FloatArray, wanted: FloatArray, *modules: Any) -> None:
    """Check that the forward pass of modules gives the answers of their weights.

    Raises:
        FormatError: the answers differ.
    """
    if found.shape != wanted.shape:
        raise FormatError(f"{name} must answer with shape {found.shape}, but answers with {wanted.shape}")
    difference = float(np.abs(found - wanted).max())
    if difference <= TOLERANCE * max(1e-3, float(np.abs(wanted).max())):
        return
    raise FormatError(
        f"{name} must compute what its weights say, but its forward pass differs by {difference:.3g}"
        f"{_suspect(modules)}; export a plain module that computes the same"
    )


def _suspect(modules: tuple[Any, ...]) -> str:
    """Return the part of the modules that probably changes their answers, as text for the message."""
    import torch

    for module in modules:
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
            name = getattr(hook, "__qualname__", type(hook).__name__)
            return f": it has the hook {name}, which changes inputs or answers"
        if type(module).forward not in (
            torch.nn.RNN.forward,
            torch.nn.RNNCell.forward,
            torch.nn.Linear.forward,
        ):
            return f": {class_name(module)} has a forward of its own"
    return ""
