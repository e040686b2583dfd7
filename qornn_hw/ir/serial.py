"""A network as plain data: an entry for JSON, and arrays by name; both ways, and a digest of both.

The entry holds everything but the arrays, whose names follow from it: ``VALUE.FIELD`` for an array of the
operation or state whose value has this name, and ``VALUE.FIELD.K`` for one of its term, factor or summand K.
An optional array that is not there has its key in the entry, with what stands in its place; one that is
there has no key. :data:`qornn_hw.ir.ops.OPERATIONS` says which operations an entry may name: data never
name anything else.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from types import UnionType
from typing import Any, ClassVar, Protocol, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.kinds import OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import OPERATIONS, Answer, MatVec, Operation
from qornn_hw.ir.ops.operation import IntArray, check_name

__all__ = ["array_names", "network_arrays", "network_digest", "network_entry", "network_of"]

Arrays = Mapping[str, NDArray[Any]]
Entry = dict[str, Any]
ITEMS_MAX = 64


class _Record(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


# -- from a network ----------------------------------------------------------------------------------


def network_entry(network: Network) -> Entry:
    """Return everything of a network but its arrays, as JSON holds it."""
    source = network.input
    return {
        "input": {
            **_encoded(source, ("scale", "offset")),
            "scale": _reals(source.scale),
            "offset": _reals(source.offset),
        },
        "layers": [
            {
                "states": [_encoded(state) for state in layer.states],
                "groups": [
                    {
                        "rows": [_operation(op) for op in group.rows],
                        "tail": [_operation(op) for op in group.tail],
                    }
                    for group in layer.groups
                ],
            }
            for layer in network.layers
        ],
        "readout": {
            "tail": [_operation(op) for op in network.readout.tail],
            "logits": _operation(network.readout.logits),
            "answer": _operation(network.readout.answer),
            "mode": str(network.readout.mode),
        },
        "scales": {name: float(scale) for name, scale in sorted(network.scales.items())},
    }


def network_arrays(network: Network) -> dict[str, IntArray]:
    """Return the arrays of a network by name."""
    found: dict[str, IntArray] = {}
    for state in network.states.values():
        found |= _arrays(state, state.name)
    for op in network.operations:
        found |= _arrays(op, op.name)
    return found


def network_digest(network: Network) -> str:
    """Return the SHA-256 of everything that decides what a network computes, in hexadecimal.

    It is that of the UTF-8 text of :func:`network_entry` as JSON with sorted keys, without spaces, and of
    each array, in the order of their names: name, ``[rows,columns]``, and the entries as int64,
    little-endian, row by row; a newline ends each text.
    """
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        digest.update(json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n")

    add(network_entry(network))
    for name, array in sorted(network_arrays(network).items()):
        add(name)
        add(list(array.shape))
        digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()


def _operation(op: Operation) -> Entry:
    return {"op": op.op, **_encoded(op)}


def _encoded(record: _Record, without: tuple[str, ...] = ()) -> Entry:
    entry: Entry = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if f.name not in without and not isinstance(value, np.ndarray):
            entry[f.name] = _plain(value)
    return entry


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encoded(part) for part in value]
    if isinstance(value, IntFormat):
        return {"bits": value.bits, "signed": value.signed}
    return str(value) if isinstance(value, StrEnum) else value


def _arrays(record: _Record, name: str, suffix: str = "") -> dict[str, IntArray]:
    found: dict[str, IntArray] = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if isinstance(value, np.ndarray):
            found[f"{name}.{f.name}{suffix}"] = value
        elif isinstance(value, tuple):
            for k, part in enumerate(value):
                found |= _arrays(part, name, f".{k}")
    return found


def _reals(value: float | tuple[float, ...]) -> float | list[float]:
    return [float(v) for v in value] if isinstance(value, tuple) else float(value)


# -- to a network ------------------------------------------------------------------------------------


def array_names(entry: Any) -> tuple[str, ...]:
    """Return the names of the arrays that go with an entry, in the order of computation.

    Raises:
        FormatError: a key is missing or unexpected, or a value of another type; the place is named.
    """
    reader = _Reader(None)
    reader.network(entry)
    return tuple(reader.names)


def network_of(entry: Any, arrays: Arrays) -> Network:
    """Return the network of an entry and its arrays.

    Raises:
        FormatError: a key or an array is missing or unexpected, a value of another type, or one that breaks
            a rule of its operation.
    """
    reader = _Reader(arrays)
    network: Network = reader.network(entry)
    for name in arrays:
        if name not in reader.names:
            raise FormatError(f"unexpected tensor {name!r:.80}")
    return network


class _Reader:
    """Reads an entry; without arrays it only notes their names and builds nothing.

    Attributes:
        names: of the arrays, as keys, in the order of reading.
    """

    def __init__(self, arrays: Arrays | None) -> None:
        self._arrays = arrays
        self.names: dict[str, None] = {}

    def network(self, entry: Any) -> Any:
        """Read the whole entry; return a network, or None without arrays."""
        parts = _keys(entry, ("input", "layers", "readout", "scales"), "network")
        source = self._input(parts["input"])
        layers = [
            self._layer(one, f"network.layers[{k}]")
            for k, one in enumerate(_list(parts["layers"], "network.layers"))
        ]
        readout = self._readout(parts["readout"])
        scales = _dictionary(parts["scales"], "network.scales")
        for name, scale in scales.items():
            _real(scale, f"network.scales.{name}")
        if self._arrays is None:
            return None
        return Network(source, tuple(layers), readout, {n: float(s) for n, s in scales.items()})

    def _input(self, entry: Any) -> Any:
        where = "network.input"
        parts = _keys(entry, tuple(f.name for f in fields(Input)), where)
        for name in ("scale", "offset"):
            value = parts[name]
            if isinstance(value, list):
                parts[name] = tuple(_real(v, f"{where}.{name}[{k}]") for k, v in enumerate(value))
            else:
                parts[name] = _real(value, f"{where}.{name}")
        hints = get_type_hints(Input)
        for name in ("name", "kind", "size", "format"):
            parts[name] = _value(hints[name], parts[name], f"{where}.{name}")
        return self._make(Input, parts)

    def _layer(self, entry: Any, where: str) -> Any:
        parts = _keys(entry, ("states", "groups"), where)
        states = [
            self._record(State, one, f"{where}.states[{k}]")
            for k, one in enumerate(_list(parts["states"], f"{where}.states"))
        ]
        groups = []
        for k, one in enumerate(_list(parts["groups"], f"{where}.groups")):
            here = f"{where}.groups[{k}]"
            group = _keys(one, ("rows", "tail"), here)
            rows = self._operations(group["rows"], f"{here}.rows", MatVec)
            tail = self._operations(group["tail"], f"{here}.tail")
            groups.append(self._make(Group, {"rows": rows, "tail": tail}))
        return self._make(Layer, {"states": tuple(states), "groups": tuple(groups)})

    def _readout(self, entry: Any) -> Any:
        where = "network.readout"
        parts = _keys(entry, ("tail", "logits", "answer", "mode"), where)
        found = {
            "tail": self._operations(parts["tail"], f"{where}.tail"),
            "logits": self._operation(parts["logits"], f"{where}.logits", MatVec),
            "answer": self._operation(parts["answer"], f"{where}.answer", Answer),
            "mode": _value(OutputMode, parts["mode"], f"{where}.mode"),
        }
        return self._make(Readout, found)

    def _operations(self, entries: Any, where: str, kind: type[Operation] | None = None) -> tuple[Any, ...]:
        found = _list(entries, where)
        return tuple(self._operation(one, f"{where}[{k}]", kind) for k, one in enumerate(found))

    def _operation(self, entry: Any, where: str, kind: type[Operation] | None = None) -> Any:
        parts = _dictionary(entry, where)
        if "op" not in parts:
            raise FormatError(f"entry '{where}.op' is missing")
        name = parts.pop("op")
        allowed = [kind.op] if kind is not None else list(OPERATIONS)
        if not isinstance(name, str) or name not in allowed:
            raise FormatError(f"{where}.op must be one of {', '.join(allowed)}, not {name!r:.60}")
        return self._record(OPERATIONS[name], parts, where)

    def _record(self, cls: type[Any], entry: Any, where: str, name: str = "", suffix: str = "") -> Any:
        """Read the entry of a dataclass whose arrays are called after ``name``, or after itself."""
        parts = _dictionary(entry, where)
        if not name:
            if "name" not in parts:
                raise FormatError(f"entry '{where}.name' is missing")
            name = parts["name"]
            check_name(f"{where}.name", name)
        found: dict[str, Any] = {}
        hints = get_type_hints(cls)
        for f in fields(cls):
            hint = hints[f.name]
            if _holds_array(hint) and f.name not in parts:
                found[f.name] = self._array(f"{name}.{f.name}{suffix}")
            elif f.name not in parts:
                raise FormatError(f"entry '{where}.{f.name}' is missing")
            elif hint == IntArray:
                raise FormatError(f"{where}.{f.name} must be a tensor, not an entry of the header")
            elif get_origin(hint) is tuple:
                items = _list(parts.pop(f.name), f"{where}.{f.name}")
                found[f.name] = tuple(
                    self._record(
                        _record_class(get_args(hint)[0], one), one, f"{where}.{f.name}[{k}]", name, f".{k}"
                    )
                    for k, one in enumerate(items)
                )
            else:
                found[f.name] = _value(hint, parts.pop(f.name), f"{where}.{f.name}")
        for key in parts:
            raise FormatError(f"unexpected entry {f'{where}.{key}'!r:.120}")
        return self._make(cls, found)

    def _array(self, name: str) -> Any:
        if name in self.names:
            raise FormatError(f"the tensor {name} must be that of one value, not of two")
        self.names[name] = None
        if self._arrays is None:
            return None
        if name not in self._arrays:
            raise FormatError(f"tensor '{name}' is missing")
        return self._arrays[name]

    def _make(self, cls: type[Any], parts: dict[str, Any]) -> Any:
        return None if self._arrays is None else cls(**parts)


def _record_class(hint: Any, entry: Any) -> Any:
    """Return the class of an entry: of several that a field allows, the one that alone has one of its keys.

    The first one is that of an entry without such a key.
    """
    usual, *others = get_args(hint) or (hint,)
    keys = set(entry) if isinstance(entry, dict) else set()
    known = {f.name for f in fields(usual)}
    return next((kind for kind in others if keys & ({f.name for f in fields(kind)} - known)), usual)


def _holds_array(hint: Any) -> bool:
    return hint == IntArray or (isinstance(hint, UnionType) and IntArray in get_args(hint))


def _dictionary(value: Any, where: str) -> Entry:
    if not isinstance(value, dict):
        raise FormatError(f"{where} must be a dictionary, not {type(value).__name__}")
    return dict(value)


def _keys(value: Any, names: tuple[str, ...], where: str) -> Entry:
    parts = _dictionary(value, where)
    for name in names:
        if name not in parts:
            raise FormatError(f"entry '{where}.{name}' is missing")
    for key in parts:
        if key not in names:
            raise FormatError(f"unexpected entry {f'{where}.{key}'!r:.120}")
    return parts


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(f"{where} must be a list, not {type(value).__name__}")
    if len(value) > ITEMS_MAX:
        raise FormatError(f"{where} must hold at most {ITEMS_MAX} items, not {len(value)}")
    return value


def _real(value: Any, where: str) -> float:
    if type(value) not in (int, float) or not abs(value) < float("inf"):
        raise FormatError(f"{where} must be a finite number, not {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise FormatError(f"{where} must be a finite number, not {_shown(value)}") from None


_NAMES = {int: "an integer", str: "a string", bool: "true or false", type(None): "null"}


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return a value that is no array, if it is of the kind that a field has."""
    if hint is IntFormat:
        parts = _keys(value, ("bits", "signed"), where)
        bits = _value(int, parts["bits"], f"{where}.bits")
        if bits < 1:
            raise FormatError(f"{where}.bits must be at least 1, not {_shown(bits)}")
        return IntFormat(bits, _value(bool, parts["signed"], f"{where}.signed"))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        if not isinstance(value, str) or value not in list(hint):
            raise FormatError(f"{where} must be one of {', '.join(hint)}, not {_shown(value)}")
        return hint(value)
    kinds = [k for k in (get_args(hint) if isinstance(hint, UnionType) else (hint,)) if k in _NAMES]
    if type(value) not in kinds:
        raise FormatError(f"{where} must be {' or '.join(_NAMES[k] for k in kinds)}, not {_shown(value)}")
    if type(value) is int and value.bit_length() > 63:
        raise FormatError(f"{where} must fit into 64 bits, but needs {value.bit_length() + 1}")
    return value


def _shown(value: Any) -> str:
    """Return a value of a file in one short line."""
    try:
        return " ".join(repr(value).split())[:60]
    except (RecursionError, ValueError):
        return f"one too large to show ({type(value).__name__})"
