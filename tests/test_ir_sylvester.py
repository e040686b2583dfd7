"""Sylvester's matrices and their blocks."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.ir.sylvester import block_of, blocks, sylvester


@pytest.mark.parametrize("order", range(8))
def test_rows_are_orthogonal(order):
    """``H H = 2**order I``, of -1 and +1, the first row and column of +1."""
    h = sylvester(order)
    assert h.shape == (2**order, 2**order) and set(np.unique(h)) <= {-1, 1}
    assert np.array_equal(h @ h, 2**order * np.eye(2**order))
    assert np.all(h[0] == 1) and np.all(h[:, 0] == 1)


def test_entries_are_parities():
    """Entry (i, j) is -1 to the number of bits that i and j have in common."""
    h = sylvester(4)
    assert all(h[i, j] == (-1) ** (i & j).bit_count() for i in range(16) for j in range(16))


def test_blocks_are_on_the_diagonal():
    """Outside the blocks there are zeros."""
    found = blocks(6, 2)
    assert found.tolist()[2] == [0, 0, 1, 1, 0, 0]
    assert np.array_equal(found[4:, 4:], sylvester(1)) and np.count_nonzero(found) == 12


@pytest.mark.parametrize(
    ("units", "block", "found"),
    [(2, 0, 2), (96, 0, 32), (96, 2, 2), (96, 32, 32), (512, 0, 512), (512, 128, 128)],
)
def test_a_block_divides_the_units(units, block, found):
    """0 asks for the largest one."""
    assert block_of(units, block) == found


@pytest.mark.parametrize(
    ("units", "block", "message"),
    [
        (96, 64, "block must be a power of two from 2 to 32, which divides 96 units, not 64"),
        (96, 3, "block must be a power of two from 2 to 32, which divides 96 units, not 3"),
        (96, 1, "block must be a power of two from 2 to 32, which divides 96 units, not 1"),
        (96, -2, "block must be a power of two from 2 to 32, which divides 96 units, not -2"),
        (7, 0, "the units must be even for a Hadamard matrix, not 7"),
        (7, 2, "the units must be even for a Hadamard matrix, not 7"),
        (8192, 2, "the units of a Hadamard matrix must be at most 4096, not 8192"),
        (8, 2.0, "block must be an integer, not 2.0"),
        (8, True, "block must be an integer, not True"),
        (8, None, "block must be an integer, not None"),
    ],
)
def test_other_blocks_are_refused(units, block, message):
    """The message says which blocks there are."""
    with pytest.raises(FormatError) as caught:
        block_of(units, block)
    assert str(caught.value) == message
