"""What a design costs, from its schedule alone: block RAMs, exact if columns vary, and fitted cells."""

from collections.abc import Iterator, Mapping

from qornn_hw.device import ECP5, GOWIN, ICE40_ULTRAPLUS, Family, Resources, block_rams
from qornn_hw.network import Activation
from qornn_hw.schedule import DSP_OPERAND_BITS, Schedule, dot_product_latency

__all__ = ["LOADER_CELLS", "estimate_core", "least_blocks", "memory_blocks", "memory_shapes"]


def _plain_shapes(s: Schedule) -> dict[str, tuple[int, int]]:
    """Return those of :func:`memory_shapes` whose widths are not proved from the weights."""
    net = s.network
    shapes = {
        f"weights_{e}": (s.weight_depth, s.weight_bits[e] * s.element_columns[e])
        for e in range(s.elements)
        if not s.loads(e)
    }
    shapes["operands"] = (2 * s.operand_half, s.columns_per_element * s.operand_bits)
    if not net.vector_input:
        shapes["symbols"] = (net.hidden_size << net.input_format.bits, max(2, net.weight_bits.input))
    if net.table is not None:
        shapes["table"] = (len(net.table), net.state_bits)
    if s.readout_lanes:
        n = net.hidden_size
        shapes["readout"] = (s.readout_sweeps * n, s.readout_lanes * s.readout_weight_bits)
        shapes["units"] = (1 << n.bit_length(), net.state_bits)
    return shapes


def memory_shapes(s: Schedule, family: Family = ICE40_ULTRAPLUS) -> dict[str, tuple[int, int]]:
    """Return ``name: (depth, width)`` of every block RAM memory of a core."""
    shapes = _plain_shapes(s)
    shapes["constants"] = (s.rows, sum(s.constant_widths))
    if s.passes > 1:
        shapes["waiting_sums"] = (s.rows, s.waiting_sum_bits)
    queue = (s.answer_queue_depth, s.answer_bits + 1)
    if not (s.answer_registers or _in_logic(*queue, family)):
        shapes["answers"] = queue
    return shapes


