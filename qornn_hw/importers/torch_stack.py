"""Stacks of torch modules: RNN, GRU and LSTM layers in a row with linear layers around them.

A private copy of the module is run once, and the order in which its layers are called is recorded. The
network of these layers must then answer as the module does, after every step or after the last one. So
whatever else ``forward`` computes is found and refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.importers.imported import Imported
from qornn_hw.importers.recurrent_weights import weights_cell
from qornn_hw.importers.stack_builder import StackBuilder
from qornn_hw.importers.torch_layers import DROPOUTS
from qornn_hw.importers.torch_modules import class_name, leaves, private_copy, require_module
from qornn_hw.importers.torch_run import ModuleRun, answer_mode
from qornn_hw.ir.kinds import OutputMode
from qornn_hw.quantization.stack import RealStack

__all__ = ["has_relu", "has_stack", "read_torch_stack"]

FloatArray = NDArray[np.float64]

KINDS = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm", "RNNCell": "rnn", "GRUCell": "gru", "LSTMCell": "lstm"}
PASSED = ("Identity", "Flatten", *DROPOUTS)
REASONS = {
    "Softmax": "let the module answer the logits, whose argmax is the same",
    "LogSoftmax": "let the module answer the logits, whose argmax is the same",
    "BatchNorm1d": "fold it into the Linear with torch.nn.utils.fusion.fuse_linear_bn_eval",
    "LayerNorm": "its scale depends on the state",
    "RMSNorm": "its scale depends on the state",
    "Conv1d": "convolutions are not supported",
}


def _kind(module: Any) -> str | None:
    """Return rnn, gru or lstm for such a layer or cell or a subclass of it, None for another module."""
    import torch

    for name, kind in KINDS.items():
        if isinstance(module, getattr(torch.nn, name)):
            return kind
    return None


def has_stack(module: Any) -> bool:
    """Return whether a module has gated or several recurrent layers, which need a stack."""
    recurrent = [one for _, one in leaves(module) if _kind(one)]
    return len(recurrent) > 1 or any(
        _kind(one) != "rnn" or getattr(one, "num_layers", 1) > 1 for one in recurrent
    )


def has_relu(module: Any) -> bool:
    """Return whether a module has a recurrent layer and a relu, which its forward may call or not."""
    import torch

    found = [one for _, one in leaves(module)]
    return any(map(_kind, found)) and any(isinstance(one, torch.nn.ReLU) for one in found)


def read_torch_stack(module: Any, inputs: NDArray[Any]) -> Imported:
    """Return the float network of a torch module.

    Args:
        module: the module, which is neither run nor changed; it takes the inputs batch first or steps first,
            and answers logits, alone or as the first of several values.
        inputs: some inputs as in use, (batch, steps, m) or indices (batch, steps), with batch unlike steps.

    Raises:
        FormatError: the module is no stack of recurrent and linear layers, or computes something else, too.
    """
    module = require_module("module", module, "a torch module")
    for name, layer in leaves(module):
        if class_name(layer) in DROPOUTS and layer.training and layer.p > 0:
            raise FormatError(
                f"{name} must be in evaluation mode, but is a {class_name(layer)} that drops: call eval()"
            )
    copy = private_copy("module", module)
    trace = ModuleRun(copy)
    answers = trace.run(inputs)
    walk = _Walk()
    for layer in trace.order:
        walk.layer(trace.names[id(layer)], layer, trace.given[id(layer)])
    stack = walk.stack()
    mode, difference = _compared(stack, inputs, answers)
    return Imported(stack, mode, difference)


@dataclass
class _Walk:
    """What was found on the way from the input."""

    layers: StackBuilder = field(default_factory=StackBuilder)

    def layer(self, name: str, layer: Any, given: tuple[Any, ...]) -> None:
        """Take the next layer."""
        import torch

        kind = class_name(layer)
        if _kind(layer):
            self._recurrent(name, layer, given)
        elif isinstance(layer, torch.nn.Embedding):
            if not self.layers.is_empty:
                raise FormatError(f"{name} must be the first layer, but is an embedding behind others")
            with torch.no_grad():
                # By its own forward pass, which max_norm and hooks may change.
                self.layers.table = _array(layer(torch.arange(layer.num_embeddings)))
        elif isinstance(layer, torch.nn.Linear):
            found = self.layers.map_of(layer.in_features).then(_array(layer.weight))
            self.layers.affine = found if layer.bias is None else found.shifted(_array(layer.bias))
        elif isinstance(layer, torch.nn.ReLU):
            self.layers.add_relu(name)
        elif kind not in PASSED:
            reason = REASONS.get(kind, "only linear layers can stand beside recurrent ones")
            raise FormatError(f"{name} must be a recurrent or a linear layer, not {kind}: {reason}")

    def _recurrent(self, name: str, layer: Any, given: tuple[Any, ...]) -> None:
        kind = _kind(layer)
        assert kind is not None
        if getattr(layer, "bidirectional", False):
            raise FormatError(
                f"{name} must go in one direction, not both, since the second one begins at the end of the "
                "sequence: train with bidirectional=False"
            )
        if getattr(layer, "proj_size", 0):
            raise FormatError(f"{name} must have no projection, but has one of {layer.proj_size} entries")
        count = getattr(layer, "num_layers", 1)
        states = _states(name, given, count)
        for k in range(count):
            suffix = f"_l{k}" if hasattr(layer, "num_layers") else ""
            w, u = (_array(getattr(layer, f"weight_{part}{suffix}")) for part in ("ih", "hh"))
            biases = [getattr(layer, f"bias_{part}{suffix}", None) for part in ("ih", "hh")]
            b, c = (np.zeros(len(w)) if one is None else _array(one) for one in biases)
            cell = weights_cell(
                kind,
                "torch",
                (w, u, b, c),
                activation=getattr(layer, "nonlinearity", "tanh"),
                initial=states[0][k],
                initial_cell=states[1][k],
            )
            self.layers.add(cell)

    def stack(self) -> RealStack:
        """Return the network that was found."""
        if not self.layers.cells:
            raise FormatError("module must call an RNN, GRU or LSTM in forward, but does not")
        if self.layers.affine is None:
            raise FormatError("module must have a torch.nn.Linear behind its recurrent layers, but has none")
        return self.layers.stack()


def _array(tensor: Any) -> FloatArray:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)


def _states(
    name: str, given: tuple[Any, ...], layers: int
) -> tuple[list[FloatArray | None], list[FloatArray | None]]:
    """Return the initial h and c of each layer, None for zeros."""
    import torch

    flat: list[Any] = []
    for value in given:
        flat += list(value) if isinstance(value, tuple) else [value]
    found: list[list[FloatArray | None]] = [[None] * layers, [None] * layers]
    for which, tensor in enumerate(one for one in flat if torch.is_tensor(one)):
        rows = _array(tensor).reshape(layers, -1, tensor.shape[-1])
        if not np.array_equal(rows, np.broadcast_to(rows[:, :1], rows.shape)):
            raise FormatError(
                f"{name} must be given the same initial state for each sequence, but is given different ones"
            )
        found[which] = list(rows[:, 0])
    return found[0], found[1]


def _compared(
    stack: RealStack, inputs: NDArray[Any], answers: Sequence[NDArray[np.floating[Any]]]
) -> tuple[OutputMode, float]:
    """Return when the module answers, and the relative difference.

    Raises:
        FormatError: no answer is that of the layers that were found.
    """
    mode, _, relative = answer_mode(stack.run(inputs), answers)
    if mode is not None:
        return mode, relative
    shapes = " or ".join(str(answer.shape) for answer in answers)
    what = (
        f"its answers differ by {relative:.3g} of the largest"
        if np.isfinite(relative)
        else f"answers with shape {shapes}"
    )
    raise FormatError(
        f"module must answer what its recurrent and linear layers give, and {what}: its forward does "
        "something else as well; take that out"
    )
