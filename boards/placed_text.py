"""Placed designs as the text that a packer reads: sections with a head that begins with a dot.

The lines of a section are the bits of a tile as they lie there, or name what they set; a family says which
(:class:`PlacedText`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from qornn_hw.errors import ToolError

__all__ = ["PlacedText", "replaced_bits", "replaced_lines", "replaced_settings", "sections"]

Replacement: TypeAlias = Callable[[list[str], Sequence[tuple[str, str]]], list[str]]
"""From the lines of a section, and pairs of lines (before, after), to the lines with what differs changed."""


@dataclass(frozen=True)
class PlacedText:
    """How the text of a family's placed designs is changed.

    Attributes:
        settings: changes the lines of a tile: :func:`replaced_bits` or :func:`replaced_lines`.
        heads: from the places of the block RAMs by cell (:func:`qornn_hw.boards.kept.block_rams_of`), and the
            text, to the first lines of the sections with their contents, by cell.
        rows: from the parameters of a block RAM to the other lines of its section.
    """

    settings: Replacement
    heads: Callable[[Mapping[str, Mapping[str, str]], str], dict[str, str]]
    rows: Callable[[Mapping[str, str]], str]


def sections(text: str) -> dict[str, str]:
    """Return the sections of a design, head to lines, but those that are not in a bitstream.

    Raises:
        ToolError: two have the same head.
    """
    found: dict[str, str] = {}
    for part in _parts(text):
        if not part.startswith((".comment", ".sym")):
            head, _, rows = part.partition("\n")
            if head in found:
                raise ToolError(f"a placed design must have one {head!r}, it has two")
            found[head] = rows.strip()
    return found


def replaced_settings(replaced: Replacement, placed: str, before: str, after: str) -> str:
    """Return a placed design with those settings changed that differ between two others.

    Args:
        replaced: changes the lines of a section: :attr:`PlacedText.settings`.
        placed: the design.
        before: a design with some of the same cells in the same places.
        after: the same as ``before``, with other parameters of cells.

    Raises:
        ToolError: there is more that differs, or the design has not the settings of ``before``.
    """
    old, new = sections(before), sections(after)
    if [(head, _shape(rows)) for head, rows in old.items()] != [(h, _shape(rows)) for h, rows in new.items()]:
        raise ToolError("two placed designs must have the same settings, with other values")
    differing = {head for head in old if old[head] != new[head]}
    if missing := differing - set(sections(placed)):
        raise ToolError(f"the placed design must have {min(missing)!r}, and has it not")
    parts = _parts(placed)
    for at, part in enumerate(parts):
        head, _, body = part.partition("\n")
        if head in differing:
            pairs = list(zip(old[head].splitlines(), new[head].splitlines(), strict=True))
            parts[at] = f"{head}\n" + "".join(replaced(body.splitlines(keepends=True), pairs))
    return "".join(parts)


def _shape(rows: str) -> list[int]:
    return [len(row) for row in rows.splitlines()]


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"^(?=\.)", text, flags=re.MULTILINE) if part]


def replaced_bits(rows: list[str], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the rows of a tile with those bits changed that differ in ``pairs``, row by row."""
    for at, (old, new) in enumerate(pairs):
        for bit, (was, becomes) in enumerate(zip(old, new, strict=True)):
            if was != becomes:
                there = rows[at].rstrip("\n")[bit : bit + 1] if at < len(rows) else ""
                if there != was:
                    raise ToolError(f"bit {bit} of row {at} of a tile must be {was}, it is {there!r}")
                rows[at] = rows[at][:bit] + becomes + rows[at][bit + 1 :]
    return rows


def replaced_lines(lines: list[str], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the lines of a tile with those changed that differ in ``pairs``."""
    for old, new in pairs:
        if old != new:
            if f"{old}\n" not in lines:
                raise ToolError(f"a tile must have the line {old!r}, and has it not")
            lines[lines.index(f"{old}\n")] = f"{new}\n"
    return lines
