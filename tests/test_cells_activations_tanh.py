"""The table of tanh."""

import numpy as np
import pytest
from networks import make_network

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.cells.activations.tanh import FUNCTION, tanh_range, tanh_table
from qornn_hw.errors import FormatError


def test_tanh_table_is_the_rounded_function():
    """The table holds tanh at the index's centre, rises, is odd but for its ends, and saturates."""
    table = tanh_table(10, 4.0 / 512, 8)
    assert len(table) == 1024
    assert table[512] == 0 and table[0] == -128 and table[-1] == 127
    assert np.all(np.diff(table) >= 0)
    np.testing.assert_array_equal(table[513:900], -table[511:124:-1])
    assert table[512 + 64] == round(128 * np.tanh(0.5))


@pytest.mark.parametrize("bits", range(4, 17))
def test_range_holds_all_that_moves(bits):
    """Beyond the range tanh is within half a unit of 1; within half of it it is not."""
    unit, reach = 2.0 ** (1 - bits), tanh_range(bits)
    assert 1 - np.tanh(reach) <= unit / 2 < 1 - np.tanh(reach / 2)
    assert FUNCTION.index_step(bits, 10) == reach / 512


def test_table_of_another_function():
    """Each entry must be tanh of something that is rounded to its index."""
    table = tanh_table(8, 1 / 32, 8)
    FUNCTION.check_parts(make_network(activation=Activation.TANH, table=table), 1 / 32)
    smaller = np.round(127 * np.tanh(np.arange(-128, 128) / 32)).astype(np.int64)
    FUNCTION.check_parts(make_network(activation=Activation.TANH, table=smaller), 1 / 32)
    table[170] += 4
    with pytest.raises(FormatError, match=r"^table must be tanh at the spacing .* at \[170\], not "):
        FUNCTION.check_parts(make_network(activation=Activation.TANH, table=table), 1 / 32)
