"""Memories of the lut engine: their layouts, their contents, and where each number of a network is."""

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.memory import Field, Memory
from qornn_hw.compiler.network_memories import (
    answer_queue,
    initial_state_site,
    operand_rows,
    operands,
    symbol_rows,
    symbols,
    table,
    table_rows,
)
from qornn_hw.compiler.site import Site
from qornn_hw.compiler.weight_store import WeightStore

__all__ = ["contents", "layouts", "sites"]

IntArray = NDArray[np.int64]


def _weights(s: ChainSchedule, element: int) -> Memory:
    p = s.placement
    bits = p.weight_bits[element]
    # One bit is the sign of -1 and +1: 0 stands for +1.
    fields = tuple(Field(f"weight_{c}", bits, signed=bits > 1) for c in range(p.element_columns[element]))
    store = WeightStore.SPRAM if p.loads(element) else WeightStore.BLOCK_RAM
    return Memory(f"weights_{element}", fields, p.weight_depth, store=store)


def _constants(s: ChainSchedule) -> Memory:
    """Return the layout of the memory with a word of constants for each row."""
    w = s.widths
    fields = [Field("constant", w.constant_bits)]
    if s.network.activation.shape.unit_bias:
        fields.append(Field("bias", w.bias_bits))
    if not w.shares_multiplier:
        fields.append(Field("multiplier", w.multiplier_bits, signed=False))
    if s.chain.input_lanes:
        fields.append(Field("input_weight", s.placement.input_weight_bits))
    return Memory("constants", tuple(fields), s.placement.rows)


def _readout(s: ChainSchedule) -> tuple[Memory, ...]:
    p, n = s.placement, s.network.hidden_size
    if not s.chain.readout_lanes:
        return ()
    weights = tuple(Field(f"weight_{lane}", p.readout_weight_bits) for lane in range(s.chain.readout_lanes))
    return (
        Memory("readout", weights, p.readout_sweeps * n),
        Memory("units", (Field("state", s.network.state_bits),), 1 << n.bit_length(), written=True),
    )


def layouts(s: ChainSchedule, *, proved: bool = True) -> tuple[Memory, ...]:
    """Return every memory of the core without contents.

    Args:
        s: the schedule.
        proved: whether to include those whose widths are proved from the weights, which takes longer.
    """
    p = s.placement
    memories = [*(_weights(s, e) for e in range(s.chain.elements)), operands(p)]
    memories += [*symbols(s.network, s.network.hidden_size), *table(s.network), *_readout(s)]
    if not proved:
        return tuple(memories)
    memories.append(_constants(s))
    if p.passes > 1:
        sums = (Field("sum", s.widths.waiting_sum_bits),)
        memories.append(Memory("waiting_sums", sums, p.rows, written=True))
    if not s.chain.answer_registers:
        memories.append(answer_queue(s.widths, s.timing))
    return tuple(memories)


def contents(s: ChainSchedule) -> tuple[Memory, ...]:
    """Return every memory that starts with contents, filled."""
    p, net = LutPlacement.of(s), s.network
    filled = []
    for memory in layouts(s):
        match memory.name.partition("_")[0]:
            case "weights":
                memory = _with_weights(p, memory, int(memory.name.partition("_")[2]))
            case "constants":
                memory = memory.holding(_constant_rows(s, memory))
            case "operands":
                memory = memory.holding(operand_rows(p, memory))
            case "symbols":
                memory = memory.holding(symbol_rows(net, net.hidden_size))
            case "table":
                memory = memory.holding(table_rows(net))
            case "readout":
                memory = memory.holding(_readout_rows(s))
            case _:
                continue
        loaded = memory.store is WeightStore.SPRAM
        # Synthesis knows nothing of the contents that are loaded or written later.
        kept = memory.with_all_columns() if s.room and not loaded and not memory.written else memory
        filled.append(kept)
    return tuple(filled)


def _with_weights(p: LutPlacement, memory: Memory, element: int) -> Memory:
    bits, columns = p.weight_bits[element], p.element_columns[element]
    weights = p.by_element(p.word_weights)[:, :, element, :columns]
    codes = (weights < 0).astype(np.int64) if bits == 1 else weights
    # Pass after pass, and in each row after row.
    return memory.holding(codes.transpose(1, 0, 2).reshape(-1, columns).tolist())


def _constant_rows(s: ChainSchedule, memory: Memory) -> list[list[int]]:
    net, p = s.network, LutPlacement.of(s)
    bits = memory.field("constant").bits
    # Modulo a power of two, as the sum behind the chain.
    half, whole = 1 << (bits - 1), 1 << bits
    columns = {
        "constant": [(int(c) + half) % whole - half for c in p.row_constants],
        "bias": net.bias.tolist(),
        "multiplier": net.multiplier.tolist(),
        "input_weight": net.input_weight[:, 0].tolist(),
    }
    padding = [0] * (p.rows - net.hidden_size)
    padded = [columns[f.name] if f.name == "constant" else columns[f.name] + padding for f in memory.fields]
    return [list(row) for row in zip(*padded, strict=True)]


def _readout_rows(s: ChainSchedule) -> list[list[int]]:
    n, lanes, sweeps = s.network.hidden_size, s.chain.readout_lanes, s.placement.readout_sweeps
    weights = np.zeros((sweeps * lanes, n), dtype=np.int64)
    weights[: s.network.output_size] = s.network.output_weight
    rows: list[list[int]] = weights.reshape(sweeps, lanes, n).transpose(0, 2, 1).reshape(-1, lanes).tolist()
    return rows


def sites(s: ChainSchedule) -> dict[str, Site]:
    """Return where numbers of row 0 are, by what they are; see :class:`~qornn_hw.compiler.site.Site`."""
    p, net, n = LutPlacement.of(s), s.network, s.network.hidden_size
    constant_bits = s.widths.constant_bits

    def weight(word: int, row: int) -> Site:
        element, address = p.weight_address(word, row)
        return Site(f"weights_{element}", address, "weight_0", p.weight_bits[element] - 1)

    found = {"recurrent_weight": weight(p.input_words, 0)}
    if s.chain.readout_lanes:
        found["output_weight"] = Site("readout", 0, "weight_0", p.readout_weight_bits - 1)
    else:
        found["output_weight"] = weight(p.input_words, n)
        # The constant is at the chain's scale: its lowest bit that counts is that of the scale.
        found["output_bias"] = Site("constants", n, "constant", p.scale - 1)
    if s.chain.input_lanes:
        found["input_weight"] = Site("constants", 0, "input_weight", p.input_weight_bits - 1)
    elif net.vector_input:
        found["input_weight"] = weight(0, 0)
    if net.activation.shape.unit_bias:
        found["row_constant"] = Site("constants", 0, "constant", constant_bits - 2)
        found["bias"] = Site("constants", 0, "bias", max(0, s.widths.bias_bits - 2))
    else:
        found["bias"] = Site("constants", 0, "constant", constant_bits - 2)
    if not s.widths.shares_multiplier:
        found["multiplier"] = Site("constants", 0, "multiplier", s.widths.multiplier_bits - 1)
    found["initial_state"] = initial_state_site(p)
    return found
