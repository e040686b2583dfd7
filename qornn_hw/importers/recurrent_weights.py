"""Cells from the weights of a recurrent layer; the gates of each program are put into one order.

| program | GRU | LSTM |
|---|---|---|
| PyTorch | r, z, n | i, f, g, o |
| ONNX | z, r, h | i, o, f, c |
| Keras 3 | z, r, h (kernels transposed) | i, f, c, o |
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.gru import Gru
from qornn_hw.cells.lstm import Lstm
from qornn_hw.cells.rnn import Rnn
from qornn_hw.errors import FormatError

__all__ = ["GATE_ORDERS", "reordered", "weights_cell"]

FloatArray = NDArray[np.float64]

# The positions of our gates (r, z, n and i, f, g, o), by program and kind of layer.
GATE_ORDERS: dict[str, dict[str, tuple[int, ...]]] = {
    "torch": {"rnn": (0,), "gru": (0, 1, 2), "lstm": (0, 1, 2, 3)},
    "onnx": {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 2, 3, 1)},
    "keras": {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 1, 2, 3)},
}


def reordered(array: FloatArray, order: Sequence[int]) -> FloatArray:
    """Split the rows of an array into equal parts, and return them in another order.

    >>> reordered(np.array([10.0, 20.0, 30.0]), (1, 0, 2)).tolist()
    [20.0, 10.0, 30.0]
    """
    parts = np.split(np.asarray(array, dtype=np.float64), len(order))
    return np.concatenate([parts[k] for k in order])


def weights_cell(
    kind: str,
    program: str,
    weights: Sequence[FloatArray],
    *,
    activation: str = "tanh",
    reset_after: bool = True,
    initial: FloatArray | None = None,
    initial_cell: FloatArray | None = None,
) -> Cell:
    """Return the cell of a recurrent layer.

    Args:
        kind: rnn, gru or lstm.
        program: a key of :data:`GATE_ORDERS`.
        weights: weight_ih (gates * n, m), weight_hh (gates * n, n), bias_ih and bias_hh (gates * n,), with
            the gates in the program's order.
        activation: for an rnn: tanh or relu.
        reset_after: for a gru: the reset gate is applied after the recurrent product.
        initial: state h before the first step, (n,).
        initial_cell: for an lstm: state c before the first step, (n,).

    Raises:
        FormatError: the kind is unknown, or shapes do not fit.
    """
    if kind not in GATE_ORDERS[program]:
        raise FormatError(f"a recurrent layer must be an rnn, gru or lstm, not {kind!r:.80}")
    order = GATE_ORDERS[program][kind]
    for name, array in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), weights, strict=True):
        if not len(array) or len(array) % len(order):
            raise FormatError(
                f"{name} of a {kind} must have {len(order)} rows for each unit, not {len(array)} rows"
            )
    w, u, b, c = (reordered(array, order) for array in weights)
    start: Any = initial if initial is not None and np.any(initial) else None
    if kind == "gru":
        return Gru(w, u, b, c, reset_after, start)
    if kind == "lstm":
        first: Any = initial_cell if initial_cell is not None and np.any(initial_cell) else None
        return Lstm(w, u, b, c, start, first)
    return Rnn(w, u, b + c, activation, start)
