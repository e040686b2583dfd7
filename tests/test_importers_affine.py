"""Linear maps: composition is that of matrices, and what does not fit is refused."""

import numpy as np
import pytest
from real_cells import CELLS, real_cell

from qornn_hw.cells.real_model import run_cell
from qornn_hw.errors import FormatError
from qornn_hw.importers.affine import AffineMap
from qornn_hw.importers.folding import with_front


def test_a_chain_of_maps():
    """`(A x + a) * s + t`, then B."""
    rng = np.random.default_rng(0)
    a, b, shift, scale = (
        rng.normal(size=(4, 3)),
        rng.normal(size=(2, 4)),
        rng.normal(size=4),
        rng.normal(size=4),
    )
    found = AffineMap.identity(3).then(a).shifted(shift).scaled(scale).then(b)
    x = rng.normal(size=3)
    assert np.allclose(found.weight @ x + found.bias, b @ ((a @ x + shift) * scale))
    assert AffineMap.identity(3).is_identity
    assert not found.is_identity


@pytest.mark.parametrize("name", CELLS)
def test_a_map_in_front_of_a_cell(name):
    """The cell of the folded weights computes what cell and map compute."""
    rng = np.random.default_rng(1)
    cell = real_cell(name, 4, 3, rng)
    front = AffineMap(rng.normal(size=(3, 6)), rng.normal(size=3))
    x = rng.normal(size=(2, 5, 6))
    folded = run_cell(with_front(cell, front).graph, x)[1]["h"]
    assert np.allclose(folded, run_cell(cell.graph, x @ front.weight.T + front.bias)[1]["h"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: m.then(np.ones((2, 4))), r"^a matrix must have 3 columns, not shape \(2, 4\)$"),
        (lambda m: m.shifted(np.ones(2)), r"^a constant must be one number or 3 of them, not 2$"),
    ],
)
def test_what_is_refused(make, message):
    """Sizes must fit."""
    with pytest.raises(FormatError, match=message):
        make(AffineMap.identity(3))
