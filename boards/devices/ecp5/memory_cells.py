"""The contents of the ECP5's block RAM: in a netlist, and in the text of a placed design."""

import re
from collections.abc import Mapping
from typing import Any

from qornn_hw.boards.memory_cells import BlockRam
from qornn_hw.boards.placed_text import PlacedText, replaced_lines, sections

__all__ = ["BLOCK_RAM", "PLACED_TEXT"]


class _BlockRam(BlockRam):
    """DP16KD: 2048 units of 9 bits, of which narrow words use 8."""

    def widths(self, cell: Mapping[str, Any]) -> list[int]:
        """Return the widths that a word in a cell may have: those of its ports."""
        parameters = cell["parameters"]
        return sorted({int(parameters[p], 2) for p in ("DATA_WIDTH_A", "DATA_WIDTH_B")}, reverse=True)

    def depth(self, width: int) -> int:
        """Return the words of a width that fit."""
        return (self.bits // 9 * 8 if width % 9 else self.bits) // width

    def place(self, word: int, bit: int, width: int) -> tuple[str, int]:
        """Return the parameter and the bit of it that hold a bit of a word of ``width`` bits."""
        at = word * width + bit
        if width % 9:  # the ninth bit of a unit is not used
            at = at // 8 * 9 + at % 8
        unit, rest = divmod(at, 18)
        index, row = divmod(unit, 16)
        return self.parameters[index], row * 20 + rest


BLOCK_RAM = _BlockRam(
    kind="DP16KD",
    bits=18432,
    enable_bits=9,
    parameters=tuple(f"INITVAL_{i:02X}" for i in range(64)),
    placed_kind="DP16KD",
    placed_suffix="",
)


def _heads(block_rams: Mapping[str, Mapping[str, str]], placed: str) -> dict[str, str]:
    # A block RAM is set in the tiles at its place, by the number of its contents, lowest bit first.
    numbers: dict[str, int] = {}
    for tile, body in sections(placed).items():
        if tile.startswith((".tile_group MIB_", ".tile MIB_")):
            places = re.findall(r"MIB_R(\d+)C(\d+)", tile)
            for ebr, bits in re.findall(r"^word: (EBR\d)\.WID ([01]+)$", body, re.MULTILINE):
                numbers |= {f"X{x}/Y{y}/{ebr}": int(bits[::-1], 2) for y, x in places}
    return {
        name: f".bram_init {numbers[facts['bel']]}"
        for name, facts in block_rams.items()
        if facts["bel"] in numbers
    }


def _rows(parameters: Mapping[str, str]) -> str:
    units = []
    for name in BLOCK_RAM.parameters:
        row = int(parameters.get(name, "0").replace("x", "0"), 2)
        units += [row >> (at * 20 + half * 9) & 0x1FF for at in range(16) for half in range(2)]
    return "\n".join(" ".join(f"{u:03x}" for u in units[at : at + 8]) for at in range(0, len(units), 8))


# The lines of a tile in a .config name what they set.
PLACED_TEXT = PlacedText(settings=replaced_lines, heads=_heads, rows=_rows)
