"""The bus from the operand memory to the elements."""

from amaranth.hdl import signed
from amaranth.lib import data

__all__ = ["operand_bus_layout", "pair_layout"]


def pair_layout(operand_bits: int, columns: int) -> data.ArrayLayout:
    """Return the layout of sums and differences of operands x: ``ceil(columns / 2)`` pairs.

    Fields of pair i:
        sum: ``x[2i] + x[2i+1]``, or ``x[2i]`` where there is no other.
        difference: ``x[2i] - x[2i+1]``; not used where there is no other.
    """
    pair = data.StructLayout({"sum": signed(operand_bits + 1), "difference": signed(operand_bits + 1)})
    return data.ArrayLayout(pair, -(-columns // 2))


def operand_bus_layout(operand_bits: int, columns: int) -> data.StructLayout:
    """Return the layout of a word of operands on the bus, which comes from a register.

    Fields:
        operands: the operands themselves, for an engine that multiplies them.
        pairs: their sums and differences (:func:`pair_layout`), for an engine that selects among these.
    """
    return data.StructLayout(
        {
            "operands": data.ArrayLayout(signed(operand_bits), columns),
            "pairs": pair_layout(operand_bits, columns),
        }
    )
