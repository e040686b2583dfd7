"""The builder of a stack folds what stands in front of a cell into its weights."""

import numpy as np
from real_cells import real_cell

from qornn_hw.importers.affine import AffineMap
from qornn_hw.importers.stack_builder import StackBuilder

RNG = np.random.default_rng(0)


def test_linear_layers_between_cells():
    """Maps in front of two cells and behind them: the stack computes their composition."""
    maps = [AffineMap(RNG.normal(size=s), RNG.normal(size=s[0])) for s in ((3, 5), (4, 6), (2, 3))]
    cells = [real_cell("gru", 6, 3, RNG), real_cell("lstm", 3, 4, RNG)]
    builder = StackBuilder()
    assert builder.is_empty
    for affine, cell in zip(maps, cells, strict=False):
        builder.affine = affine
        builder.add(cell)
        assert builder.affine is None
    builder.affine = maps[2]
    plain = StackBuilder()
    x = RNG.normal(size=(2, 7, 5))
    y = x @ maps[0].weight.T + maps[0].bias
    plain.add(cells[0])
    y = plain.stack().run(y) @ maps[1].weight.T + maps[1].bias
    plain = StackBuilder()
    plain.add(cells[1])
    y = plain.stack().run(y) @ maps[2].weight.T + maps[2].bias
    assert np.allclose(builder.stack().run(x), y)


def test_an_embedding():
    """A table in front of a linear layer and a cell makes a one-hot network."""
    table, affine = RNG.normal(size=(9, 5)), AffineMap(RNG.normal(size=(3, 5)), RNG.normal(size=3))
    cell = real_cell("gru", 6, 3, RNG)
    builder, plain = StackBuilder(table=table, affine=affine), StackBuilder()
    builder.add(cell)
    plain.add(cell)
    index = RNG.integers(0, 9, (2, 7))
    assert builder.stack().one_hot
    assert np.allclose(
        builder.stack().run(index), plain.stack().run(table[index] @ affine.weight.T + affine.bias)
    )
