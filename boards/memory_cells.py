"""Which bit of which block RAM holds which bit of a memory, as yosys maps them.

Derived from yosys' `memory_libmap` and the families' maps (:mod:`qornn_hw.boards.devices`), and checked
wherever it is used: what a build holds must be what this module says it holds, bit for bit, before any of it
is replaced.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qornn_hw.errors import ToolError

__all__ = ["BlockRam", "Memory", "masked", "read_memories", "replaced_contents"]

# -- memories in RTLIL ---------------------------------------------------------------------------------

_MODULE = re.compile(r"^module \\(\S+)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
_DECLARED = re.compile(r"^  memory width (\d+) size (\d+) \\(\S+)$", re.MULTILINE)
_CELL = re.compile(r"^  cell (\$meminit_v2|\$memwr_v2) .*?^  end$", re.MULTILINE | re.DOTALL)
_CONTENTS = re.compile(r"(?<=connect \\DATA )(\d+)'([01x]+)")


@dataclass(frozen=True)
class Memory:
    """A memory of the design.

    Attributes:
        name: its path in the flattened design.
        width: bits of a word.
        words: initial contents.
        granularity: bits that share a write enable; None where nothing writes.
    """

    name: str
    width: int
    words: tuple[int, ...]
    granularity: int | None

    @property
    def columns(self) -> tuple[int, ...]:
        """The bits of a word that synthesis keeps: those of a read-only memory that differ in any word."""
        if self.granularity is not None:
            return tuple(range(self.width))
        ones, zeros = 0, 0
        for word in self.words:
            ones |= word
            zeros |= ~word
        return tuple(bit for bit in range(self.width) if ones >> bit & zeros >> bit & 1)


def read_memories(rtlil: str, top: str) -> dict[str, Memory]:
    """Return the memories of a design as Amaranth writes it, by path."""
    found = {}
    for module in _MODULE.finditer(rtlil):
        _, _, path = module[1].partition(f"{top}.")
        cells = list(_CELL.finditer(module[2]))
        for width, depth, name in _DECLARED.findall(module[2]):
            mine = [c for c in cells if f'parameter \\MEMID "\\\\{name}"' in c[0]]
            (contents,) = (_CONTENTS.search(c[0]) for c in mine if c[1] == "$meminit_v2")
            assert contents is not None
            packed = int(contents[2].replace("x", "0"), 2)
            mask = (1 << int(width)) - 1
            words = tuple(packed >> (at * int(width)) & mask for at in range(int(depth)))
            writes = [c[0] for c in mine if c[1] == "$memwr_v2"]
            memory = Memory(f"{path}.{name}", int(width), words, _granularity(writes, int(width)))
            found[memory.name] = memory
    return found


def _granularity(writes: Sequence[str], width: int) -> int | None:
    if not writes:
        return None
    (enables,) = re.findall(r"connect \\EN (.*)", writes[0])
    # Each bit of the word has its enable, a signal's bit, given alone or as a range.
    bits: list[str] = []
    for name, high, low in re.findall(r"(\\\S+) \[(\d+)(?::(\d+))?\]", enables):
        bits += [f"{name}{i}" for i in range(int(high), int(low or high) - 1, -1)]
    groups = len(set(bits)) if len(bits) == width else 1
    return width // groups


def masked(rtlil: str) -> list[str]:
    """Return the lines of a design without the contents of its memories."""
    return _CELL.sub(lambda cell: _CONTENTS.sub(r"\1'", cell[0], count=1), rtlil).splitlines()


# -- block RAMs ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlockRam(ABC):
    """How a family's block RAM is initialised, and what nextpnr calls it.

    Attributes:
        kind: of the cell.
        bits: that it holds.
        enable_bits: bits of a word that share a write enable.
        parameters: names of its parameters with contents, in order.
        placed_kind: nextpnr's name of the cell.
        placed_suffix: what nextpnr adds to the name of the instance.
    """

    kind: str
    bits: int
    enable_bits: int
    parameters: tuple[str, ...]
    placed_kind: str
    placed_suffix: str

    @abstractmethod
    def widths(self, cell: Mapping[str, Any]) -> list[int]:
        """Return the widths that a word in a cell may have: those of its ports."""

    @abstractmethod
    def depth(self, width: int) -> int:
        """Return the words of a width that fit."""

    @abstractmethod
    def place(self, word: int, bit: int, width: int) -> tuple[str, int]:
        """Return the parameter and the bit of it that hold a bit of a word of ``width`` bits."""


def replaced_contents(
    ram: BlockRam, cells: Mapping[str, Mapping[str, Any]], old: Memory, new: Memory
) -> dict[str, dict[str, str]]:
    """Return the parameters of the cells that hold ``old``, changed to hold ``new``: by cell, by name.

    Args:
        ram: of the device family.
        cells: of the netlist, by name.
        old: what they hold now.
        new: of the same shape.

    Raises:
        ToolError: they do not hold it in the way that is known here, or synthesis left out a column of which
            the new contents make use.
    """
    columns = old.columns
    for bit in set(range(old.width)) - set(columns):
        if any((o ^ n) >> bit & 1 for o, n in zip(old.words, new.words, strict=True)):
            raise ToolError(
                f"bit {bit} of memory {old.name} must be {old.words[0] >> bit & 1} in every word, as in the "
                "build, from which synthesis left it out"
            )
    pattern = re.compile(rf"{re.escape(old.name)}\.(\d+)\.(\d+)")
    mine = {
        name: (int(match[1]), int(match[2]))
        for name, cell in cells.items()
        if cell["type"] == ram.kind and (match := pattern.fullmatch(name))
    }
    changed: dict[str, dict[str, str]] = {}
    covered: set[tuple[int, int]] = set()
    for name, (row, column) in mine.items():
        parameters = cells[name]["parameters"]
        for width in ram.widths(cells[name]):
            places = list(_bits(ram, old, columns, row, column, width))
            if all(
                parameters[p][~at] == str(old.words[word] >> bit & 1) for word, bit, p, at in places
            ) and _rest_is_empty(ram, parameters, places):
                break
        else:
            raise ToolError(
                f"block RAM {name} must hold memory {old.name} in the way that is known here, and does not"
            )
        values = {p: list(parameters[p]) for p in ram.parameters if p in parameters}
        for word, bit, p, at in places:
            values[p][~at] = str(new.words[word] >> bit & 1)
            covered.add((word, bit))
        changed[name] = {p: "".join(bits) for p, bits in values.items()}
    if len(covered) != len(old.words) * len(columns):
        raise ToolError(f"memory {old.name} must be in block RAM alone, and is not")
    return changed


def _bits(
    ram: BlockRam, memory: Memory, columns: Sequence[int], row: int, column: int, width: int
) -> Iterator[tuple[int, int, str, int]]:
    """Yield word, bit, parameter and bit of it of all that one block RAM holds of a memory."""
    depth = ram.depth(width)
    group = memory.granularity or len(columns) or 1
    padded = -(-group // ram.enable_bits) * ram.enable_bits if memory.granularity else group
    for at, bit in enumerate(columns):
        position = at // group * padded + at % group
        if position // width != column:
            continue
        for word in range(row * depth, min((row + 1) * depth, len(memory.words))):
            yield word, bit, *ram.place(word - row * depth, position % width, width)


def _rest_is_empty(
    ram: BlockRam, parameters: Mapping[str, str], places: Sequence[tuple[int, int, str, int]]
) -> bool:
    """Return whether no bit but those of the memory is set."""
    held = {(p, at) for _, _, p, at in places}
    return all(
        (p, at) in held
        for p in ram.parameters
        if "1" in parameters.get(p, "")
        for at, value in enumerate(reversed(parameters[p]))
        if value == "1"
    )
