"""Model files: a network with its training record, as ``.pt`` or ``.npz``.

Both formats hold the same content (docs/checkpoint.md lists every key), and neither needs torch.
:mod:`qornn_hw.files.model_files` reads and writes the bytes; this module checks and interprets the contents.
Nothing in a model file is executed. A file of version 1 holds the parameters of an Elman network; a file of
version 2 holds any network as a list of operations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman import lower
from qornn_hw.cells.elman_bounds import accumulator_bounds
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.cells.elman_recognition import recognized
from qornn_hw.errors import CheckpointError, FormatError
from qornn_hw.files.atomic_file import atomic_file
from qornn_hw.files.callable_network import CallableNetwork
from qornn_hw.files.foreign_files import describe
from qornn_hw.files.header import (
    ELMAN_VERSION,
    FORMAT,
    NETWORK_VERSION,
    header_version,
    plain_data,
    wrong_digest,
)
from qornn_hw.files.model_files import file_bytes, read_content, suffix_of
from qornn_hw.files.network_checkpoint import (
    NetworkCheckpoint,
    array_names,
    content_of_network,
    network_content,
)
from qornn_hw.files.network_entry import (
    entry_of,
    network_digest,
    network_entry,
    network_of,
    network_tensors,
    shown,
    tensor_names,
)
from qornn_hw.files.scale_consistency import check_scales
from qornn_hw.files.task_fit import check_task

__all__ = [
    "Checkpoint",
    "NetworkCheckpoint",
    "check_writable",
    "load_any",
    "load_checkpoint",
    "load_network",
    "save_any",
    "save_checkpoint",
    "save_network",
]

_FLOAT_PREFIX = "float."
_FLOATS = ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias")
_OPTIONAL_FLOATS = ("initial_state",)
FloatArray = NDArray[np.floating[Any]]
Arrays = dict[str, NDArray[Any]]
Content = tuple[dict[str, Any], Arrays]
Read = TypeVar("Read")


@dataclass(frozen=True, eq=False)
class Checkpoint(CallableNetwork):
    """An integer Elman network, the real-valued network that it was made from, and its training record.

    Attributes:
        network: the integer network, from which hardware is built.
        float_weights: the trained weights before quantization, in the units of the trained network:
            recurrent_weight (n, n), input_weight (n, m), output_weight (p, n), bias (n,), output_bias (p,)
            and, if not zero, initial_state (n,). None if they are not known.
        task: name and parameters of the task whose test set `qornn-hw eval` uses; empty for no task.
        metrics: results measured after training.
        provenance: origin of the network: command, seed, versions.

    >>> import qornn_hw
    >>> checkpoint = qornn_hw.load("models/copy.npz").checkpoint
    >>> checkpoint.network.hidden_size, checkpoint.task["name"]
    (64, 'copy')
    """

    network: IntegerNetwork
    float_weights: Mapping[str, FloatArray] | None = None
    task: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("task", "metrics", "provenance"):
            object.__setattr__(self, name, plain_data(name, getattr(self, name)))
        if self.float_weights is not None:
            object.__setattr__(self, "float_weights", _checked_floats(self.float_weights, self.network))


def _checked_floats(floats: Mapping[str, FloatArray], network: IntegerNetwork) -> dict[str, FloatArray]:
    n, m, p = network.hidden_size, network.input_size, network.output_size
    shapes: dict[str, tuple[int, ...]] = {
        "recurrent_weight": (n, n),
        "input_weight": (n, m),
        "output_weight": (p, n),
        "bias": (n,),
        "output_bias": (p,),
        "initial_state": (n,),
    }
    for name in _FLOATS:
        if name not in floats:
            raise CheckpointError(f"tensor '{_FLOAT_PREFIX}{name}' is missing; give all of float.* or none")
    checked: dict[str, FloatArray] = {}
    for name in (*_FLOATS, *_OPTIONAL_FLOATS):
        if name not in floats:
            continue
        array = np.asarray(floats[name])
        if array.dtype not in (np.float32, np.float64):
            raise CheckpointError(f"{_FLOAT_PREFIX}{name} must be float32 or float64, not {array.dtype}")
        if array.shape != shapes[name]:
            raise CheckpointError(f"{_FLOAT_PREFIX}{name} must have shape {shapes[name]}, not {array.shape}")
        if not np.all(np.isfinite(array)):
            at = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise CheckpointError(f"{_FLOAT_PREFIX}{name} must be finite, not {array[tuple(at)]} at {at}")
        array = array.copy()
        array.setflags(write=False)
        checked[name] = array
    for name in floats:
        if name not in checked:
            raise CheckpointError(f"unexpected tensor {shown(f'{_FLOAT_PREFIX}{name}')}")
    return checked


def _to_content(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the header (JSON-able) and the arrays of a checkpoint."""
    header = {
        "format": FORMAT,
        "version": ELMAN_VERSION,
        "digest": network_digest(checkpoint.network),
        "network": network_entry(checkpoint.network),
        "task": checkpoint.task,
        "metrics": checkpoint.metrics,
        "provenance": checkpoint.provenance,
    }
    tensors: dict[str, NDArray[Any]] = dict(network_tensors(checkpoint.network))
    for name, array in (checkpoint.float_weights or {}).items():
        tensors[_FLOAT_PREFIX + name] = array
    return header, tensors


