"""Memories that every engine has alike: operands, symbols, the activation's table, the answers' queue."""

import numpy as np

from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.memory import Field, Memory
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.site import Site
from qornn_hw.compiler.timing import Timing
from qornn_hw.compiler.widths import Widths

__all__ = [
    "answer_queue",
    "initial_state_site",
    "operand_rows",
    "operands",
    "symbol_rows",
    "symbols",
    "table",
    "table_rows",
]


def operands(p: Placement) -> Memory:
    """Return the layout of the operand memory; see :attr:`Placement.operand_half` for its words."""
    columns = range(p.chain.columns_per_element)
    fields = tuple(Field(f"operand_{c}", p.operand_bits) for c in columns)
    return Memory("operands", fields, 2 * p.operand_half, written=True, field_enables=True)


def operand_rows(p: Placement, memory: Memory) -> list[list[int]]:
    """Return the initial contents of the operand memory: the initial state in the upper half."""
    count = len(memory.fields)
    rows = [[0] * count for _ in range(memory.depth)]
    for word in range(p.input_words, p.words):
        initial = [int(g) for g in p.network.initial_state[list(p.columns(word))]]
        rows[p.operand_half + word][: len(initial)] = initial
    return rows


def initial_state_site(p: Placement) -> Site:
    """Return where a high bit of the initial state of unit 0 is."""
    return Site("operands", p.operand_half + p.input_words, "operand_0", p.network.state_bits - 2)


def symbols(network: IntegerNetwork, rows: int) -> tuple[Memory, ...]:
    """Return the layout of the memory of U of a one-hot network: row i and symbol x at ``i << bits | x``."""
    if network.vector_input:
        return ()
    # At one bit -1 and +1 are kept in two: an index past the last symbol needs the zero.
    field = Field("weight", max(2, network.weight_bits.input))
    return (Memory("symbols", (field,), rows << network.input_format.bits),)


def symbol_rows(network: IntegerNetwork, rows: int) -> list[list[int]]:
    """Return the contents of the memory of U, with rows of zeros behind those of the hidden units."""
    weights = np.zeros((rows, 1 << network.input_format.bits), dtype=np.int64)
    weights[: network.hidden_size, : network.input_size] = network.input_weight
    entries: list[list[int]] = weights.reshape(-1, 1).tolist()
    return entries


def table(network: IntegerNetwork) -> tuple[Memory, ...]:
    """Return the layout of the activation's table, if it has one."""
    if network.table is None:
        return ()
    return (Memory("table", (Field("state", network.state_bits),), len(network.table)),)


def table_rows(network: IntegerNetwork) -> list[list[int]]:
    """Return the contents of the table: the state of index i at ``i`` modulo the size of the table."""
    assert network.table is not None
    # The ascending index -2**(t-1) .. 2**(t-1)-1 in the order of its two's complement bits.
    by_address = np.roll(network.table, -(len(network.table) // 2))
    entries: list[list[int]] = by_address.reshape(-1, 1).tolist()
    return entries


def answer_queue(widths: Widths, timing: Timing) -> Memory:
    """Return the layout of the queue of answer words."""
    fields = (Field("data", widths.answer_bits), Field("last", 1, signed=False))
    return Memory("answers", fields, timing.answer_queue_depth, written=True)
