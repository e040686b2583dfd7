"""The contents of the iCE40's block RAM: in a netlist, and in the text of a placed design."""

import re
from collections.abc import Mapping
from typing import Any

from qornn_hw.boards.memory_cells import BlockRam
from qornn_hw.boards.placed_text import PlacedText, replaced_bits

__all__ = ["BLOCK_RAM", "PLACED_TEXT"]


class _BlockRam(BlockRam):
    """SB_RAM40_4K."""

    def widths(self, cell: Mapping[str, Any]) -> list[int]:
        """Return the widths that a word in a cell may have: those of its ports."""
        parameters = cell["parameters"]
        return sorted({16 >> int(parameters[p], 2) for p in ("READ_MODE", "WRITE_MODE")}, reverse=True)

    def depth(self, width: int) -> int:
        """Return the words of a width that fit."""
        return self.bits // width

    def place(self, word: int, bit: int, width: int) -> tuple[str, int]:
        """Return the parameter and the bit of it that hold a bit of a word.

        Yosys addresses rows with the word's upper bits, and interleaves what shares a row.
        """
        index, row = divmod(word * width + bit, 256)
        within = row & 15
        spread = (within & 1) << 3 | (within & 2) << 1 | (within & 4) >> 1 | (within & 8) >> 3
        return self.parameters[index], row & 0xF0 | spread


BLOCK_RAM = _BlockRam(
    kind="SB_RAM40_4K",
    bits=4096,
    enable_bits=1,
    parameters=tuple(f"INIT_{i:X}" for i in range(16)),
    placed_kind="ICESTORM_RAM",
    placed_suffix="_RAM",
)


def _heads(block_rams: Mapping[str, Mapping[str, str]], placed: str) -> dict[str, str]:
    heads = {}
    for name, facts in block_rams.items():
        if (match := re.fullmatch(r"X(\d+)/Y(\d+)/ram", facts["bel"])) is not None:
            heads[name] = f".ram_data {match[1]} {match[2]}"
    return heads


def _rows(parameters: Mapping[str, str]) -> str:
    rows = (parameters[name].replace("x", "0") for name in BLOCK_RAM.parameters)
    return "\n".join(f"{int(row, 2):064x}" for row in rows)


# The rows of a tile in an .asc are its bits as they lie there.
PLACED_TEXT = PlacedText(settings=replaced_bits, heads=_heads, rows=_rows)
