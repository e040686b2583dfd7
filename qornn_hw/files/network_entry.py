"""The entry ``network`` of a model file's header and the integer arrays of an Elman network, both ways.

:func:`network_digest` is a checksum over both; it is the same for both file formats.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.cells.elman_network import (
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    Scales,
    WeightBits,
)
from qornn_hw.cells.pieces import Pieces
from qornn_hw.errors import CheckpointError
from qornn_hw.files.model_files import INTEGERS, smallest
from qornn_hw.ir.formats import IntFormat, Rounding

__all__ = [
    "entry_of",
    "network_digest",
    "network_entry",
    "network_of",
    "network_tensors",
    "shown",
    "tensor_names",
]

_NETWORK = (
    "activation",
    "weight_bits",
    "state_bits",
    "input_kind",
    "input_format",
    "input_shift",
    "shift",
    "rounding",
    "output_mode",
    "output_kind",
    "scales",
)
_WEIGHT_BITS = ("recurrent", "input", "output")
_INPUT_FORMAT = ("bits", "signed")
_SCALES = tuple(f.name for f in fields(Scales))

# The tensors of the function behind the requantizer, where the activation's shape has them.
_BEHIND = ("table", "pieces")

Choice = TypeVar("Choice", bound=StrEnum)


def tensor_names(entry: Any) -> tuple[str, ...]:
    """Return the names of the arrays of a network from its header entry (of any type)."""
    shape = _shape(entry)
    absent = {name for name in _BEHIND if not getattr(shape, name, False)}
    return tuple(name for name in INTEGERS if name not in absent)


def _shape(entry: Any) -> ActivationShape | None:
    """Return the shape of the activation that an entry names, None where it names none."""
    word = entry.get("activation") if isinstance(entry, dict) else None
    return Activation(word).shape if isinstance(word, str) and word in list(Activation) else None


def network_entry(network: IntegerNetwork) -> dict[str, Any]:
    """Return the header entry of a network as JSON-able data."""
    bits = network.weight_bits
    entry = {
        "activation": str(network.activation),
        "weight_bits": {name: getattr(bits, name) for name in _WEIGHT_BITS},
        "state_bits": network.state_bits,
        "input_kind": str(network.input_kind),
        "input_format": {name: getattr(network.input_format, name) for name in _INPUT_FORMAT},
        "input_shift": network.input_shift,
        "shift": network.shift,
        "rounding": str(network.rounding),
        "output_mode": str(network.output_mode),
        "output_kind": str(network.output_kind),
        "scales": _scales_entry(network.scales),
    }
    if network.pieces is not None:
        entry["pieces_shift"] = network.pieces.shift
    return entry


def network_tensors(network: IntegerNetwork) -> dict[str, NDArray[np.signedinteger[Any]]]:
    """Return the integer arrays of a network by name, each in the smallest signed dtype that holds it."""
    names = tensor_names({"activation": network.activation})
    arrays = {name: getattr(network, name) for name in names}
    if network.pieces is not None:
        arrays["pieces"] = network.pieces.rows
    return {name: smallest(array) for name, array in arrays.items()}


def network_digest(network: IntegerNetwork) -> str:
    """Return the SHA-256 of everything that determines a network's integers, in hexadecimal.

    The hash covers, in this order, :func:`network_entry` as JSON in UTF-8 with sorted keys and without
    spaces, and for each array, sorted by name: the name and ``[rows,columns]`` as JSON, and the entries as
    little-endian int64 in row-major order. A newline ends each JSON text.
    """
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        digest.update(json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n")

    add(network_entry(network))
    for name, array in sorted(network_tensors(network).items()):
        add(name)
        add(list(array.shape))
        digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()


def network_of(entry: dict[str, Any], tensors: Mapping[str, NDArray[Any]]) -> IntegerNetwork:
    """Build a network from its header entry and its arrays; the inverse of the two functions above.

    Raises:
        CheckpointError: an entry or an array is missing, unexpected, or of a wrong type.
        FormatError: a value breaks a number rule.
    """
    activation = _choice(entry, "activation", Activation)
    _only(entry, (*_NETWORK, *(("pieces_shift",) if activation.shape.pieces else ())), "network.")
    names = tensor_names(entry)
    for name in names:
        if name not in tensors:
            raise CheckpointError(f"tensor '{name}' is missing")
    for name in tensors:
        if name not in names:
            raise CheckpointError(f"unexpected tensor {shown(name)}")
    bits = _part(entry, "weight_bits", _WEIGHT_BITS)
    form = _part(entry, "input_format", _INPUT_FORMAT)
    return IntegerNetwork(
        activation=activation,
        weight_bits=WeightBits(**{k: entry_of(bits, k, int, "network.weight_bits.") for k in _WEIGHT_BITS}),
        state_bits=entry_of(entry, "state_bits", int, "network."),
        input_kind=_choice(entry, "input_kind", InputKind),
        input_format=IntFormat(
            entry_of(form, "bits", int, "network.input_format."),
            entry_of(form, "signed", bool, "network.input_format."),
        ),
        input_shift=entry_of(entry, "input_shift", int, "network."),
        shift=entry_of(entry, "shift", int, "network."),
        rounding=_choice(entry, "rounding", Rounding),
        output_mode=_choice(entry, "output_mode", OutputMode),
        output_kind=_choice(entry, "output_kind", OutputKind),
        scales=_scales_of(_part(entry, "scales", _SCALES)),
        pieces=_pieces(entry, tensors) if activation.shape.pieces else None,
        **{name: tensors[name] for name in names if name != "pieces"},
    )


def _pieces(entry: dict[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Pieces:
    return Pieces(tensors["pieces"], entry_of(entry, "pieces_shift", int, "network."))


def _only(entry: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in names:
            raise CheckpointError(f"unexpected entry {shown(f'{where}{key}')}")


def _part(entry: dict[str, Any], key: str, names: tuple[str, ...]) -> dict[str, Any]:
    part: dict[str, Any] = entry_of(entry, key, dict, "network.")
    _only(part, names, f"network.{key}.")
    return part


def _scales_entry(scales: Scales) -> dict[str, Any]:
    """Return the header entry of the scales; ``input_offset`` is left out if it is 0."""
    entry: dict[str, Any] = {
        f.name: list(value) if isinstance(value := getattr(scales, f.name), tuple) else float(value)
        for f in fields(scales)
    }
    if not np.any(scales.input_offset):
        del entry["input_offset"]
    return entry


def _scales_of(entry: dict[str, Any]) -> Scales:
    """Build the scales from their header entry; the inverse of :func:`_scales_entry`."""
    where = "network.scales."
    found: dict[str, Any] = {
        k: float(entry_of(entry, k, float, where)) for k in ("state", "accumulator", "output")
    }
    for key in ("input", "input_offset") if "input_offset" in entry else ("input",):
        value = entry.get(key)
        if isinstance(value, list):
            numbers: dict[Any, Any] = dict(enumerate(value))
            found[key] = tuple(float(entry_of(numbers, i, float, f"{where}{key}.")) for i in numbers)
        else:
            found[key] = float(entry_of(entry, key, float, where))
    return Scales(**found)


def _choice(network: dict[str, Any], key: str, choices: type[Choice]) -> Choice:
    value = entry_of(network, key, str, "network.")
    if value not in list(choices):
        raise CheckpointError(f"network.{key} must be one of {', '.join(choices)}, not {shown(value)}")
    return choices(value)


def entry_of(mapping: Any, key: str | int, kind: type, where: str) -> Any:
    """Return ``mapping[key]`` after checking its type; a bool is not an int, but an int is a float."""
    if not isinstance(mapping, dict):
        raise CheckpointError(f"{where.rstrip('.')} must be a dictionary, not {type(mapping).__name__}")
    if key not in mapping:
        raise CheckpointError(f"entry '{where}{key}' is missing")
    value = mapping[key]
    right = type(value) in (int, float) if kind is float else type(value) is kind
    if not right:
        names = {
            int: "an integer",
            float: "a number",
            str: "a string",
            bool: "true or false",
            dict: "a dictionary",
        }
        raise CheckpointError(f"{where}{key} must be {names[kind]}, not {shown(value)}")
    if type(value) is int and value.bit_length() > 63:
        raise CheckpointError(f"{where}{key} must fit into 64 bits, but needs {value.bit_length() + 1}")
    return value


def shown(value: Any) -> str:
    """Return a value for a message: short, in one line, without control characters."""
    try:
        return " ".join(repr(value).split())[:60]
    # The value is nested too deeply, or is an integer of too many digits.
    except (RecursionError, ValueError):
        return f"a value too large to show ({type(value).__name__})"
