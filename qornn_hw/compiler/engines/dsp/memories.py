"""Memories of the dsp engine: their layouts, their contents, and where each number of a network is."""

from dataclasses import replace

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines.dsp.placement import DspPlacement
from qornn_hw.compiler.engines.dsp.widths import row_constants
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


def _weights(p: DspPlacement) -> list[Memory]:
    """Return the memories of weights: one large memory for each two elements, or one ROM for all."""
    fields = [Field(f"weight_{e}", bits) for e, bits in enumerate(p.weight_bits)]
    if not p.in_spram:
        # One memory for all elements wastes least of the blocks.
        return [Memory("weights", tuple(fields), p.weight_depth)]
    lanes = p.lanes_per_bank
    return [
        Memory(
            f"weights_{bank}",
            tuple(fields[bank * lanes : (bank + 1) * lanes]),
            p.weight_depth,
            store=WeightStore.SPRAM,
        )
        for bank in range(p.weight_banks)
    ]


def _half(count: int) -> int:
    """Return the words of half a memory of two halves of ``count`` words."""
    return 1 << max(1, (count - 1).bit_length())


def _factor_stride(s: ChainSchedule) -> int:
    """Return the words between the factors of two units: a bit a word, a power of two."""
    return 1 << max(1, (s.widths.multiplier_bits - 1).bit_length())


def layouts(s: ChainSchedule) -> tuple[Memory, ...]:
    """Return every memory of the core without contents."""
    p, w, n = DspPlacement.of(s), s.widths, s.network.hidden_size
    memories = [operands(p), *symbols(s.network, p.rows), *table(s.network), answer_queue(w, s.timing)]
    # Partial sums wait in the lower half; the upper half holds what each row's sum starts from.
    memories.append(Memory("sums", (Field("sum", w.waiting_sum_bits),), 2 * _half(p.rows), written=True))
    # A complete sum waits in the lower half for the requantizer; the upper half holds zeros.
    memories.append(Memory("values", (Field("value", w.activated_bits),), 2 * _half(n), written=True))
    if not w.shares_multiplier:
        memories.append(Memory("factors", (Field("bit", 1, signed=False),), n * _factor_stride(s)))
    if s.network.activation.shape.unit_bias:
        memories.append(Memory("biases", (Field("bias", w.bias_bits),), p.rows))
    return (*memories, *_weights(p))


def contents(s: ChainSchedule) -> tuple[Memory, ...]:
    """Return every memory that starts with contents, filled."""
    p, net = DspPlacement.of(s), s.network
    filled = []
    for memory in layouts(s):
        match memory.name.partition("_")[0]:
            case "weights":
                memory = memory.holding(_weight_rows(p, memory))
            case "operands":
                memory = memory.holding(operand_rows(p, memory))
            case "symbols":
                memory = memory.holding(symbol_rows(net, p.rows))
            case "table":
                memory = memory.holding(table_rows(net))
            case "sums":
                memory = memory.holding(_sum_rows(s, memory.depth // 2))
            case "factors":
                memory = memory.holding(_factor_rows(s, memory))
            case "biases":
                memory = memory.holding([b] for b in net.bias.tolist() + [0] * net.output_size)
            case _:
                continue
        filled.append(memory)
    if s.room:
        # Synthesis knows nothing of the weights in SPRAM; the other memories are as deep as they must be.
        kept = {"weights", "table"}
        filled = [memory.with_all_columns() if memory.name in kept else memory for memory in filled]
    return tuple(filled)


def _weight_rows(p: DspPlacement, memory: Memory) -> list[list[int]]:
    rows = [[0] * len(memory.fields) for _ in range(memory.depth)]
    at = {field.name: lane for lane, field in enumerate(memory.fields)}
    for word in range(p.passes * p.chain.elements):
        for row, weight in enumerate(p.word_weights[:, word, 0].tolist()):
            element, address = p.weight_address(word, row)
            if (lane := at.get(f"weight_{element}")) is not None:
                rows[address][lane] = weight
    return rows


def _sum_rows(s: ChainSchedule, half: int) -> list[list[int]]:
    """Return zeros, then the constants that sums start from, modulo the power of two of their width."""
    least, whole = 1 << (s.widths.constant_bits - 1), 1 << s.widths.constant_bits
    starts = [(value + least) % whole - least for value in row_constants(DspPlacement.of(s)).tolist()]
    return [[value] for value in [0] * half + starts + [0] * (half - len(starts))]


def _factor_rows(s: ChainSchedule, memory: Memory) -> list[list[int]]:
    """Return the bits of M, the highest first, of unit u from ``u`` strides on."""
    count, stride = s.widths.multiplier_bits, _factor_stride(s)
    rows = [[0] for _ in range(memory.depth)]
    for unit, factor in enumerate(s.network.multiplier.tolist()):
        for j in range(count):
            rows[unit * stride + j] = [factor >> (count - 1 - j) & 1]
    return rows


def sites(s: ChainSchedule) -> dict[str, Site]:
    """Return where numbers of row 0 are, by what they are; see :class:`~qornn_hw.compiler.site.Site`."""
    p, net = DspPlacement.of(s), s.network
    starts, constant_bits = _half(p.rows), s.widths.constant_bits

    def weight(word: int, row: int) -> Site:
        element, address = p.weight_address(word, row)
        memory = f"weights_{element // p.lanes_per_bank}" if p.in_spram else "weights"
        return Site(memory, address, f"weight_{element}", p.weight_bits[element] - 1)

    found = {
        "recurrent_weight": weight(p.input_words, 0),
        "output_weight": weight(p.input_words, net.hidden_size),
        "output_bias": Site("sums", starts + net.hidden_size, "sum", 0),
        "bias": Site("sums", starts, "sum", constant_bits - 2),
    }
    if net.vector_input:
        found["input_weight"] = weight(0, 0)
    if net.activation.shape.unit_bias:
        found["row_constant"] = replace(found["bias"])
        found["bias"] = Site("biases", 0, "bias", max(0, s.widths.bias_bits - 2))
    if not s.widths.shares_multiplier:
        found["multiplier"] = Site("factors", 0, "bit", 0)
    found["initial_state"] = initial_state_site(p)
    return found
