"""The memories of the tile engine: layouts without contents, parts in large memories, places of numbers."""

from dataclasses import replace

import numpy as np
import pytest
from hand_networks import make_stack
from tile_designs import quantized_cells

from qornn_hw.compiler.engines.tile.digits import HIGHEST, LOWER
from qornn_hw.compiler.engines.tile.layout import Shape, layout_of
from qornn_hw.compiler.engines.tile.memories import layouts_of, memories_of
from qornn_hw.compiler.weight_store import WeightStore

GRU = quantized_cells([("gru", 10)], 5)
SHAPE = Shape(columns=4, lanes=9, interval=3, multipliers=3)
CASES = [(GRU, SHAPE)]
CASES += [(quantized_cells([("lstm", 7), ("fastgrnn", 3)], 2), replace(SHAPE, lanes=8, interval=4))]
CASES += [(make_stack(seed).network, Shape(2, 12, 4, 4)) for seed in range(4)]


@pytest.mark.parametrize("network, shape", CASES)
@pytest.mark.parametrize("banks", [0, 1, 2])
def test_layouts_are_those_of_the_memories(network, shape, banks):
    """Names, fields and words, in one order; the layouts have the answers' queue besides."""
    p = layout_of(network, replace(shape, banks=banks))
    filled, layouts = memories_of(p), layouts_of(p)
    assert layouts[-1].name == "answers" and len(layouts) == len(filled) + 1
    for memory, layout in zip(filled, layouts, strict=False):
        assert (memory.name, memory.fields, memory.depth) == (layout.name, layout.fields, layout.depth)
        assert memory.store is layout.store and memory.field_enables == layout.field_enables
        assert len(memory.words) == memory.depth


def test_large_memories_hold_the_lowest_bits():
    """Side by side their words are those of the one memory."""
    (whole,) = (m for m in memories_of(layout_of(GRU, SHAPE)) if m.name == "weights")
    parts = [m for m in memories_of(layout_of(GRU, replace(SHAPE, banks=3))) if m.name.startswith("weights")]
    assert [m.name for m in parts] == ["weights_0", "weights_1", "weights_2", "weights"]
    assert [m.store for m in parts[:3]] == [WeightStore.SPRAM] * 3
    joined = [
        sum(word << 16 * k for k, word in enumerate(words))
        for words in zip(*(m.words for m in parts), strict=True)
    ]
    assert joined == list(whole.words)


def test_a_weight_is_where_its_lane_reads_it():
    """The digits of W_hn of unit 4, which is lane 2 of slot 1 of pass 1, in the third word of the pass."""
    p = layout_of(GRU, SHAPE)
    (weights,) = (m for m in memories_of(p) if m.name == "weights")
    matrix = p.stages[0].phases[1].matrices[2]
    per_pass = p.issues(p.stages[0])
    word = weights.words[1 * per_pass + p.words(5) + 1]
    lane = word >> (1 * 3 + 2) * 16 & 0xFFFF
    for column in range(4):
        low, high = lane >> 4 * column & 3, lane >> 4 * column + 2 & 3
        assert LOWER[low] + 4 * HIGHEST[high] == matrix.weights[4, 4 + column]


def test_initial_states_are_in_both_memories_that_hold_the_state():
    """The operands' third region, and the upper half of the memory that the tail reads."""
    given = np.arange(-5, 5)
    state = replace(GRU.layers[0].states[0], initial=given)
    network = replace(GRU, layers=(replace(GRU.layers[0], states=(state,)),))
    p = layout_of(network, SHAPE)
    by_name = {memory.name: memory for memory in memories_of(p)}
    region = p.bases["layer0.h", "initial"]
    found = [by_name["operands"].value(region + u // 4, f"operand_{u % 4}") for u in range(10)]
    assert found == given.tolist()
    loaded = by_name["state_layer0_h"]
    assert [loaded.value(16 + u, "value") for u in range(10)] == given.tolist()
    assert set(loaded.words[:16]) == {0}
