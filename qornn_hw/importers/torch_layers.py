"""Layers of torch as arrays: the recurrent layer, the layers in front of it, and the readout.

Each layer is a private copy (:func:`qornn_hw.importers.torch_modules.private_copy`). Its weights are read
after the copy has run once, because hooks can compute weights before a forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.importers.torch_modules import class_name, is_module, leaves

__all__ = [
    "DROPOUTS",
    "Affine",
    "RecurrentLayer",
    "front_of",
    "readout_of",
    "recurrent_class",
    "require_recurrent",
]

FloatArray = NDArray[np.floating[Any]]
Named = Sequence[tuple[str, Any]]

GATED = ("LSTM", "GRU")
_WANTED = "a torch.nn.RNN or RNNCell"
DROPOUTS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
# The reason why a module cannot be part of a readout, by its class.
_NO_READOUT = {
    "Softmax": "the hardware answers logits, whose argmax is the same: leave it out",
    "LogSoftmax": "the hardware answers logits, whose argmax is the same: leave it out",
    "Softmax2d": "the hardware answers logits, whose argmax is the same: leave it out",
    "Sigmoid": "the hardware answers logits, and a sigmoid above 1/2 is a logit above 0: leave it out",
    "LogSigmoid": "the hardware answers logits: leave it out",
    "BatchNorm1d": "fold it into the Linear with torch.nn.utils.fusion.fuse_linear_bn_eval",
    "LayerNorm": "its scale depends on the state, which has no hardware here: train without it",
    "RMSNorm": "its scale depends on the state, which has no hardware here: train without it",
    "LazyLinear": "it has no weights yet: run it once on its inputs",
}
_NOT_LINEAR = "only linear layers have hardware beside the recurrent one: train with a Linear alone"


def recurrent_class(module: Any) -> str | None:
    """Return "RNN" or "RNNCell" for such a layer or a subclass of it; None for another module."""
    import torch

    if isinstance(module, torch.nn.RNN):
        return "RNN"
    return "RNNCell" if isinstance(module, torch.nn.RNNCell) else None


def require_recurrent(name: str, module: Any) -> None:
    """Check that a module is a recurrent layer of one direction; the message has reason and next step.

    Raises:
        FormatError: it is not.
    """
    import torch

    kind, package = class_name(module), type(module).__module__.split(".")[0]
    gated = (torch.nn.LSTM, torch.nn.GRU, torch.nn.LSTMCell, torch.nn.GRUCell)
    wanted = f"{name} must be {_WANTED}, not {kind}"
    if isinstance(module, gated) or any(word in kind for word in GATED):
        raise FormatError(f"{wanted}: this takes a plain RNN; qornn_hw.quantize takes gated cells")
    if package == "brevitas":
        raise FormatError(
            f"{wanted} of Brevitas, which computes with its own quantizers: copy its float weights into a "
            "torch.nn.RNN and pass that, or train with qornn_hw.finetune"
        )
    if "quantized" in type(module).__module__ and package == "torch":
        raise FormatError(f"{wanted} of torch.ao, whose weights are quantized: pass the float module")
    if recurrent_class(module) is None:
        raise FormatError(f"{wanted}{_inside(module)}")
    if getattr(module, "num_layers", 1) != 1:
        raise FormatError(
            f"{name} must have 1 layer, not {module.num_layers}: train one layer with more units"
        )
    if getattr(module, "bidirectional", False):
        raise FormatError(
            f"{name} must have one direction, not two, because the second starts at the end of the "
            "sequence: train with bidirectional=False"
        )


def _inside(module: Any) -> str:
    """Return the next step for a module that is not a recurrent layer but contains one."""
    found = [key for key, one in leaves(module) if key and recurrent_class(one)]
    linear = [key for key, one in leaves(module) if key and class_name(one) == "Linear"]
    if not found:
        return ""
    parts = ", ".join(f"{type(module).__name__}.{key}" for key in (*found, *linear))
    return f", which contains one: pass its parts ({parts}), or the whole module to qornn_hw.quantize"


def _array(tensor: Any) -> FloatArray:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)


class RecurrentLayer:
    """A ``torch.nn.RNN`` or ``RNNCell`` with the weights that its forward pass uses.

    Args:
        module: a private copy that :func:`require_recurrent` accepts.
    """

    def __init__(self, module: Any) -> None:
        import torch

        self._module = module
        self._cell = recurrent_class(module) == "RNNCell"
        self.hidden_size: int = module.hidden_size
        self.input_size: int = module.input_size
        self.nonlinearity: str = module.nonlinearity
        first = next(iter([*module.parameters(), *_attributes(module)]))
        self.dtype: Any = first.dtype if first.dtype == torch.float64 else torch.float32
        # Weights that a hook computes exist only after a run.
        self.run(np.zeros((1, 1, self.input_size)), None)
        suffix = "" if self._cell else "_l0"
        self.recurrent_weight = _array(getattr(module, f"weight_hh{suffix}"))
        self.input_weight = _array(getattr(module, f"weight_ih{suffix}"))
        biases = [getattr(module, f"bias_{part}{suffix}", None) for part in ("ih", "hh")]
        self.bias = np.sum([_array(b) for b in biases if b is not None], axis=0) * np.ones(self.hidden_size)

    def run(self, inputs: NDArray[Any], state: FloatArray | None) -> FloatArray:
        """Return the states of the module's own forward pass, (batch, steps, n).

        Args:
            inputs: real vectors (batch, steps, m).
            state: state before the first step, (n,); None for zero.
        """
        import torch

        x = torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float64)).to(self.dtype)
        h = None
        if state is not None:
            h = torch.from_numpy(np.array(state, dtype=np.float64)).to(self.dtype).expand(len(x), -1)
        with torch.no_grad():
            try:
                states = self._steps(x, h) if self._cell else self._sequence(x, h)
            # A subclass or a hook can raise exceptions of any class.
            except Exception as error:
                raise FormatError(
                    f"rnn must run on inputs (batch, steps, {self.input_size}), but raises "
                    f"{type(error).__name__}: {' '.join(str(error).split())}"
                ) from None
        return _array(states)

    def _steps(self, x: Any, h: Any) -> Any:
        import torch

        found = []
        for t in range(x.shape[1]):
            h = self._module(x[:, t], h) if h is not None else self._module(x[:, t])
            found.append(h)
        return torch.stack(found, dim=1)

    def _sequence(self, x: Any, h: Any) -> Any:
        first = bool(self._module.batch_first)
        arguments = (x if first else x.transpose(0, 1), *(() if h is None else (h[None].contiguous(),)))
        answer = self._module(*arguments)
        states = answer[0] if isinstance(answer, tuple) else answer
        return states if first else states.transpose(0, 1)


def _attributes(module: Any) -> list[Any]:
    import torch

    return [value for value in vars(module).values() if torch.is_tensor(value) and value.is_floating_point()]


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = V h + c``, and the layers that compute it.

    Attributes:
        weight: V, (p, n).
        bias: c, (p,).
        layers: the private copies, in the order of their use.
    """

    weight: FloatArray
    bias: FloatArray
    layers: tuple[Any, ...]

    def run(self, values: FloatArray, dtype: Any) -> FloatArray:
        """Return the output of the layers for values (..., n), row by row."""
        import torch

        rows = torch.from_numpy(np.ascontiguousarray(values.reshape(-1, values.shape[-1]))).to(dtype)
        with torch.no_grad():
            for layer in self.layers:
                rows = layer(rows)
        return _array(rows).reshape(*values.shape[:-1], -1)


