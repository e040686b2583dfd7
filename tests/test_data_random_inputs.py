"""Random inputs: within the format, with every end, the same for the same seed."""

import numpy as np
import pytest

from qornn_hw.data.random_inputs import random_inputs
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interpreter import check_inputs
from qornn_hw.ir.kinds import InputKind
from qornn_hw.ir.network import Input

SOURCES = {
    "symbols": Input("x", InputKind.ONE_HOT, 5, Input.index_format(5)),
    "signed": Input("x", InputKind.VECTOR, 2, IntFormat(3, signed=True)),
    "unsigned": Input("x", InputKind.VECTOR, 1, IntFormat(2, signed=False)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_value_comes(name):
    """All that the format holds, and nothing else."""
    source = SOURCES[name]
    x = random_inputs(source, batch=20, steps=30, seed=1)
    assert np.array_equal(check_inputs(source, x), x) and x.shape[:2] == (20, 30)
    high = source.size - 1 if source.one_hot else source.format.max
    assert np.unique(x).tolist() == list(range(source.format.min, high + 1))
    assert np.array_equal(x, random_inputs(source, batch=20, steps=30, seed=1))
    assert not np.array_equal(x, random_inputs(source, batch=20, steps=30, seed=2))
