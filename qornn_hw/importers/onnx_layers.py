"""Conversion of recurrent ONNX nodes to cells.

The gates are in the order z, r, h and i, o, f, c. ``B`` holds the biases of W, then those of R. Directions
are a leading axis, here of size 1 (https://onnx.ai/onnx/operators).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.errors import FormatError
from qornn_hw.importers.recurrent_weights import weights_cell

__all__ = ["RECURRENT", "attributes", "recurrent_cell", "require_plain"]

FloatArray = NDArray[np.float64]

RECURRENT = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm"}
_ACTIVATIONS = {"rnn": ("tanh",), "gru": ("sigmoid", "tanh"), "lstm": ("sigmoid", "tanh", "tanh")}
# Inputs of the nodes by position.
_STEPS, _INITIAL, _INITIAL_CELL, _PEEPHOLES = 4, 5, 6, 7


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node by name; byte strings become str."""
    import onnx

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

    return {one.name: plain(onnx.helper.get_attribute_value(one)) for one in node.attribute}


def require_plain(model: Any) -> None:
    """Check that recurrent nodes have no options that change their computation.

    Raises:
        FormatError: a node goes backwards, clips, or has peepholes or other activations.
    """
    for node in model.graph.node:
        if node.op_type in RECURRENT:
            _check(node, f"{node.op_type} {node.name or node.output[0]}")
        if node.op_type in ("Scan", "Loop"):
            raise FormatError(
                f"{node.op_type} {node.name} must be an RNN, GRU or LSTM node: a loop of other nodes is not "
                "recognized"
            )
    if not any(node.op_type in RECURRENT for node in model.graph.node):
        raise FormatError(
            "the model must have an RNN, GRU or LSTM node, but has none; if an exporter has unrolled the "
            "layer, export it again with torch.onnx.export(..., dynamo=False)"
        )


def _check(node: Any, where: str) -> None:
    given, kind = attributes(node), RECURRENT[node.op_type]
    direction = given.get("direction", "forward")
    if direction != "forward":
        raise FormatError(
            f"{where} must go forward, not {direction}: the other direction begins at the end of the sequence"
        )
    if given.get("clip"):
        raise FormatError(f"{where} must not clip its sums, but clips at {given['clip']:g}")
    if given.get("input_forget"):
        raise FormatError(f"{where} must have a forget gate of its own, but couples it with the input gate")
    if given.get("activation_alpha") or given.get("activation_beta"):
        raise FormatError(f"{where} must have activations without parameters")
    found = tuple(name.lower() for name in given.get("activations", ())) or _ACTIVATIONS[kind]
    if found != _ACTIVATIONS[kind] and not (kind == "rnn" and found == ("relu",)):
        raise FormatError(
            f"{where} must have the activations {', '.join(_ACTIVATIONS[kind])}, not {', '.join(found)}"
        )
    if len(node.input) > _PEEPHOLES and node.input[_PEEPHOLES]:
        raise FormatError(f"{where} must have no peepholes, but has them")


def recurrent_cell(node: Any, where: str, values: Mapping[str, NDArray[Any]]) -> Cell:
    """Return the cell of a node.

    Args:
        node: an RNN, GRU or LSTM node.
        where: its name in messages.
        values: all values of a run of the model, by name.

    Raises:
        FormatError: shapes do not fit, lengths of sequences are given, or sequences start differently.
    """
    kind, given = RECURRENT[node.op_type], attributes(node)

    def operand(position: int) -> NDArray[Any] | None:
        name = node.input[position] if position < len(node.input) else ""
        return values[name] if name else None

    w, r, b = (operand(position) for position in (1, 2, 3))
    if w is None or r is None or w.ndim != 3 or r.ndim != 3 or len(w) != 1:
        raise FormatError(f"{where} must have W and R of one direction, (1, rows, columns)")
    steps = 1 if given.get("layout") else 0
    if (lengths := operand(_STEPS)) is not None and np.any(lengths != values[node.input[0]].shape[steps]):
        raise FormatError(f"{where} must run over all steps, but is given lengths of sequences")
    rows = w.shape[1]
    biases = np.zeros(2 * rows) if b is None else np.asarray(b[0], dtype=np.float64)
    weight = np.asarray(w[0], dtype=np.float64)
    activation = (given.get("activations") or ["tanh"])[0].lower()
    return weights_cell(
        kind,
        "onnx",
        (weight, np.asarray(r[0], dtype=np.float64), biases[:rows], biases[rows:]),
        activation=activation if kind == "rnn" else "tanh",
        reset_after=bool(given.get("linear_before_reset", 0)),
        initial=_initial(where, operand(_INITIAL)),
        initial_cell=_initial(where, operand(_INITIAL_CELL)) if kind == "lstm" else None,
    )


def _initial(where: str, state: NDArray[Any] | None) -> FloatArray | None:
    """Return the initial state of all sequences, (n,)."""
    if state is None:
        return None
    rows = np.asarray(state, dtype=np.float64).reshape(-1, state.shape[-1])
    if np.any(rows != rows[0]):
        raise FormatError(f"{where} must start every sequence with the same state")
    return np.asarray(rows[0])
