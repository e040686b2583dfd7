"""Which stages share a memory of constants."""

import numpy as np
import pytest

from qornn_hw.boards.registry import find_board
from qornn_hw.compiler.engines.tile.constants import SHAPES, shared_memories
from qornn_hw.compiler.family import block_rams


@pytest.mark.parametrize(
    ("stages", "found"),
    [
        ([(10, 26)], ((0,),)),
        ([(64, 40), (10, 25)], ((0, 1),)),
        ([(512, 23), (64, 41), (10, 26)], ((0,), (1, 2))),
        ([(256, 16), (10, 3)], ((0, 1),)),
        ([(250, 16), (6, 3)], ((0, 1),)),
        ([(64, 0), (10, 20)], ((0, 1),)),
        ([(10, 20), (256, 0)], ((0,), (1,))),
    ],
)
def test_stages_are_apart_where_that_saves_block_ram(stages, found):
    """A few wide words beside many narrow ones."""
    assert shared_memories(stages) == found


def test_every_stage_has_one_memory_and_sharing_never_costs():
    """Random stages: no more block RAMs than apart."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        stages = [(int(rng.integers(1, 700)), int(rng.integers(0, 80))) for _ in range(rng.integers(1, 6))]
        groups = shared_memories(stages)
        assert sorted(k for group in groups for k in group) == list(range(len(stages)))
        shapes = [(sum(stages[k][0] for k in g), max(stages[k][1] for k in g)) for g in groups]
        apart = sum(block_rams(*stage, SHAPES) for stage in stages)
        assert sum(block_rams(*shape, SHAPES) for shape in shapes) <= apart


def test_shapes_are_those_of_a_family_with_small_block_rams():
    """As the estimate counts them."""
    assert sorted(SHAPES) == sorted(find_board("icebreaker").family.ram_shapes)
