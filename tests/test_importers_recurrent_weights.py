"""Cells from the weights of PyTorch, ONNX and Keras: the gates are put into one order."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.importers.recurrent_weights import GATE_ORDERS, reordered, weights_cell

# The order of the gates in each program, by its documentation.
NAMES = {
    "torch": {"rnn": "h", "gru": "rzn", "lstm": "ifgo"},
    "onnx": {"rnn": "h", "gru": "zrn", "lstm": "iofg"},
    "keras": {"rnn": "h", "gru": "zrn", "lstm": "ifgo"},
}
GATE = {name: float(i) for i, name in enumerate("hrznifgo", start=1)}
CASES = [(program, kind) for program, kinds in NAMES.items() for kind in kinds]


def weights(program, kind, n=2, m=3):
    """Return weights whose numbers tell their gate: 10 times the number of the gate, plus the row."""
    rows = np.concatenate([10 * GATE[gate] + np.arange(n) for gate in NAMES[program][kind]])
    return [np.outer(rows, np.ones(m)), np.outer(rows, np.ones(n)), rows, rows + 0.5]


@pytest.mark.parametrize(("program", "kind"), CASES)
def test_gates(program, kind):
    """The rows of all weights come in the order r, z, n and i, f, g, o."""
    cell = weights_cell(kind, program, weights(program, kind))
    wanted = np.concatenate([10 * GATE[gate] + np.arange(2) for gate in NAMES["torch"][kind]])
    np.testing.assert_array_equal(cell.weight_ih, np.outer(wanted, np.ones(3)))
    np.testing.assert_array_equal(cell.weight_hh, np.outer(wanted, np.ones(2)))
    if kind == "rnn":
        np.testing.assert_array_equal(cell.bias, 2 * wanted + 0.5)
    else:
        np.testing.assert_array_equal(cell.bias_ih, wanted)
        np.testing.assert_array_equal(cell.bias_hh, wanted + 0.5)


@pytest.mark.parametrize("order", sorted({o for kinds in GATE_ORDERS.values() for o in kinds.values()}))
def test_reordered(order):
    """Equal parts of the rows are permuted; columns and the rows inside a part keep their order."""
    parts = [np.full((2, 3), float(k)) + np.arange(2)[:, None] / 10 for k in range(len(order))]
    np.testing.assert_array_equal(
        reordered(np.concatenate(parts), order), np.concatenate([parts[k] for k in order])
    )


def test_initial_states():
    """Initial states are kept; zeros are none."""
    cell = weights_cell(
        "lstm", "torch", weights("torch", "lstm"), initial=np.ones(2), initial_cell=np.zeros(2)
    )
    start, first = [getattr(cell, name) for name in list(vars(cell))[-2:]]
    assert start.tolist() == [1, 1] and first is None


@pytest.mark.parametrize(
    ("kind", "rows", "message"),
    [
        ("mgu", 4, "a recurrent layer must be an rnn, gru or lstm, not 'mgu'"),
        ("gru", 4, "weight_ih of a gru must have 3 rows for each unit, not 4 rows"),
        ("lstm", 0, "weight_ih of a lstm must have 4 rows for each unit, not 0 rows"),
    ],
)
def test_other_weights(kind, rows, message):
    """An unknown kind and a wrong number of rows are refused."""
    with pytest.raises(FormatError, match=f"^{message}$"):
        weights_cell(
            kind, "torch", [np.zeros((rows, 2)), np.zeros((rows, 1)), np.zeros(rows), np.zeros(rows)]
        )