def _tensor_names(header: dict[str, Any]) -> tuple[str, ...]:
    """Check format and version of a header, and return the names of the arrays that belong to it."""
    if header_version(header) == NETWORK_VERSION:
        return array_names(header)
    floats = (f"{_FLOAT_PREFIX}{name}" for name in (*_FLOATS, *_OPTIONAL_FLOATS))
    return (*tensor_names(header.get("network")), *floats)


def _from_content(header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Checkpoint:
    """Build a checkpoint from header and arrays, with all checks; the inverse of :func:`_to_content`."""
    if header["version"] == NETWORK_VERSION:
        return _of_operations(network_content(header, tensors))
    floats = {
        name.removeprefix(_FLOAT_PREFIX): a for name, a in tensors.items() if name.startswith(_FLOAT_PREFIX)
    }
    integers = {name: a for name, a in tensors.items() if not name.startswith(_FLOAT_PREFIX)}
    network = network_of(entry_of(header, "network", dict, ""), integers)
    _check_network(network)
    if "digest" in header and (error := wrong_digest(header["digest"], network_digest(network))):
        raise error
    task = entry_of(header, "task", dict, "")
    check_task(task, network)
    return Checkpoint(
        network=network,
        float_weights=floats or None,
        task=task,
        **{key: entry_of(header, key, dict, "") for key in ("metrics", "provenance")},
    )


def _of_operations(content: NetworkCheckpoint) -> Checkpoint:
    """Return the checkpoint of a file of version 2 whose operations form an Elman network."""
    network = recognized(content.network)
    if network is None:
        raise CheckpointError(
            f"must hold one Elman layer and a readout for this, not {content.network!r}; the file of other "
            "cells has no float weights: quantize the trained model again with the other bits"
        )
    _check_network(network)
    return Checkpoint(network, None, content.task, content.metrics, content.provenance)


def _check_network(network: IntegerNetwork) -> None:
    """Refuse a network whose parts are valid but contradict each other."""
    # Raises if the accumulator cannot be proved to fit its widest format.
    accumulator_bounds(network)
    check_scales(network)


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a model file, ``.pt`` or ``.npz`` by the suffix of ``path``.

    The file is written under a temporary name and renamed, so a failure leaves no partial file. Missing
    folders are created.

    Raises:
        CheckpointError: the suffix is neither; or the network cannot be stored because its accumulator needs
            more than 48 bits, its scales contradict its integers, it does not fit its task, or it exceeds
            the limits of :mod:`qornn_hw.files.model_limits`.
        OutputError: the file cannot be written.
    """

    def content() -> Content:
        _check_network(checkpoint.network)
        check_task(checkpoint.task, checkpoint.network)
        return _to_content(checkpoint)

    _write(Path(path), content)


def save_network(path: str | Path, checkpoint: NetworkCheckpoint) -> None:
    """Write a network of operations as a model file of version 2, like :func:`save_checkpoint`.

    Raises:
        CheckpointError: the suffix is neither ``.pt`` nor ``.npz``; or the network cannot be stored because
            a value can exceed its width, it does not fit its task, or it exceeds the limits of
            :mod:`qornn_hw.files.model_limits`.
        OutputError: the file cannot be written.
    """
    _write(Path(path), lambda: content_of_network(checkpoint))


def save_any(path: str | Path, checkpoint: Checkpoint | NetworkCheckpoint) -> None:
    """Write a model file of either kind, as :func:`save_checkpoint` or :func:`save_network`.

    Raises:
        CheckpointError, OutputError: as there.
    """
    if isinstance(checkpoint, NetworkCheckpoint):
        save_network(path, checkpoint)
    else:
        save_checkpoint(path, checkpoint)


def _write(path: Path, content: Callable[[], Content]) -> None:
    suffix = suffix_of(path)
    try:
        data = file_bytes(suffix, *content())
    except (CheckpointError, FormatError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    with atomic_file(path) as partial:
        with partial.open("xb") as stream:
            stream.write(data)
        partial.replace(path)


def check_writable(path: str | Path) -> None:
    """Check that :func:`save_checkpoint` can write to a path, before a long training.

    A temporary file, and missing folders, are created and removed again.

    Raises:
        CheckpointError: the suffix is neither ``.pt`` nor ``.npz``.
        OutputError: the folder is not writable.
    """
    path = Path(path)
    suffix_of(path)
    with atomic_file(path, keep_folders=False) as partial:
        partial.open("xb").close()


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read and check the model file of an Elman network, ``.pt`` or ``.npz``.

    Raises:
        CheckpointError: the file does not exist, is unreadable, incomplete or inconsistent, or holds a
            network that is not an Elman network (:func:`load_network` reads it).
    """
    return _read(Path(path), _from_content)


def load_network(path: str | Path) -> NetworkCheckpoint:
    """Read and check any model file; the network is returned as operations, for both versions.

    Raises:
        CheckpointError: the file does not exist, is unreadable, incomplete or inconsistent.
    """

    def build(header: dict[str, Any], tensors: Arrays) -> NetworkCheckpoint:
        if header["version"] == NETWORK_VERSION:
            return network_content(header, tensors)
        found = _from_content(header, tensors)
        return NetworkCheckpoint(lower(found.network), found.task, found.metrics, found.provenance)

    return _read(Path(path), build)


def load_any(path: str | Path) -> Checkpoint | NetworkCheckpoint:
    """Read any model file, and check everything in it: an Elman network as such, another as operations.

    Raises:
        CheckpointError: the file is absent, unreadable, incomplete or inconsistent.
    """

    def build(header: dict[str, Any], tensors: Arrays) -> Checkpoint | NetworkCheckpoint:
        if header["version"] != NETWORK_VERSION:
            return _from_content(header, tensors)
        content = network_content(header, tensors)
        return content if recognized(content.network) is None else _of_operations(content)

    return _read(Path(path), build)


def _read(path: Path, build: Callable[[dict[str, Any], Arrays], Read]) -> Read:
    try:
        return build(*read_content(path, _tensor_names))
    except MemoryError:
        raise CheckpointError(f"{path}: must fit into the memory of this machine, but does not") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (CheckpointError, FormatError) as error:
        message = describe(path) or str(error)
        raise CheckpointError(message if message.startswith(str(path)) else f"{path}: {message}") from None
