"""The fields of a memory's word as signals."""

from typing import Any

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from qornn_hw.compiler.memory import Memory

__all__ = ["fields_of", "word_layout"]


def word_layout(memory: Memory) -> data.StructLayout:
    """Return the layout of a memory's word: its fields by name, the first in the lowest bits."""
    return data.StructLayout(
        {field.name: signed(field.bits) if field.signed else unsigned(field.bits) for field in memory.fields}
    )


def fields_of(memory: Memory, word: Any) -> Any:
    """Return a view of ``word`` with the memory's fields as attributes."""
    return data.View(word_layout(memory), word)
