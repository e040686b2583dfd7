"""A linear map in front of a recurrent layer is folded into its weights, with the same sums."""

from dataclasses import fields

import numpy as np
import pytest

from qornn_hw.cells.gru import Gru
from qornn_hw.cells.lstm import Lstm
from qornn_hw.cells.rnn import Rnn
from qornn_hw.importers.affine import AffineMap
from qornn_hw.importers.folding import with_front

RNG = np.random.default_rng(0)
CELLS = {
    "rnn": Rnn(RNG.normal(size=(4, 3)), RNG.normal(size=(4, 4)), RNG.normal(size=4)),
    "gru": Gru(RNG.normal(size=(12, 3)), RNG.normal(size=(12, 4)), RNG.normal(size=12), RNG.normal(size=12)),
    "lstm": Lstm(
        RNG.normal(size=(16, 3)), RNG.normal(size=(16, 4)), RNG.normal(size=16), RNG.normal(size=16)
    ),
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_sums_are_equal(cell):
    """W x + b behind the map equals the folded W and b; the recurrent weights are not changed."""
    front = AffineMap(RNG.normal(size=(3, 5)), RNG.normal(size=3))
    folded, x = with_front(cell, front), RNG.normal(size=5)
    (name,) = cell.input_biases
    wanted = cell.weight_ih @ (front.weight @ x + front.bias) + getattr(cell, name)
    np.testing.assert_allclose(folded.weight_ih @ x + getattr(folded, name), wanted, rtol=1e-12)
    for field in fields(cell):
        if field.name not in ("weight_ih", name):
            assert getattr(folded, field.name) is getattr(cell, field.name)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_identity(cell):
    """The identity leaves the cell as it is."""
    assert with_front(cell, AffineMap.identity(3)) is cell
