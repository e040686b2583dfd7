"""The constants of the tails and of the logits: which stages share a memory, and its words."""

from collections.abc import Sequence
from itertools import combinations

from qornn_hw.compiler.family import block_rams

__all__ = ["SHAPES", "shared_memories"]

# Bits and words of a block RAM in its shapes, where it is small. Larger ones are seldom full.
SHAPES = ((16, 256), (8, 512), (4, 1024), (2, 2048))


def shared_memories(stages: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Return which stages have their constants in the same memory, in ascending order.

    A memory has the words of its stages, and the bits of the widest one. So a stage of few wide words is
    apart from one of many narrow words where that saves block RAM.

    Args:
        stages: the words and the bits of each.

    >>> shared_memories([(512, 23), (64, 41), (10, 26)]), shared_memories([(64, 40), (10, 25)])
    (((0,), (1, 2)), ((0, 1),))
    """

    def cost(group: tuple[int, ...]) -> int:
        words, bits = sum(stages[k][0] for k in group), max(stages[k][1] for k in group)
        return block_rams(words, bits, SHAPES)

    groups: list[tuple[int, ...]] = [(number,) for number in range(len(stages))]
    while len(groups) > 1:
        saved, one, other = max(
            (cost(a) + cost(b) - cost(tuple(sorted(a + b))), a, b) for a, b in combinations(groups, 2)
        )
        if saved < 0:
            break
        groups = [group for group in groups if group not in (one, other)] + [tuple(sorted(one + other))]
    return tuple(sorted(groups))
