"""What a core of the tile engine takes, from counts of its registers and choices in bits.

A logic cell holds a register and the function of four inputs in front of it.
"""

from qornn_hw.compiler.engines.tile.digits import CODE_BITS
from qornn_hw.compiler.engines.tile.layout import TileLayout
from qornn_hw.compiler.engines.tile.memories import layouts_of
from qornn_hw.compiler.engines.tile.nodes import (
    Accumulator,
    Load,
    Lookup,
    MultiplyAdd,
    Negate,
    Node,
    Pick,
    Round,
    SignedSize,
    Slice,
    Store,
    Sum,
    Symbol,
    Transformed,
)
from qornn_hw.compiler.engines.tile.tail_schedule import TailSchedule
from qornn_hw.compiler.engines.tile.transform import BANK_BITS, BANKS
from qornn_hw.compiler.estimate import LOADER_CELLS, PRODUCT_CELLS, block_rams, selection_bits
from qornn_hw.compiler.family import Family, Resources
from qornn_hw.compiler.ports import answer_words
from qornn_hw.compiler.weight_store import WeightStore

__all__ = ["cost_of", "lane_cells", "tail_cells"]

# Fitted to placed designs of LUT4s with flip-flops: sequencer, slots, input, answer, and their part of the
# link; for each bit of a logit its selection, sum and comparison; of each stage; of each vector with a total.
CONTROL_CELLS = 600
# A carry chain takes so many cells beside its bits.
CELLS_PER_ADDER = 1.5
CELLS_PER_LOGIT_BIT = 5
CELLS_PER_STAGE = 25
CELLS_PER_TOTAL_BIT = 3
# Cells of a saturation and its rounding for each bit of the result, beside its register.
CELLS_PER_ROUNDED_BIT = 0.7
# Synthesis leaves out some bits of a tail, and nodes without a choice share cells with others.
CELLS_PER_TAIL_BIT = 0.75
# Each bit of a level of a transform: an entry, it or its complement, their sum; the addresses of a bank.
CELLS_PER_BUTTERFLY_BIT = 3.2
CELLS_PER_BANK = 50
# Of the bits of a lane: registers and functions that find no partner.
CELLS_PER_LANE_BIT = 1.04


def cost_of(p: TileLayout, family: Family) -> Resources:
    """Return what the core takes; ``lut`` is a model, fitted for LUT4s with flip-flops."""
    lut = p.used_lanes * lane_cells(p) + tail_cells(p) + _control_cells(p) + _transform_cells(p)
    memories = [memory for memory in layouts_of(p) if memory.store is WeightStore.BLOCK_RAM]
    read_only = (memory for memory in memories if not memory.written)
    lut += sum(selection_bits(memory.depth, memory.width, family) for memory in read_only)
    if p.shape.banks:
        lut += LOADER_CELLS
    dsp = 0
    for a, b in p.factor_bits:
        if family.has_multipliers:
            dsp += 1
        else:
            lut += round(PRODUCT_CELLS * a * b)
    bram = sum(block_rams(memories, family, {}).values())
    return Resources(lut=round(lut), bram=bram, spram=p.shape.banks, dsp=dsp)


