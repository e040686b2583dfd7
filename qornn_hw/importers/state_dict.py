"""Networks from plain state dicts of PyTorch: arrays by name, without the module that they belong to.

PyTorch's names show the recurrent layers: ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0``
of ``RNN``, ``GRU`` and ``LSTM``, the same without ``_l0`` of their cells. The rows of ``weight_ih`` over the
columns of ``weight_hh`` show the kind. Of the other matrices, the one with a column for each unit is the
readout, and the one with a column for each input and no bias is the table of an embedding. A
:class:`Description` gives the facts that names and shapes do not show: the activation of an RNN, or which of
two matrices is the readout.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.errors import FormatError
from qornn_hw.importers.affine import AffineMap
from qornn_hw.importers.folding import with_front
from qornn_hw.importers.recurrent_weights import weights_cell
from qornn_hw.quantization.stack import RealStack

__all__ = ["Description", "read_state_dict"]

FloatArray = NDArray[np.float64]

# Prefixes that wrappers add to every name.
PREFIXES = ("module.", "_orig_mod.", "model.")
_RECURRENT = re.compile(
    r"(?P<layer>.*?)(?P<kind>weight|bias)_(?P<part>ih|hh|hr)(_l(?P<number>\d+))?(?P<back>_reverse)?"
)
_KINDS = {1: "rnn", 3: "gru", 4: "lstm"}


@dataclass(frozen=True)
class Description:
    """Facts that names and shapes do not show.

    Attributes:
        recurrent: the names of the recurrent layers in order, such as ``("encoder.gru",)``.
        readout: the name of the linear layer behind them, such as ``fc``.
        embedding: the name of the embedding in front of them.
        activation: for an RNN: tanh or relu.
        reset_after: for a GRU: True as in PyTorch.
        output_relu: whether a relu stands between the last recurrent layer and the readout.
    """

    recurrent: tuple[str, ...] | None = None
    readout: str | None = None
    embedding: str | None = None
    activation: str | None = None
    reset_after: bool = True
    output_relu: bool = False


def read_state_dict(state: Mapping[str, ArrayLike], description: Description | None = None) -> RealStack:
    """Return the float network of a state dict.

    Args:
        state: arrays or tensors by name.
        description: facts that names and shapes do not show.

    Raises:
        FormatError: no recurrent layer or readout is found, several are, or shapes do not fit.
    """
    told = description or Description()
    arrays = {_plain(name): _array(name, value) for name, value in state.items()}
    if len(arrays) < len(state):
        raise FormatError(f"names must differ without the prefixes {', '.join(PREFIXES)} of wrappers")
    layers = list(_layers(arrays, told))
    cells = [cell for _, cell in layers]
    others = {name: a for name, a in arrays.items() if _RECURRENT.fullmatch(name) is None}
    readout = _readout(others, told, cells[-1].units)
    table = _table(others, told, cells[0].inputs, readout)
    if table is not None:
        cells[0] = with_front(cells[0], AffineMap(others[f"{table}.weight"].T, np.zeros(cells[0].inputs)))
    weight = others[f"{readout}.weight"]
    bias = others.get(f"{readout}.bias", np.zeros(len(weight)))
    used = {f"{readout}.weight", f"{readout}.bias", f"{table}.weight"}
    if left := sorted(others.keys() - used):
        raise FormatError(
            "the state dict must hold recurrent layers, a readout and an embedding only, but has "
            f"{', '.join(left[:4])}{' and others' if len(left) > 4 else ''}: remove what the network does "
            "not need, and fold the rest"
        )
    return RealStack(tuple(cells), weight, bias, one_hot=table is not None, output_relu=told.output_relu)


def _plain(name: str) -> str:
    """Return a name without the prefixes of wrappers."""
    while prefix := next((p for p in PREFIXES if name.startswith(p)), ""):
        name = name.removeprefix(prefix)
    return name


def _array(name: str, value: ArrayLike) -> FloatArray:
    array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise FormatError(f"{name} must hold numbers, not {array.dtype}")
    return np.asarray(array, dtype=np.float64)


def _layers(arrays: Mapping[str, FloatArray], told: Description) -> Iterator[tuple[str, Cell]]:
    """Yield the recurrent layers in the order of the state dict, or of the description."""
    found: dict[tuple[str, int], dict[str, FloatArray]] = {}
    for name, array in arrays.items():
        if (match := _RECURRENT.fullmatch(name)) is None:
            continue
        if match["back"]:
            raise FormatError(
                f"{name} must not be there: a second direction begins at the end of the sequence"
            )
        if match["part"] == "hr":
            raise FormatError(f"{name} must not be there: projections of the state are not supported")
        place = (match["layer"].rstrip("."), int(match["number"] or 0))
        found.setdefault(place, {})[f"{match['kind']}_{match['part']}"] = array
    if not found:
        raise FormatError("the state dict must hold weight_ih_l0 and weight_hh_l0 of a recurrent layer")
    modules = list(dict.fromkeys(layer for layer, _ in found))
    order = told.recurrent if told.recurrent is not None else tuple(modules)
    if missing := [name for name in order if name not in modules]:
        raise FormatError(f"recurrent layer {missing[0]} must be one of {', '.join(modules)}")
    for module in order:
        for place in sorted(place for place in found if place[0] == module):
            yield module, _cell(f"{module}_l{place[1]}", found[place], told)


def _cell(name: str, arrays: Mapping[str, FloatArray], told: Description) -> Cell:
    if missing := [key for key in ("weight_ih", "weight_hh") if key not in arrays]:
        raise FormatError(f"{name} must have {missing[0]}, but it is missing")
    w, u = arrays["weight_ih"], arrays["weight_hh"]
    if w.ndim != 2 or u.ndim != 2 or len(w) != len(u):
        raise FormatError(f"{name} must have two matrices of equal rows, not shapes {w.shape} and {u.shape}")
    kind = _KINDS.get(len(u) // u.shape[1]) if len(u) % u.shape[1] == 0 else None
    if kind is None:
        raise FormatError(
            f"{name} must have 1, 3 or 4 rows for each of its {u.shape[1]} units, not {len(u)} rows"
        )
    if kind == "rnn" and told.activation is None:
        raise FormatError(
            f"{name} must have a described activation, tanh or relu: no name in the file tells it"
        )
    zeros = np.zeros(len(w))
    return weights_cell(
        kind,
        "torch",
        (w, u, arrays.get("bias_ih", zeros), arrays.get("bias_hh", zeros)),
        activation=told.activation or "tanh",
        reset_after=told.reset_after,
    )


def _readout(others: Mapping[str, FloatArray], told: Description, units: int) -> str:
    names = _matrices(others, units)
    if told.readout is not None:
        if told.readout not in names:
            raise FormatError(
                f"readout {told.readout} must have a weight of {units} columns; those are {_list(names)}"
            )
        return told.readout
    # An embedding of as many features as units has no bias; a readout mostly has one.
    names = [n for n in names if n != told.embedding]
    with_bias = [name for name in names if f"{name}.bias" in others]
    chosen = with_bias if len(with_bias) == 1 else names
    if len(chosen) != 1:
        raise FormatError(
            f"the state dict must have one readout, a weight of {units} columns, but has {_list(names)}; "
            "name it in a description"
        )
    return chosen[0]


def _table(others: Mapping[str, FloatArray], told: Description, inputs: int, readout: str) -> str | None:
    names = [n for n in _matrices(others, inputs) if n != readout and f"{n}.bias" not in others]
    if told.embedding is not None:
        if told.embedding not in names:
            raise FormatError(
                f"embedding {told.embedding} must have a weight of {inputs} columns; those are {_list(names)}"
            )
        return told.embedding
    if len(names) > 1:
        raise FormatError(
            f"the state dict must have one embedding at most, but has {_list(names)}; name it in a "
            "description"
        )
    return names[0] if names else None


def _matrices(others: Mapping[str, FloatArray], columns: int) -> list[str]:
    return [
        name.removesuffix(".weight")
        for name, array in others.items()
        if name.endswith(".weight") and array.ndim == 2 and array.shape[1] == columns
    ]


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"
