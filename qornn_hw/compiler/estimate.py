"""Block RAMs of a core, from the layouts of its memories; and costs of logic that engines share."""

from collections.abc import Iterable, Mapping

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.family import Family
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.weight_store import WeightStore

__all__ = [
    "LOADER_CELLS",
    "PRODUCT_CELLS",
    "block_rams",
    "in_block_ram",
    "memory_blocks",
    "memory_shapes",
    "selection_bits",
]

# What takes an image of weights from the link and writes it into SPRAM, fitted to builds.
LOADER_CELLS = 130
# Without hard multipliers the requantizer's product is made of logic cells: so many for each bit of the value
# times each bit of the factor (174 for 15 x 12 bits, 219 for 20 x 10).
PRODUCT_CELLS = 1.03


def in_block_ram(memories: Iterable[Memory], family: Family) -> list[Memory]:
    """Return the memories that synthesis makes of block RAM."""
    return [
        memory
        for memory in memories
        if memory.store is WeightStore.BLOCK_RAM
        and not (memory.name == "answers" and family.is_logic(memory.depth, memory.width))
    ]


def memory_shapes(s: ChainSchedule, family: Family) -> dict[str, tuple[int, int]]:
    """Return ``name: (depth, width)`` of every block RAM memory of a core."""
    memories = in_block_ram(s.engine.layouts(s), family)
    return {memory.name: (memory.depth, memory.width) for memory in memories}


def memory_blocks(
    s: ChainSchedule, family: Family, varying: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return the block RAMs of every memory of :func:`memory_shapes`.

    Args:
        s: the schedule.
        family: the chip's.
        varying: of memories that are only read, the bits of a word that are not the same in all words, as far
            as they are known; without, blocks can be fewer than said here.
    """
    return block_rams(in_block_ram(s.engine.layouts(s), family), family, varying or {})


def selection_bits(depth: int, width: int, family: Family) -> int:
    """Return the bits that select among the block RAMs of a memory of many words.

    Synthesis takes the shape with the fewest block RAMs, and of these the one with the fewest selections.
    """
    least = family.block_rams(depth, width)
    shapes = ((w, -(-depth // d)) for w, d in family.ram_shapes)
    return (min(rows for w, rows in shapes if -(-width * rows // w) == least) - 1) * width


def block_rams(memories: Iterable[Memory], family: Family, varying: Mapping[str, int]) -> dict[str, int]:
    """Return the block RAMs of each memory; ``varying`` as in :func:`memory_blocks`."""
    blocks = {}
    for memory in memories:
        width = varying.get(memory.name, memory.width)
        if memory.field_enables:
            # Each field takes whole parts of a word with an enable of their own.
            parts = (-(-field.bits // family.ram_enable_bits) for field in memory.fields)
            width = family.ram_enable_bits * sum(parts)
        blocks[memory.name] = family.block_rams(memory.depth, width)
    return blocks
