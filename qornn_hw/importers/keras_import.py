"""Networks in ``.keras`` files (Keras 3): recurrent layers in a row, with linear layers around them.

Kernels are stored transposed: ``kernel`` is (m, gates * n). The gates are in the order z, r, h and i, f, c,
o. A GRU with ``reset_after`` has two biases, without it one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.importers.imported import Imported
from qornn_hw.importers.keras_file import KerasLayer, read_keras_file
from qornn_hw.importers.recurrent_weights import weights_cell
from qornn_hw.importers.stack_builder import StackBuilder
from qornn_hw.ir.kinds import OutputMode
from qornn_hw.quantization.stack import RealStack

__all__ = ["read_keras"]

FloatArray = NDArray[np.float64]

RECURRENT = {"SimpleRNN": "rnn", "GRU": "gru", "LSTM": "lstm"}
IGNORED = ("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "InputLayer")
# Keras' names of max(x, 0) as an activation of a layer.
RECTIFIED = ("relu",)
# The settings of a ReLU that is max(x, 0).
PLAIN_RELU = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
# Activations after the last layer that do not change the order of the logits.
DROPPED = ("softmax", "log_softmax")
# Keras' epsilon of a Normalization layer.
_EPSILON = 1e-7
REASONS = {
    "Bidirectional": "the second direction begins at the end of the sequence",
    "Masking": "masked steps are not supported: cut the sequences to their lengths",
    "BatchNormalization": "fold it into the layer before it",
    "LayerNormalization": "its scale depends on the state",
    "Conv1D": "convolutions are not supported",
    "GlobalAveragePooling1D": "answer from the last step: return_sequences=False",
    "GlobalMaxPooling1D": "answer from the last step: return_sequences=False",
}


def read_keras(path: str | Path) -> Imported:
    """Return the float network of a ``.keras`` file.

    Args:
        path: the file.

    Raises:
        FormatError: the file is not a chain of recurrent and linear layers; the message has the reason.
        ToolError: the package ``h5py`` is not installed.
        OSError: the file cannot be read.
    """
    file = read_keras_file(Path(path))
    walk = _Walk(file.weights)
    for layer in file.layers:
        walk.layer(layer)
    stack = walk.stack()
    return Imported(stack, walk.mode, 0.0, tuple(walk.notes))


@dataclass
class _Walk:
    """The layers found so far, on the way from the input."""

    weights: dict[str, tuple[FloatArray, ...]]
    layers: StackBuilder = field(default_factory=StackBuilder)
    mode: OutputMode = OutputMode.EVERY_STEP
    notes: list[str] = field(default_factory=list)
    finished: bool = False

    def layer(self, layer: KerasLayer) -> None:
        """Process the next layer."""
        where = f"{layer.kind} {layer.name}"
        if layer.kind in IGNORED:
            return
        if self.finished:
            raise FormatError(f"{where} must not follow the end of the network")
        match layer.kind:
            case kind if kind in RECURRENT:
                self._recurrent(layer, where)
            case "Embedding":
                self._embedding(layer, where)
            case "Dense":
                self._dense(layer.settings, self._variables(layer.name), where)
            case "TimeDistributed":
                inner = layer.settings.get("layer", {})
                if inner.get("class_name") != "Dense":
                    raise FormatError(f"{where} must hold a Dense, not {inner.get('class_name')}")
                self._dense(inner["config"], self._variables(layer.name), where)
            case "Normalization":
                self._normalization(layer, where)
            case "Rescaling":
                self._rescaling(layer, where)
            case "ReLU" if all(layer.settings.get(key) == plain for key, plain in PLAIN_RELU.items()):
                self.layers.add_relu(where)
            case "Activation" | "Softmax":
                self._activation(str(layer.settings.get("activation", "softmax")), where)
            case _:
                reason = REASONS.get(layer.kind, "only linear layers can stand beside recurrent ones")
                raise FormatError(f"{where} is not supported: {reason}")

    def _variables(self, name: str) -> tuple[FloatArray, ...]:
        if name not in self.weights:
            raise FormatError(f"the file must hold the weights of {name}, but does not")
        return self.weights[name]

    def _rescaling(self, layer: KerasLayer, where: str) -> None:
        if self.layers.affine is None and self.layers.cells:
            self.layers.affine = self.layers.map_of(self.layers.cells[-1].units)
        if self.layers.affine is None:
            raise FormatError(f"{where} must not be the first layer: its number of inputs is not known here")
        scaled = self.layers.affine.scaled(np.asarray(layer.settings["scale"]))
        self.layers.affine = scaled.shifted(np.asarray(layer.settings["offset"]))

    def _recurrent(self, layer: KerasLayer, where: str) -> None:
        given, kind = layer.settings, RECURRENT[layer.kind]
        if self.mode is OutputMode.LAST_STEP:
            raise FormatError(f"{where} must read every step, but the layer before gives the last one only")
        _check_recurrent(given, kind, where)
        kernel, recurrent, *biases = self._variables(layer.name)
        rows = kernel.shape[1]
        bias = np.zeros((2, rows))
        if given.get("use_bias", True):
            bias = biases[0] if biases[0].ndim == 2 else np.stack([biases[0], np.zeros(rows)])
        cell = weights_cell(
            kind,
            "keras",
            (kernel.T, recurrent.T, bias[0], bias[1]),
            activation=str(given["activation"]),
            reset_after=bool(given.get("reset_after", True)),
        )
        self.layers.add(cell)
        if not given.get("return_sequences"):
            self.mode = OutputMode.LAST_STEP

    def _embedding(self, layer: KerasLayer, where: str) -> None:
        if not self.layers.is_empty:
            raise FormatError(f"{where} must be the first layer")
        if layer.settings.get("mask_zero"):
            raise FormatError(f"{where} must not mask the symbol 0: masked steps are not supported")
        self.layers.table = self._variables(layer.name)[0]

    def _dense(self, given: dict[str, Any], variables: tuple[FloatArray, ...], where: str) -> None:
        kernel = variables[0]
        found = self.layers.map_of(kernel.shape[0]).then(kernel.T)
        if given.get("use_bias", True):
            found = found.shifted(variables[1])
        self.layers.affine = found
        if (activation := given.get("activation", "linear")) != "linear":
            self._activation(str(activation), where)

    def _activation(self, activation: str, where: str) -> None:
        if activation in DROPPED and self.layers.cells:
            self.finished = True
            self.notes.append(
                f"the {activation} of {where} was left out: the network answers logits, with the same argmax"
            )
        elif activation in RECTIFIED:
            self.layers.add_relu(where)
        elif activation != "linear":
            raise FormatError(
                f"{where} is not supported: the activation {activation} beside the recurrent layers; if "
                "it is the last one, leave it out"
            )

    def _normalization(self, layer: KerasLayer, where: str) -> None:
        given = layer.settings
        axis = given.get("axis")
        if axis not in (-1, [-1], 2, [2], (2,)) or given.get("invert"):
            raise FormatError(f"{where} must have statistics for each entry, axis=-1, and not be inverted")
        mean, variance = given.get("mean"), given.get("variance")
        if mean is None or variance is None:
            mean, variance = self._variables(layer.name)[:2]
        mean, variance = np.ravel(mean).astype(np.float64), np.ravel(variance).astype(np.float64)
        found = self.layers.map_of(mean.size).shifted(-mean)
        self.layers.affine = found.scaled(1 / np.maximum(np.sqrt(variance), _EPSILON))

    def stack(self) -> RealStack:
        """Return the network of the layers found."""
        if not self.layers.cells:
            raise FormatError("the model must have a SimpleRNN, GRU or LSTM layer, but has none")
        return self.layers.stack()


def _check_recurrent(given: dict[str, Any], kind: str, where: str) -> None:
    if given.get("go_backwards"):
        raise FormatError(f"{where} must go forward, not backwards")
    if given.get("return_state"):
        raise FormatError(f"{where} must give its sequence alone, return_state=False")
    wanted = ("tanh", "relu") if kind == "rnn" else ("tanh",)
    if given.get("activation") not in wanted:
        raise FormatError(
            f"{where} must have the activation {' or '.join(wanted)}, not {given.get('activation')}"
        )
    if kind != "rnn" and given.get("recurrent_activation") != "sigmoid":
        raise FormatError(
            f"{where} must have the recurrent activation sigmoid, not {given.get('recurrent_activation')}"
        )
