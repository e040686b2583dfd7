"""When yosys makes a memory of RAM in logic cells, for families with RAM of 16 x 4 bits in them."""

__all__ = ["is_lut_ram"]


def is_lut_ram(depth: int, width: int, block_rams: int) -> bool:
    """Return whether yosys takes RAM of logic cells: 4 for each of 16 x 4 bits, and 128 a block RAM.

    The selection among more than two of them costs cells, too, as yosys 0.70 was seen to decide. Ref: yosys
    memory_libmap, lutrams.txt and brams.txt of the families that take this.

    Args:
        depth: words.
        width: bits of a word.
        block_rams: that the memory would take.

    >>> is_lut_ram(16, 8, 1), is_lut_ram(512, 36, 1)
    (True, False)
    """
    rams = -(-depth // 16)
    return 4 * rams * -(-width // 4) + max(0, rams - 2) * width <= 128 * block_rams
