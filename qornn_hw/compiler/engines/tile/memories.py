"""The memories of a network on the tile engine, with their contents."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.engines.tile.digits import CODE_BITS, codes
from qornn_hw.compiler.engines.tile.layout import TileLayout
from qornn_hw.compiler.engines.tile.nodes import Constant, Symbol
from qornn_hw.compiler.engines.tile.stages import Matrix, Stage, symbol_weights
from qornn_hw.compiler.engines.tile.transform import BANKS
from qornn_hw.compiler.family import SPRAM_WORD_BITS
from qornn_hw.compiler.memory import Field, Memory
from qornn_hw.compiler.ports import answer_bits, answer_words
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.ir.formats import bits_for_range
from qornn_hw.ir.ops import MatVec

__all__ = [
    "ANSWERS_HELD",
    "answers",
    "constant_memory_name",
    "layouts_of",
    "memories_of",
    "memory_name",
    "state_memory",
    "symbol_memory",
    "table_memory",
    "transform_memories",
]

# Answers that the queue has room for: one is taken while the next is computed.
ANSWERS_HELD = 2

IntArray = NDArray[np.int64]


def memories_of(p: TileLayout) -> tuple[Memory, ...]:
    """Return all memories of a core."""
    symbols = (symbol_memory(p, node) for node in p.symbols)
    return (
        *_weights(p), _operands(p), *_constants(p), *_tables_and_states(p), *transform_memories(p), *symbols
    )  # fmt: skip


def _tables_and_states(p: TileLayout) -> Iterator[Memory]:
    """Yield the memories of all tables and ports, then those of the values that a tail loads."""
    for table, count in enumerate(p.table_ports):
        yield from (table_memory(p, table, port) for port in range(count))
    yield from (state_memory(p, value) for value in sorted(p.kept.loaded))


def memory_name(kind: str, value: str) -> str:
    """Return the name of the memory of a value: ``state`` or ``symbols``, and the value's name.

    >>> memory_name("state", "layer0.h")
    'state_layer0_h'
    """
    return f"{kind}_{value.replace('.', '_')}"


def layouts_of(p: TileLayout) -> tuple[Memory, ...]:
    """Return the layouts of all memories of a core, the answers' queue among them, without contents."""
    return (
        *_weight_layouts(p),
        Memory("operands", _operand_fields(p), p.operand_words, written=True, field_enables=True),
        *(_constant_layout(p, number) for number in range(len(p.constant_memories))),
        *_tables_and_states(p),
        *transform_memories(p),
        *(_symbol_layout(p, node) for node in p.symbols),
        answers(p),
    )


def answers(p: TileLayout) -> Memory:
    """Return the layout of the queue of answer words."""
    fields = (Field("data", answer_bits(p.network)), Field("last", 1, signed=False))
    depth = 1 << (ANSWERS_HELD * answer_words(p.network)).bit_length()
    return Memory("answers", fields, depth, written=True)


def _operand_fields(p: TileLayout) -> tuple[Field, ...]:
    return tuple(Field(f"operand_{c}", p.operand_bits) for c in range(p.shape.columns))


def table_memory(p: TileLayout, table: int, port: int) -> Memory:
    """Return a memory with the contents of a table, for one of its ports."""
    entries = p.tables[table]
    field = Field("entry", bits_for_range(min(entries), max(entries)))
    return Memory.of(f"table_{table}_{port}", (field,), ([entry] for entry in entries))


def state_memory(p: TileLayout, value: str) -> Memory:
    """Return the memory of a value that a tail loads: its entries, then the initial ones of a state."""
    size, bits = p.network.sizes[value], p.ranges.bits(value)
    depth = max(2, 1 << (size - 1).bit_length())
    rows = [[0] for _ in range(depth)]
    if value in p.loaded_states:
        initial = [[int(entry)] for entry in p.network.states[value].initial]
        rows += initial + [[0] for _ in range(depth - size)]
    memory = Memory.of(memory_name("state", value), (Field("value", bits),), rows)
    return replace(memory, written=True)


def transform_memories(p: TileLayout) -> Iterator[Memory]:
    """Yield the banks of every transform, which begin with zeros."""
    for stage in p.stages:
        if (transform := stage.transform) is not None:
            for bank in range(BANKS):
                name = f"{memory_name('transform', transform.vector)}_{bank}"
                rows = [[0]] * max(2, transform.groups)
                yield replace(Memory.of(name, (Field("entry", transform.level_bits[0]),), rows), written=True)


def symbol_memory(p: TileLayout, node: Symbol) -> Memory:
    """Return the weights that an index selects: of unit u and symbol x at ``u << bits | x``."""
    row = next(op for op in p.network.operations if op.name == node.row and isinstance(op, MatVec))
    selected = symbol_weights(row)
    assert selected is not None
    weights = np.zeros((row.rows, 1 << p.network.input.format.bits), dtype=np.int64)
    weights[:, : p.network.input.size] = selected[0]
    layout = _symbol_layout(p, node)
    rows = [[weight] for weight in weights.reshape(-1).tolist()]
    return layout.holding(rows + [[0]] * (layout.depth - len(rows)))


def _symbol_layout(p: TileLayout, node: Symbol) -> Memory:
    units = 1 << (p.network.sizes[node.row] - 1).bit_length()
    depth = max(2, units << p.network.input.format.bits)
    return Memory(memory_name("symbols", node.row), (Field("weight", node.bits),), depth)


