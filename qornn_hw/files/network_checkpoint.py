"""Model files of version 2: any network, as the operations of :mod:`qornn_hw.ir`."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from qornn_hw.errors import CheckpointError
from qornn_hw.files.callable_network import CallableNetwork
from qornn_hw.files.header import FORMAT, NETWORK_VERSION, plain_data, wrong_digest
from qornn_hw.files.model_files import FLOAT_PREFIX, smallest
from qornn_hw.files.network_entry import entry_of
from qornn_hw.files.task_fit import check_task
from qornn_hw.ir import serial
from qornn_hw.ir.intervals import check_ranges, value_ranges
from qornn_hw.ir.network import Network

__all__ = ["NetworkCheckpoint", "array_names", "content_of_network", "network_content"]

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class NetworkCheckpoint(CallableNetwork):
    """A network of operations, and its training record.

    Attributes:
        network: the network.
        task: name and parameters of the task that measures it; empty for no task.
        metrics: results measured after training.
        provenance: origin of the network: command, seed, versions.
    """

    network: Network
    task: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("task", "metrics", "provenance"):
            object.__setattr__(self, name, plain_data(name, getattr(self, name)))


def array_names(header: dict[str, Any]) -> tuple[str, ...]:
    """Check the network entry of a header, and return the names of the arrays that belong to it.

    Raises:
        CheckpointError, FormatError: the entry is not a valid network.
    """
    names = serial.array_names(entry_of(header, "network", dict, ""))
    for name in names:
        _check_name(name)
    return names


def content_of_network(checkpoint: NetworkCheckpoint) -> tuple[dict[str, Any], Arrays]:
    """Return header and arrays of a checkpoint.

    Raises:
        CheckpointError, FormatError: a value can exceed its width, or the network does not fit its task.
    """
    network = checkpoint.network
    _check_network(network, checkpoint.task)
    arrays = serial.network_arrays(network)
    for name in arrays:
        _check_name(name)
    header = {
        "format": FORMAT,
        "version": NETWORK_VERSION,
        "digest": serial.network_digest(network),
        "network": serial.network_entry(network),
        "task": checkpoint.task,
        "metrics": checkpoint.metrics,
        "provenance": checkpoint.provenance,
    }
    return header, {name: smallest(array) for name, array in arrays.items()}


def network_content(header: dict[str, Any], arrays: Arrays) -> NetworkCheckpoint:
    """Build a checkpoint from header and arrays, with all checks; inverse of :func:`content_of_network`.

    Raises:
        CheckpointError, FormatError: something is missing, unexpected, out of range or inconsistent.
    """
    network = serial.network_of(entry_of(header, "network", dict, ""), arrays)
    if "digest" in header and (error := wrong_digest(header["digest"], serial.network_digest(network))):
        raise error
    task, metrics, provenance = (entry_of(header, key, dict, "") for key in ("task", "metrics", "provenance"))
    _check_network(network, task)
    return NetworkCheckpoint(network, task, metrics, provenance)


def _check_network(network: Network, task: dict[str, Any]) -> None:
    # Raises if a width cannot be proved from the network.
    check_ranges(network, value_ranges(network))
    check_task(task, network)


def _check_name(name: str) -> None:
    if name.startswith(FLOAT_PREFIX):
        raise CheckpointError(
            f"the name of a value must not begin with {FLOAT_PREFIX!r}, the prefix of real weights, as "
            f"{name!r} does"
        )