def _in_logic(depth: int, width: int, family: Family) -> bool:
    """Return whether yosys keeps a memory without preference in flip-flops or in RAM of logic cells.

    Its cost of a bit in a flip-flop is 1 and of a block RAM 64 (yosys memory_libmap,
    techlibs/ice40/brams.txt). On ECP5 and Gowin a RAM of 16 x 4 bits in logic cells costs 4 and a block RAM
    128 (techlibs/ecp5/lutrams.txt, brams.txt; the same in techlibs/gowin).
    """
    if family.has_lut_ram:
        rams = -(-depth // 16)
        # The choice among more than two of them costs cells, too; as yosys 0.70 was seen to decide.
        return 4 * rams * -(-width // 4) + max(0, rams - 2) * width <= 128 * block_rams(depth, width, family)
    return depth * width <= 64 * block_rams(depth, width)


def memory_blocks(
    s: Schedule, family: Family = ICE40_ULTRAPLUS, varying: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return the block RAMs of every memory of :func:`memory_shapes`.

    Args:
        s: the schedule.
        family: the chip's.
        varying: of memories that are only read, the bits of a word that are not the same in all words, as far
            as they are known; without, blocks can be fewer than said here.
    """
    shapes = memory_shapes(s, family)
    shapes |= {name: (shapes[name][0], width) for name, width in (varying or {}).items() if name in shapes}
    return _blocks(shapes, s, family)


def least_blocks(s: Schedule, family: Family = ICE40_ULTRAPLUS) -> int:
    """Return block RAMs that a core has in any case: quickly, without a look at the weights."""
    return sum(_blocks(_plain_shapes(s), s, family).values()) + 1 + (s.passes > 1)


def _blocks(shapes: dict[str, tuple[int, int]], s: Schedule, family: Family) -> dict[str, int]:
    # Each operand is written alone: it takes whole parts of a word with an enable of their own.
    parts = -(-s.operand_bits // family.ram_enable_bits)
    depth, _ = shapes["operands"]
    shapes["operands"] = (depth, s.columns_per_element * parts * family.ram_enable_bits)
    return {name: block_rams(*shape, family) for name, shape in shapes.items()}


def _dot_product_registers(columns: int, k: int, a: int, sum_bits: int) -> Iterator[tuple[int, int]]:
    """Yield (bits, values that are added up in them, 0 for a selection) of every register of a dot product.

    As :class:`rtl_gen.dot_product.PairSelectDotProduct` builds it; a register holds values of at most
    ``reach`` in magnitude. The last one is the sum.
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


def _dot_product_of(s: Schedule, element: int) -> list[tuple[int, int]]:
    c, k, a = s.element_columns[element], s.weight_bits[element], s.element_operand_bits[element]
    return list(_dot_product_registers(c, k, a, s.dot_bits[element]))


def _element_cells(s: Schedule, element: int) -> int:
    """Return the logic cells of one element: a register's logic is in the cells of its flip-flops."""
    c, a = s.element_columns[element], s.element_operand_bits[element]
    operands = c // 2 * 2 * (a + 1) + c % 2 * a
    registers = _dot_product_of(s, element)
    waits = s.dot_product_latency - dot_product_latency(c, s.weight_bits[element])
    dot = sum(bits for bits, _ in registers) + waits * registers[-1][0]
    # Address and token move on, but for the last element.
    addr = max(1, (s.passes * s.rows - 1).bit_length())
    travels = addr + TOKEN_BITS if element + 1 < s.elements else 0
    # An SPRAM has one address, which the loader takes.
    chosen = addr if s.loads(element) else 0
    return operands + dot + s.partial_sum_bits[element] + travels + chosen


def _bank_cells(s: Schedule) -> int:
    """Return the logic cells that choose among the block RAMs of a weight memory of many words."""
    cells = 0
    for element in range(s.elements):
        if not s.loads(element):
            width = s.weight_bits[element] * s.element_columns[element]
            least = block_rams(s.weight_depth, width)
            shapes = ((w, -(-s.weight_depth // d)) for w, d in ICE40_ULTRAPLUS.ram_shapes)
            rows = min(rows for w, rows in shapes if -(-width * rows // w) == least)
            cells += (rows - 1) * width
    return cells


def _total_cells(s: Schedule) -> int:
    """Return the logic cells of the bus of pairs and of the total of the operands."""
    pairs = -(-s.columns_per_element // 2)
    cells = s.columns_per_element // 2 * 2 * (s.operand_bits + 1)
    if s.total_elements:
        cells += (pairs - 1) * (s.operand_bits + 3) + 2 * s.total_bits + s.sum_bits
    return cells


def _readout_cells(s: Schedule) -> int:
    """Return the logic cells of a readout: its counters, and the choice of a lane."""
    if not s.readout_lanes:
        return 0
    counters = 3 * s.network.hidden_size.bit_length() + s.readout_sweeps.bit_length()
    return READOUT_CELLS + 2 * counters + s.logit_bits * (1 + (2 * s.readout_lanes) // 3)


TOKEN_BITS = 2
# What takes an image of weights from the link and writes it into SPRAM, fitted to builds.
LOADER_CELLS = 130
READOUT_CELLS = 40
# Fitted to 14 designs of 6 to 96 lanes as nextpnr packs them, all within 5 % (benchmarks/estimate.py prints
# such a comparison): what any core has; what grows with the accumulator, which is sequencer, tail, answer and
# link; what a second pass takes of sequencer and chain.
CONTROL_CELLS = 48
CELLS_PER_ACCUMULATOR_BIT = 35.6
SEVERAL_PASSES_CELLS = 160


def estimate_core(s: Schedule, family: Family = ICE40_ULTRAPLUS) -> Resources:
    """Return what the core of a schedule takes of a device of ``family``.

    ``bram`` is exact for the flow of :mod:`boards.build`, and ``dsp`` for accumulators of up to 31 bits and
    factors M of up to 15, beyond which synthesis takes more; ``lut`` is a model.
    """
    lut = _ecp5_luts(s) if family is ECP5 else _gowin_cells(s) if family is GOWIN else _ice40_cells(s)
    multipliers = _multipliers(s) + s.readout_lanes + s.input_lanes
    if not family.has_multipliers:
        # A value of more than 16 bits is multiplied in two halves: Gowin's synthesis gains nothing by it.
        halves = 2 if family is GOWIN and s.activated_bits > DSP_OPERAND_BITS else 1
        product = halves * PRODUCT_CELLS * s.activated_bits * s.multiplier_bits
        lut += round(product) if multipliers else 0
        multipliers = 0
    if s.weight_banks:
        lut += LOADER_CELLS
    bram = sum(memory_blocks(s, family).values())
    return Resources(lut=lut, bram=bram, spram=s.weight_banks, dsp=multipliers)


def _input_cells(s: Schedule) -> int:
    """Return the logic cells of an input behind the chain: three registers, the constant's, and an adder."""
    return 3 * s.network.input_format.bits + s.constant_bits + s.sum_bits if s.input_lanes else 0


def _beside_cells(s: Schedule) -> int:
    return _readout_cells(s) + _input_cells(s)


def _modrelu_cells(s: Schedule) -> int:
    """Return the logic cells of modrelu: its magnitude, its bias and its zeroing."""
    return 3 * s.activated_bits if s.network.activation is Activation.MODRELU else 0


def _answer_cells(s: Schedule) -> int:
    """Return the logic cells of answers in flip-flops: words, one that comes, two a word for its place."""
    return (s.answer_words + 1) * (s.answer_bits + 1) + 2 * s.answer_words if s.answer_registers else 0


def _ice40_cells(s: Schedule) -> int:
    cells = sum(_element_cells(s, e) for e in range(s.elements))
    control = CONTROL_CELLS + CELLS_PER_ACCUMULATOR_BIT * s.accumulator_bits
    if s.passes > 1:
        control += SEVERAL_PASSES_CELLS
    beside = _total_cells(s) + _bank_cells(s) + _beside_cells(s) + _modrelu_cells(s) + _answer_cells(s)
    return round(cells + beside + control)


# ECP5: selections and adders, whose carry cells come in pairs of bits, with a pair more for an adder's carry
# into the logic; a lone flip-flop needs no LUT. Fitted to 10 designs of 6 to 96 lanes, all within 4 %.
ECP5_LOGIC_FACTOR = 1.1
ECP5_ADDER_LUTS = 2
ECP5_CONTROL_LUTS = 185
ECP5_SEVERAL_PASSES_LUTS = 207
# The answers' queue, where it is a RAM of logic cells: for each bit of its words.
ECP5_QUEUE_LUTS_PER_BIT = 7.1


def _ecp5_luts(s: Schedule) -> int:
    logic, adders = _total_cells(s) + _beside_cells(s) + _modrelu_cells(s), s.elements
    for element in range(s.elements):
        for bits, added in _dot_product_of(s, element):
            logic += bits if added == 0 else _even(bits) if added > 1 else 0
            adders += added > 1
        logic += _even(s.partial_sum_bits[element])
    control = float(ECP5_CONTROL_LUTS)
    if s.passes > 1:
        control += ECP5_SEVERAL_PASSES_LUTS
    if "answers" not in memory_shapes(s, ECP5):
        control += ECP5_QUEUE_LUTS_PER_BIT * s.answer_bits * max(1, s.answer_queue_depth // 16)
    return round(ECP5_LOGIC_FACTOR * logic + ECP5_ADDER_LUTS * adders + control)


# Gowin: as iCE40, where a flip-flop without logic takes a cell, too. But an adder's bit has three inputs, not
# four, and the cell before its flip-flop holds no other logic. Fitted to placed designs.
GOWIN_LOGIC_FACTOR = 1.25
GOWIN_CONTROL_CELLS = 480
GOWIN_TAIL_CELLS_PER_BIT = 7


def _gowin_cells(s: Schedule) -> int:
    logic = sum(_element_cells(s, e) for e in range(s.elements)) + _total_cells(s) + _beside_cells(s)
    tail = GOWIN_TAIL_CELLS_PER_BIT * s.accumulator_bits + _modrelu_cells(s)
    return round(GOWIN_LOGIC_FACTOR * logic + tail + GOWIN_CONTROL_CELLS)


def _even(bits: int) -> int:
    return bits + bits % 2


# Without hard multipliers the requantizer's product is made of logic cells: so many for each bit of the value
# times each of the factor (174 for 15 x 12 bits, 219 for 20 x 10).
PRODUCT_CELLS = 1.03


def _multipliers(s: Schedule) -> int:
    """Return the hard multipliers of the requantizer; a shared power of two needs none."""
    if s.shares_multiplier and int(s.network.multiplier[0]).bit_count() == 1:
        return 0
    return 1 if s.activated_bits <= DSP_OPERAND_BITS else 2
