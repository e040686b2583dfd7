"""The text of a placed design of the GateMate."""

from collections.abc import Mapping

from qornn_hw.boards.placed_text import PlacedText, replaced_lines
from qornn_hw.errors import ToolError

__all__ = ["PLACED_TEXT"]


def _heads(block_rams: Mapping[str, Mapping[str, str]], placed: str) -> dict[str, str]:
    raise ToolError("the block RAM of the GateMate must be built anew for other contents")


def _rows(parameters: Mapping[str, str]) -> str:
    raise ToolError("the block RAM of the GateMate must be built anew for other contents")


# The lines of a section name what they set.
PLACED_TEXT = PlacedText(settings=replaced_lines, heads=_heads, rows=_rows)
