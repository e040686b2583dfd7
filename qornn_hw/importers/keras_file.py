"""Reader of ``.keras`` files: the settings of the layers, and their weights by the layer's name.

The file is a zip archive of ``config.json`` and ``model.weights.h5``. Nothing in it is executed: the settings
are plain JSON, and class names are compared with a list of known ones.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError, ToolError
from qornn_hw.storage.strict_json import parse_json
from qornn_hw.storage.zip_archive import Archive

__all__ = ["KerasFile", "KerasLayer", "read_keras_file"]

FILE_BYTES_MAX = 1 << 30
CONFIG_BYTES_MAX = 16 << 20
WEIGHTS_MAX = 1 << 26
_MEMBERS = {
    "config.json": CONFIG_BYTES_MAX,
    "metadata.json": CONFIG_BYTES_MAX,
    "model.weights.h5": FILE_BYTES_MAX,
}


@dataclass(frozen=True)
class KerasLayer:
    """A layer of a file.

    Attributes:
        kind: name of the class.
        name: name of the layer.
        settings: its configuration.
    """

    kind: str
    name: str
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class KerasFile:
    """The layers of a model that is a chain, in the order of the data.

    Attributes:
        layers: the layers in order, with the input layer first if the file has one.
        weights: the variables of each layer in the order of the file, by the layer's name.
    """

    layers: tuple[KerasLayer, ...]
    weights: dict[str, tuple[NDArray[np.float64], ...]]


def read_keras_file(path: Path) -> KerasFile:
    """Return the layers and weights of a ``.keras`` file.

    Raises:
        FormatError: the file is damaged, or its layers are not a chain.
        ToolError: the package ``h5py`` is not installed.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        try:
            archive = Archive(stream, FormatError)
            archive.require(lambda name: _MEMBERS.get(name, FILE_BYTES_MAX), FILE_BYTES_MAX)
            if missing := [
                name for name in ("config.json", "model.weights.h5") if name not in archive.members
            ]:
                raise FormatError(f"must hold {missing[0]}, as files of Keras 3 do, but does not")
            config = parse_json(archive.read("config.json"))
            weights = archive.read("model.weights.h5")
        except FormatError as error:
            raise FormatError(f"{path} {error}") from None
        except ValueError as error:
            raise FormatError(f"{path} must hold a model's config.json: {error}") from None
    return KerasFile(_layers(config), _variables(path, weights))


def _layers(config: Any) -> tuple[KerasLayer, ...]:
    kind, inner = _entry(config)
    found = inner.get("layers")
    if kind not in ("Sequential", "Functional") or not isinstance(found, list):
        raise FormatError(
            f"the model must be a Sequential or a functional model of layers, not {kind}: the file of a "
            "model with its own call method does not hold its computation; rebuild it as a Sequential"
        )
    if kind == "Functional":
        _check_chain(found)
    layers = []
    for entry in found:
        layer_kind, settings = _entry(entry)
        layers.append(KerasLayer(layer_kind, str(settings.get("name", "")), settings))
    return tuple(layers)


def _entry(entry: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise FormatError("the model must describe each layer by its class and its configuration")
    return str(entry.get("class_name")), entry["config"]


def _check_chain(layers: list[Any]) -> None:
    """Check that each layer of a functional model reads the layer before it, and nothing else."""
    before = ""
    for entry in layers:
        name = str(entry.get("name"))
        read: list[str] = []
        _collect(entry.get("inbound_nodes", []), read)
        if read != ([before] if before else []):
            raise FormatError(
                f"{name} must read {before or 'nothing'} alone, not {', '.join(read) or 'nothing'}"
            )
        before = name


def _collect(value: Any, found: list[str]) -> None:
    """Append the names of the layers in a description of calls."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            found.append(str(value["config"]["keras_history"][0]))
            return
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _collect(one, found)


def _variables(path: Path, data: bytes) -> dict[str, tuple[NDArray[np.float64], ...]]:
    try:
        import h5py
    except ImportError:
        raise ToolError(
            "reading Keras files must have h5py, which is not installed; pip install 'qornn-hw[keras]'"
        ) from None
    found: dict[str, tuple[NDArray[np.float64], ...]] = {}
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            for name, group in file["layers"].items():
                _collect_variables(name, group, found)
    # h5py raises exceptions of many classes for a damaged file.
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise FormatError(f"{path} must hold its weights in model.weights.h5: {text}") from None
    return found


def _collect_variables(name: str, group: Any, found: dict[str, tuple[NDArray[np.float64], ...]]) -> None:
    """Add the variables of a layer, and of the cell or layer inside it, under its own name."""
    own = group["vars"].attrs.get("name", name) if "vars" in group else name
    arrays: list[NDArray[np.float64]] = []
    for part in (group, *(group[inner] for inner in ("cell", "layer") if inner in group)):
        variables = part.get("vars", {})
        arrays += [_array(variables[str(k)]) for k in range(len(variables))]
    found[str(own)] = tuple(arrays)


def _array(dataset: Any) -> NDArray[np.float64]:
    # A compressed dataset can declare any size.
    if dataset.size > WEIGHTS_MAX:
        raise ValueError(f"a weight must have at most {WEIGHTS_MAX} entries, not {dataset.size}")
    return np.asarray(dataset, dtype=np.float64)
