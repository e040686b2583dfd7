"""What a design costs, from its schedule alone: memory blocks exactly, logic cells by a fitted model."""

from dataclasses import dataclass, fields

from qornn_hw.network import Activation
from qornn_hw.schedule import DSP_OPERAND_BITS, Schedule

__all__ = ["Resources", "block_rams", "estimate_core", "memory_shapes"]


@dataclass(frozen=True)
class Resources:
    """Counts of what an FPGA is made of.

    Attributes:
        lut: logic cells (iCE40: ICESTORM_LC, a LUT4 with carry and flip-flop).
        ff: flip-flops.
        bram: block RAMs (iCE40: SB_RAM40_4K, 4 kbit).
        spram: large single-port RAMs (iCE40 UltraPlus: SB_SPRAM256KA).
        dsp: hard multipliers (iCE40 UltraPlus: SB_MAC16).
    """

    lut: int = 0
    ff: int = 0
    bram: int = 0
    spram: int = 0
    dsp: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def excess(self, available: "Resources") -> dict[str, int]:
        """Return by how much each resource goes beyond ``available``, where it does."""
        over = {f.name: getattr(self, f.name) - getattr(available, f.name) for f in fields(self)}
        return {name: amount for name, amount in over.items() if amount > 0}


# SB_RAM40_4K: 4096 bits in these shapes (Lattice FPGA-TN-02002, iCE40 memory usage guide).
ICE40_RAM_SHAPES = ((16, 256), (8, 512), (4, 1024), (2, 2048))


def block_rams(depth: int, width: int) -> int:
    """Return the iCE40 block RAMs of a memory, in the shape that takes the fewest.

    >>> [block_rams(*m) for m in ((74, 16), (257, 16), (512, 9), (2048, 2))]
    [1, 2, 2, 1]
    """
    return min(-(-width // w) * -(-depth // d) for w, d in ICE40_RAM_SHAPES)


def memory_shapes(s: Schedule) -> dict[str, tuple[int, int]]:
    """Return ``name: (depth, width)`` of every block RAM memory of a core."""
    net = s.network
    shapes = {
        f"weights_{e}": (s.passes * s.rows, s.weight_bits[e] * s.element_columns[e])
        for e in range(s.elements)
    }
    constant = s.constant_bits + (0 if s.shares_multiplier else s.multiplier_bits)
    if net.activation is Activation.MODRELU:
        constant += s.bias_bits
    shapes["constants"] = (s.rows, constant)
    shapes["operands"] = (2 * s.operand_half, s.columns_per_element * s.operand_bits)
    if not net.vector_input:
        shapes["symbols"] = (net.hidden_size << net.input_format.bits, max(2, net.weight_bits.input))
    if net.table is not None:
        shapes["table"] = (len(net.table), net.state_bits)
    if s.passes > 1:
        shapes["waiting_sums"] = (s.rows, s.waiting_sum_bits)
    queue = (2 * s.answer_words - 1, s.answer_bits + 1)
    if not _in_flip_flops(*queue):
        shapes["answers"] = queue
    return shapes


def _in_flip_flops(depth: int, width: int) -> bool:
    """Return whether yosys keeps a memory without preference in flip-flops.

    Its cost of a bit there is 1, of a block RAM 64 and of the bypass that a written-while-read word needs
    about two cells a bit (yosys memory_libmap, techlibs/ice40/brams.txt).
    """
    return depth * width <= 64 * block_rams(depth, width) + 2 * width


def _dot_product_cells(columns: int, k: int, a: int, sum_bits: int, latency: int) -> int:
    """Return the bits of all registers of a dot product, each with the logic before it in one cell.

    As :class:`rtl_gen.dot_product.PairSelectDotProduct` builds it; a register holds values of at most
    ``reach`` in magnitude.
    """
    cells = 0

    def register(reach: int, exponent: int) -> int:
        nonlocal cells
        cells += max(1, min(reach.bit_length(), sum_bits - exponent))
        return reach

    reaches = [1 << a] * (columns // 2) + [1 << (a - 1)] * (columns % 2)
    planes = [[register(r, b) for r in reaches] for b in range(k)]
    used = 1
    while len(planes[0]) > 1:
        planes = [[register(sum(p[i : i + 2]), b) for i in range(0, len(p), 2)] for b, p in enumerate(planes)]
        used += 1
    terms = [p[0] for p in planes]
    distance = 1
    while len(terms) > 1:
        pairs = [terms[i : i + 2] for i in range(0, len(terms), 2)]
        terms = [
            register(sum(r << (at * distance) for at, r in enumerate(pair)), 2 * i * distance)
            for i, pair in enumerate(pairs)
        ]
        distance *= 2
        used += 1
    return cells + (latency - used) * min(terms[0].bit_length(), sum_bits)


def _element_cells(s: Schedule, element: int) -> int:
    """Return the logic cells of one element."""
    c, k, a = s.element_columns[element], s.weight_bits[element], s.element_operand_bits[element]
    operands = c // 2 * 2 * (a + 1) + c % 2 * a
    dot = _dot_product_cells(c, k, a, s.dot_bits[element], s.dot_product_latency)
    # Address and token move on, but for the last element.
    addr = max(1, (s.passes * s.rows - 1).bit_length())
    travels = addr + TOKEN_BITS if element + 1 < s.elements else 0
    return operands + dot + s.partial_sum_bits[element] + travels


def _total_cells(s: Schedule) -> int:
    """Return the logic cells of the bus of pairs and of the total of the operands."""
    pairs = -(-s.columns_per_element // 2)
    cells = s.columns_per_element // 2 * 2 * (s.operand_bits + 1)
    if s.total_elements:
        cells += (pairs - 1) * (s.operand_bits + 3) + 2 * s.total_bits + s.sum_bits
    return cells


TOKEN_BITS = 5
# Fitted to builds of the core alone (benchmarks/estimate.py prints the comparison): sequencer, input buffer
# and answer queue, and cells of the tail for each bit of the accumulator.
CONTROL_CELLS = 330
TAIL_CELLS_PER_BIT = 7


def estimate_core(s: Schedule) -> Resources:
    """Return what the core of a schedule takes on an iCE40.

    ``bram`` is exact for the flow of :mod:`boards.build`, and ``dsp`` for accumulators of up to 31 bits and
    factors M of up to 15, beyond which synthesis takes more; ``lut`` is a model.
    """
    cells = sum(_element_cells(s, e) for e in range(s.elements))
    tail = TAIL_CELLS_PER_BIT * s.accumulator_bits
    if s.network.activation is Activation.MODRELU:
        tail += 3 * s.activated_bits
    lut = cells + _total_cells(s) + tail + CONTROL_CELLS
    bram = sum(block_rams(*shape) for shape in memory_shapes(s).values())
    return Resources(lut=lut, bram=bram, dsp=_multipliers(s))


def _multipliers(s: Schedule) -> int:
    """Return the hard multipliers of the requantizer; a shared power of two needs none."""
    if s.shares_multiplier and int(s.network.multiplier[0]).bit_count() == 1:
        return 0
    return 1 if s.activated_bits <= DSP_OPERAND_BITS else 2