def _weights(p: TileLayout) -> tuple[Memory, ...]:
    """Return the codes in the order of issue: of each word the lowest bits in large memories."""
    words = [word for stage in p.stages for word in _stage_words(p, stage)]
    words += [0] * (p.weight_words - len(words))
    return tuple(
        replace(memory, words=tuple(word >> low & ((1 << memory.width) - 1) for word in words))
        for memory, low in zip(_weight_layouts(p), range(0, p.weight_bits, SPRAM_WORD_BITS), strict=False)
    )


def _weight_layouts(p: TileLayout) -> list[Memory]:
    """Return the large memories, then that of the bits that are left."""
    found = []
    for bank in range(p.shape.banks):
        bits = min(SPRAM_WORD_BITS, p.weight_bits - bank * SPRAM_WORD_BITS)
        fields = (Field("word", bits, signed=False),)
        found.append(Memory(f"weights_{bank}", fields, p.weight_words, store=WeightStore.SPRAM))
    if (left := p.weight_bits - p.shape.banks * SPRAM_WORD_BITS) > 0:
        found.append(Memory("weights", (Field("word", left, signed=False),), p.weight_words))
    return found


def _stage_words(p: TileLayout, stage: Stage) -> Iterator[int]:
    """Yield the words of a stage: lane 0 in the lowest bits."""
    parts = [[_packed(p, m) for m in _by_lane(p, stage, phase.matrices)] for phase in stage.phases]
    width = CODE_BITS * p.digits * p.shape.columns
    for first in range(0, p.passes(stage) * p.pass_slots, p.pass_slots):
        for phase, matrices in zip(stage.phases, parts, strict=True):
            for word in range(p.words(phase.columns)):
                packed = 0
                for at in range(p.pass_slots):
                    for position, rows in enumerate(matrices):
                        if first + at < len(rows):
                            packed |= rows[first + at][word] << width * (at * p.unit_lanes + position)
                yield packed


def _by_lane(p: TileLayout, stage: Stage, matrices: tuple[Matrix, ...]) -> list[IntArray]:
    """Return the weights of each lane of a slot, a row for each slot that has one."""
    if stage.group is not None:
        return [matrix.weights for matrix in matrices]
    (matrix,) = matrices
    return [matrix.weights[j :: p.slot_logits] for j in range(p.slot_logits)]


def _packed(p: TileLayout, weights: IntArray) -> list[list[int]]:
    """Return the codes of each row in words, column 0 and its lowest digit in the lowest bits."""
    columns = p.shape.columns
    padded = np.zeros((len(weights), p.words(weights.shape[1]) * columns), dtype=np.int64)
    padded[:, : weights.shape[1]] = weights
    found = (
        codes(padded, p.digits)
        .reshape(len(weights), p.words(weights.shape[1]), columns * p.digits)
        .astype(object)
    )
    shifts = np.array([CODE_BITS * k for k in range(columns * p.digits)], dtype=object)
    words: list[list[int]] = (found << shifts).sum(axis=2).tolist()
    return words


def _operands(p: TileLayout) -> Memory:
    """Return the operand memory: its regions with the entries that states begin with."""
    fields = _operand_fields(p)
    rows = [[0] * len(fields) for _ in range(p.operand_words)]
    for (vector, copy), base in p.bases.items():
        if copy == "initial":
            for unit, entry in enumerate(p.network.states[vector].initial.tolist()):
                word, column = divmod(unit, p.shape.columns)
                rows[base + word][column] = entry
    memory = Memory.of("operands", fields, rows)
    return replace(memory, written=True, field_enables=True)


def constant_memory_name(number: int) -> str:
    """Return the name of a memory of constants."""
    return f"constants_{number}"


def _constant_layout(p: TileLayout, number: int) -> Memory:
    words, bits = p.constant_shape(number)
    return Memory(constant_memory_name(number), (Field("word", bits, signed=False),), words)


def _constants(p: TileLayout) -> Iterator[Memory]:
    """Yield the memories of constants: for each slot of each stage a word for each phase."""
    words = [*(_stage_constants(p, number) for number in range(len(p.tails))), _logit_constants(p)]
    for number, stages in enumerate(p.constant_memories):
        layout = _constant_layout(p, number)
        found = [word for stage in stages for word in words[stage]]
        yield replace(layout, words=tuple(found + found[-1:] * (layout.depth - len(found))))


def _stage_constants(p: TileLayout, number: int) -> list[int]:
    """Return the words of a stage with a tail."""
    tail = p.tails[number]
    numbers = [[0] * p.shape.interval for _ in range(p.stages[number].slots)]
    for (name, read), place in tail.places.items():
        operand = tail.node(name).reads[read][0]
        assert isinstance(operand, Constant)
        low = (1 << place.bits) - 1 << place.low
        for slot, value in enumerate(operand.values):
            word = numbers[slot][place.phase] & ~low
            numbers[slot][place.phase] = word | (value << place.low) & low
    return [word for slot in numbers for word in slot]


def _logit_constants(p: TileLayout) -> list[int]:
    """Return what is added to the sums of each logit, in the lowest bits of its word."""
    logits, stage = p.network.readout.logits, p.stages[-1]
    added = logits.bias.copy()
    for phase in stage.phases:
        for matrix in phase.matrices:
            added += matrix.lacking << matrix.shift
    words = [0] * (stage.slots * p.shape.interval)
    for row, number in enumerate(added.tolist()):
        slot, at = divmod(row, p.slot_logits)
        words[slot * p.shape.interval + at] = number & ((1 << p.logit_bits) - 1)
    return words