def readout_of(name: str, parts: Named, hidden_size: int) -> Affine:
    """Return the readout as one affine map, from linear layers and layers that do nothing in evaluation.

    Args:
        name: name of the readout in messages.
        parts: names and private copies of its layers, in the order of their use.
        hidden_size: n.

    Raises:
        FormatError: a layer is not supported or takes another size, or no layer is linear.
    """
    found = _affine(name, parts, hidden_size, f"the rnn's {hidden_size} hidden units")
    if found.weight.size == 0:
        raise FormatError(f"{name} must have a torch.nn.Linear, but has none")
    return found


def front_of(name: str, parts: Named, size: int) -> Affine | FloatArray | None:
    """Return the part in front of the recurrent layer: linear layers, the table of an embedding, or nothing.

    Args:
        name: name of these layers in messages.
        parts: names and private copies of the layers, in the order of their use.
        size: number m of inputs of the recurrent layer.

    Returns:
        An affine map; for an embedding a table (symbols, size); None for no layer.

    Raises:
        FormatError: a layer cannot be folded into U.
    """
    import torch

    if not parts:
        return None
    (key, first), rest = parts[0], parts[1:]
    if not isinstance(first, torch.nn.Embedding):
        found = _affine(name, parts, None, "")
        if found.weight.size == 0:
            # Only layers that do nothing in evaluation.
            return None
        if len(found.weight) != size:
            raise FormatError(f"{name} must give its layer {size} inputs, not {len(found.weight)} features")
        return found
    with torch.no_grad():
        # From its own forward pass, which max_norm and hooks can change.
        table = _array(first(torch.arange(first.num_embeddings)))
    if rest:
        behind = _affine(name, rest, table.shape[1], f"the embedding's {table.shape[1]} features")
        table = behind.run(table, first.weight.dtype)
    if table.ndim != 2 or table.shape[1] != size:
        raise FormatError(
            f"{name}.{key} must give the rnn's {size} inputs for each symbol, not shape {table.shape[1:]}"
        )
    return table


