"""The read-only memory against its image."""

import random

import pytest
from component_bench import pipeline_results

from qornn_hw.compiler.memory import Memory
from qornn_hw.rtl_gen.rom import Rom


@pytest.mark.parametrize(("width", "depth"), [(1, 1), (1, 2), (7, 3), (16, 256), (130, 33)])
def test_every_word_comes_a_cycle_after_its_address(width, depth):
    """Word k is read at address k, in any order."""
    rng = random.Random(1)
    words = tuple(rng.getrandbits(width) for _ in range(depth))
    addresses = [*range(depth), *(rng.randrange(depth) for _ in range(50))]
    got = pipeline_results(
        Rom(Memory.plain("image", width, words)), [{"addr": a} for a in addresses], "data", Rom.LATENCY
    )
    assert got == [words[a] for a in addresses]