def lane_cells(p: TileLayout) -> int:
    """Return the cells of a lane and of what takes its sums."""
    bits, columns, cells = p.operand_bits, p.shape.columns, 0
    # The choice of a product; the adders of each digit; those of the digits.
    width = bits + 1
    cells += p.digits * columns * width
    while columns > 1:
        columns, width = columns // 2, width + 1
        cells += p.digits * columns * width
    digits, place = p.digits, CODE_BITS
    while digits > 1:
        width += place + 1
        cells += -(-digits // 2) * width
        digits, place = -(-digits // 2), 2 * place
    accumulator = max(p.phase_bits)
    # The adder and what it starts with; what is held of each phase but the last; the shift registers.
    cells += 2 * accumulator + sum(p.phase_bits[:-1]) + sum(p.phase_bits)
    adders = p.digits * p.shape.columns
    return round(CELLS_PER_LANE_BIT * (cells + CELLS_PER_ADDER * adders))


def tail_cells(p: TileLayout) -> float:
    """Return the cells of the tails and of their multipliers' inputs."""
    cells = 0.0
    uses: dict[tuple[str, int], list[int]] = {}
    for tail in p.tails:
        bits = {node.name: node.bits for node in tail.nodes}
        for node in tail.nodes:
            cells += _node_cells(node) + _copy_cells(tail, node)
            if isinstance(node, MultiplyAdd):
                widths = [bits[f] if isinstance(f, str) else f.bits for f in (node.a, node.b)]
                uses.setdefault(("multiplier", tail.multipliers[node.name]), []).append(sum(widths))
            elif isinstance(node, Lookup):
                uses.setdefault((f"table {node.table}", tail.ports[node.name]), []).append(bits[node.index])
    # A choice among k values takes k - 1 choices among two, two of which fit three cells at best.
    cells += sum(0.7 * (sum(widths) - max(widths)) for widths in uses.values())
    # The number of the unit, and whether there is one, go along.
    last = max(tail.end for tail in p.tails) // p.shape.interval
    cells += last * (1 + (max(stage.slots for stage in p.stages) - 1).bit_length())
    return CELLS_PER_TAIL_BIT * cells


def _node_cells(node: Node) -> float:
    if isinstance(node, (Accumulator, Load, Store, Symbol)):
        return 0
    if isinstance(node, Transformed):
        # A choice among the banks.
        return BANKS / 2 * node.bits
    if isinstance(node, Sum):
        return node.bits * max(1, len(node.summands) - 1)
    if isinstance(node, Round):
        return node.bits * (1 + CELLS_PER_ROUNDED_BIT) + 4
    if isinstance(node, Pick):
        return node.bits + len(node.knots) * (node.bits / 2 + 12)
    if isinstance(node, SignedSize):
        return 4 * node.bits
    if isinstance(node, Negate):
        return 2 * node.bits
    return node.bits


def _copy_cells(tail: TailSchedule, node: Node) -> int:
    """Return the bits of the copies behind a node's register, and of those of its constants."""
    last = max(
        (
            tail.starts[reader.name] + at
            for reader in tail.nodes
            for operand, at in reader.reads
            if (operand.node if isinstance(operand, Slice) else operand) == node.name
        ),
        default=0,
    )
    cells = node.bits * max(0, tail.copy(node, last))
    for number in range(len(node.reads)):
        if (place := tail.places.get((node.name, number))) is not None:
            cells += place.bits * place.copies
    return cells


def _transform_cells(p: TileLayout) -> float:
    """Return the cells of the butterflies, each of which adds or subtracts, and of the addresses."""
    found = 0.0
    for stage in p.stages:
        if (transform := stage.transform) is not None:
            used = [any(one.levels[q] for one in transform.passes) for q in range(BANK_BITS)]
            bits = sum(b for b, some in zip(transform.level_bits[1:], used, strict=True) if some)
            found += CELLS_PER_BUTTERFLY_BIT * BANKS * bits
            found += CELLS_PER_BANK * BANKS
    return found


def _control_cells(p: TileLayout) -> float:
    phases = len(p.stages[-1].phases)
    logit = p.logit_bits * (phases + CELLS_PER_LOGIT_BIT)
    offsets = [
        v
        for v in p.vectors
        if any(f.vector == v and f.matrices[0].offset for s in p.stages for f in s.phases)
    ]
    totals = len(offsets) * CELLS_PER_TOTAL_BIT * (p.operand_bits + 4)
    answers = 2 * answer_words(p.network).bit_length()
    return CONTROL_CELLS + logit + totals + CELLS_PER_STAGE * len(p.stages) + answers