def _affine(name: str, parts: Named, size: int | None, taken: str) -> Affine:
    """Return the affine map of layers; its weight is empty if the layers do nothing."""
    import torch

    weight: FloatArray | None = None
    bias: FloatArray | None = None
    for key, layer in parts:
        kind = class_name(layer)
        where = name if key == "" else f"{name}.{key}"
        if isinstance(layer, torch.nn.Linear) and kind != "LazyLinear":
            if size is not None and layer.in_features != size:
                raise FormatError(f"{where} must take {taken}, not {layer.in_features} features")
            dtype = next(iter(layer.parameters())).dtype
            with torch.no_grad():
                try:
                    layer(torch.zeros(1, layer.in_features, dtype=dtype))
                except Exception as error:
                    raise FormatError(
                        f"{where} must run on {layer.in_features} features, but raises "
                        f"{type(error).__name__}: {' '.join(str(error).split())}"
                    ) from None
            v = _array(layer.weight)
            c = np.zeros(len(v)) if layer.bias is None else _array(layer.bias)
            weight, bias = (v, c) if weight is None or bias is None else (v @ weight, v @ bias + c)
            size, taken = len(v), f"the {len(v)} features of the layer before it"
        elif not (isinstance(layer, (torch.nn.Identity, torch.nn.Flatten)) or kind in DROPOUTS):
            reason = _NO_READOUT.get(kind, _NOT_LINEAR)
            what = "a torch.nn.Linear" if key == "" else "a Linear, Identity, Dropout or Flatten"
            raise FormatError(f"{where} must be {what}, not {kind}: {reason}")
    if weight is None or bias is None:
        weight, bias = np.zeros((0, 0)), np.zeros(0)
    return Affine(weight, bias, tuple(layer for _, layer in parts))


def check_evaluation(name: str, parts: Named) -> None:
    """Check that no dropout is in training mode, because its answers would be random.

    Args:
        name: name of the whole module in messages.
        parts: names and layers of the module itself, not of its copy.

    Raises:
        FormatError: a dropout is in training mode.
    """
    for key, layer in parts:
        if is_module(layer) and class_name(layer) in DROPOUTS and layer.training and layer.p > 0:
            where = name if key == "" else f"{name}.{key}"
            raise FormatError(
                f"{where} must be in evaluation mode, but is a {class_name(layer)} that drops: call eval()"
            )
