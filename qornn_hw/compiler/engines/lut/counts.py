"""Counts of a core of the lut engine, from its schedule, for the cost models of the families."""

from collections.abc import Iterator

from qornn_hw.compiler.activation_stages import activation_cells
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.core_counts import CoreCounts
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.engines.lut.timing import LutTiming, dot_product_latency
from qornn_hw.compiler.estimate import memory_shapes, selection_bits
from qornn_hw.compiler.family import Family
from qornn_hw.compiler.ports import answer_words

__all__ = ["core_counts"]

# A token travels with each row from element to element.
TOKEN_BITS = 2
# Sequencer of a readout, fitted to builds.
READOUT_CELLS = 40


def _dot_product_registers(columns: int, k: int, a: int, sum_bits: int) -> Iterator[tuple[int, int]]:
    """Yield (bits, values that are added up in them, 0 for a selection) of every register of a dot product.

    These are the registers of :class:`qornn_hw.rtl_gen.engines.lut.dot_product.PairSelectDotProduct`. A
    register holds values of at most ``reach`` in magnitude. The last one is the sum.
    """

    def bits(reach: int, exponent: int) -> int:
        return max(1, min(reach.bit_length(), sum_bits - exponent))

    reaches = [1 << a] * (columns // 2) + [1 << (a - 1)] * (columns % 2)
    yield from ((bits(reach, b), 0) for b in range(k) for reach in reaches)
    while len(reaches) > 1:
        groups = [reaches[i : i + 2] for i in range(0, len(reaches), 2)]
        reaches = [sum(group) for group in groups]
        yield from (
            (bits(reach, b), len(group))
            for b in range(k)
            for reach, group in zip(reaches, groups, strict=True)
        )
    terms, distance = reaches * k, 1
    while len(terms) > 1:
        groups = [terms[i : i + 2] for i in range(0, len(terms), 2)]
        terms = [sum(r << (at * distance) for at, r in enumerate(group)) for group in groups]
        for i, (reach, group) in enumerate(zip(terms, groups, strict=True)):
            yield bits(reach, 2 * i * distance), len(group)
        distance *= 2


def _dot_product_of(s: ChainSchedule, element: int) -> list[tuple[int, int]]:
    """Return (bits, values added up in them) of every register of an element's dot product.

    0 values stand for a selection, 1 for a value that waits; the last register is the sum.
    """
    p = s.placement
    c, k, a = p.element_columns[element], p.weight_bits[element], p.element_operand_bits[element]
    return list(_dot_product_registers(c, k, a, s.widths.dot_bits[element]))


def _element_cells(s: ChainSchedule, element: int) -> int:
    """Return the register bits of one element; the logic in front of a register shares its cell."""
    c, a = s.placement.element_columns[element], s.placement.element_operand_bits[element]
    operands = c // 2 * 2 * (a + 1) + c % 2 * a
    registers = _dot_product_of(s, element)
    waits = LutTiming.of(s).dot_product_latency - dot_product_latency(c, s.placement.weight_bits[element])
    dot = sum(bits for bits, _ in registers) + waits * registers[-1][0]
    # Address and token travel to the next element; the last element has none.
    addr = max(1, (s.placement.passes * s.placement.rows - 1).bit_length())
    travels = addr + TOKEN_BITS if element + 1 < s.chain.elements else 0
    # An SPRAM has one address, which the loader shares.
    chosen = addr if s.placement.loads(element) else 0
    return operands + dot + s.widths.partial_sum_bits[element] + travels + chosen


def _bank_cells(s: ChainSchedule, family: Family) -> int:
    """Return the bits that select among the block RAMs of a weight memory of many words."""
    cells = 0
    for element in range(s.chain.elements):
        if not s.placement.loads(element):
            width = s.placement.weight_bits[element] * s.placement.element_columns[element]
            cells += selection_bits(s.placement.weight_depth, width, family)
    return cells


def _total_cells(s: ChainSchedule) -> int:
    """Return the bits of the bus of operand pairs and of the total of the operands."""
    pairs = -(-s.chain.columns_per_element // 2)
    cells = s.chain.columns_per_element // 2 * 2 * (s.placement.operand_bits + 1)
    if LutPlacement.of(s).total_elements:
        cells += (pairs - 1) * (s.placement.operand_bits + 3) + 2 * s.widths.total_bits + s.sum_bits
    return cells


def core_counts(s: ChainSchedule, family: Family) -> CoreCounts:
    """Return the counts of a core."""
    elements = range(s.chain.elements)
    in_logic = "answers" not in memory_shapes(s, family)
    return CoreCounts(
        elements=len(elements),
        element_bits=sum(_element_cells(s, e) for e in elements),
        product_registers=tuple(register for e in elements for register in _dot_product_of(s, e)),
        partial_sum_bits=s.widths.partial_sum_bits,
        total_bits=_total_cells(s),
        beside_bits=_readout_cells(s) + _input_cells(s),
        activation_bits=activation_cells(s.network, s.widths),
        bank_bits=_bank_cells(s, family),
        answer_register_bits=_answer_cells(s),
        logic_queue_bits=s.widths.answer_bits * max(1, s.timing.answer_queue_depth // 16) if in_logic else 0,
        accumulator_bits=s.widths.accumulator_bits,
        activated_bits=s.widths.activated_bits,
        several_passes=s.placement.passes > 1,
    )


def _readout_cells(s: ChainSchedule) -> int:
    """Return the bits of a readout: its counters, and the selection of a lane."""
    if not s.chain.readout_lanes:
        return 0
    counters = 3 * s.network.hidden_size.bit_length() + s.placement.readout_sweeps.bit_length()
    return READOUT_CELLS + 2 * counters + s.widths.logit_bits * (1 + (2 * s.chain.readout_lanes) // 3)


def _input_cells(s: ChainSchedule) -> int:
    """Return the bits of an input behind the chain: three registers, the constant's, and an adder."""
    return 3 * s.network.input_format.bits + s.widths.constant_bits + s.sum_bits if s.chain.input_lanes else 0


def _answer_cells(s: ChainSchedule) -> int:
    """Return the bits of answers in flip-flops: words, the incoming word, and two a word for its place."""
    words = answer_words(s.network)
    return (words + 1) * (s.widths.answer_bits + 1) + 2 * words if s.chain.answer_registers else 0
