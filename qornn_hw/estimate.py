"""What a design costs, from its schedule alone: memory blocks exactly, logic cells by a fitted model."""

from collections.abc import Iterator

from qornn_hw.device import ECP5, ICE40_ULTRAPLUS, Family, Resources, block_rams
from qornn_hw.network import Activation
from qornn_hw.schedule import DSP_OPERAND_BITS, Schedule, levels

__all__ = ["estimate_core", "memory_blocks", "memory_shapes"]


def memory_shapes(s: Schedule, family: Family = ICE40_ULTRAPLUS) -> dict[str, tuple[int, int]]:
    """Return ``name: (depth, width)`` of every block RAM memory of a core."""
    net = s.network
    shapes = {
        f"weights_{e}": (s.passes * s.rows, s.weight_bits[e] * s.columns_per_element)
        for e in range(s.elements)
    }
    shapes["constants"] = (s.rows, s.bias_bits + (0 if s.shares_multiplier else s.multiplier_bits))
    shapes["operands"] = (2 * s.operand_half, s.columns_per_element * s.operand_bits)
    if not net.vector_input:
        shapes["symbols"] = (net.hidden_size << net.input_format.bits, max(2, net.weight_bits.input))
    if net.table is not None:
        shapes["table"] = (len(net.table), net.state_bits)
    if s.passes > 1:
        shapes["waiting_sums"] = (s.rows, s.waiting_sum_bits)
    queue = (2 * s.answer_words - 1, s.answer_bits + 1)
    if not _in_logic(*queue, family):
        shapes["answers"] = queue
    return shapes


def _in_logic(depth: int, width: int, family: Family) -> bool:
    """Return whether yosys keeps a memory without preference in flip-flops or in RAM of logic cells.

    Its cost of a bit in a flip-flop is 1, of a block RAM 64 and of the bypass that a written-while-read word
    needs about two cells a bit (yosys memory_libmap, techlibs/ice40/brams.txt). On ECP5 a RAM of 16 x 4 bits
    in logic cells costs 4 and a block RAM 128 (techlibs/ecp5/lutrams.txt, brams.txt).
    """
    if family.has_lut_ram:
        return -(-depth // 16) * -(-width // 4) * 4 <= 128 * block_rams(depth, width, family)
    return depth * width <= 64 * block_rams(depth, width) + 2 * width


def memory_blocks(s: Schedule, family: Family = ICE40_ULTRAPLUS) -> dict[str, int]:
    """Return the block RAMs of every memory of :func:`memory_shapes`."""
    shapes = memory_shapes(s, family)
    # Each operand is written alone: it takes whole parts of a word with an enable of their own.
    parts = -(-s.operand_bits // family.ram_enable_bits)
    depth, _ = shapes["operands"]
    shapes["operands"] = (depth, s.columns_per_element * parts * family.ram_enable_bits)
    return {name: block_rams(*shape, family) for name, shape in shapes.items()}


def _element_cells(s: Schedule, element: int) -> int:
    """Return the logic cells of one element: one a bit of every adder, gate and lone register."""
    c, k, a = s.columns_per_element, s.weight_bits[element], s.operand_bits
    # Operands and their gates. A gate cannot share the adder's cell: the carry takes the raw LUT inputs.
    cells = c * a + c * k * a
    # Adders over the columns, plane by plane, then over the planes.
    columns, width = c, a
    while columns > 1:
        width += 1
        cells += k * (columns // 2 * width + columns % 2 * (width - 1))
        columns = -(-columns // 2)
    planes = k
    step = 1
    while planes > 1:
        width += step
        cells += planes // 2 * width + planes % 2 * width
        planes, step = -(-planes // 2), 2 * step
    used = levels(c) + levels(k)
    cells += max(0, s.dot_product_latency - used) * width
    # Partial sum, address and token on their way.
    addr = max(1, (s.passes * s.rows - 1).bit_length())
    return cells + s.partial_sum_bits[element] + addr + TOKEN_BITS


TOKEN_BITS = 5
# Fitted to builds of the core alone (benchmarks/estimate.py prints the comparison): sequencer, input buffer
# and answer queue, cells of the tail for each bit of the accumulator, and what placement adds to all of it.
CONTROL_CELLS = 480
TAIL_CELLS_PER_BIT = 9
PLACEMENT_FACTOR = 1.02


def estimate_core(s: Schedule, family: Family = ICE40_ULTRAPLUS) -> Resources:
    """Return what the core of a schedule takes of a device of ``family``.

    ``bram`` is exact for the flow of :mod:`boards.build`, and ``dsp`` for accumulators of up to 31 bits and
    factors M of up to 15, beyond which synthesis takes more; ``lut`` is a model.
    """
    lut = _ecp5_luts(s) if family is ECP5 else _ice40_cells(s)
    multipliers = _multipliers(s)
    if not family.has_multipliers:
        lut += round(PRODUCT_CELLS * s.activated_bits * s.multiplier_bits) if multipliers else 0
        multipliers = 0
    return Resources(lut=lut, bram=sum(memory_blocks(s, family).values()), dsp=multipliers)


def _ice40_cells(s: Schedule) -> int:
    cells = sum(_element_cells(s, e) for e in range(s.elements))
    tail = TAIL_CELLS_PER_BIT * s.accumulator_bits
    if s.network.activation is Activation.MODRELU:
        tail += 3 * s.activated_bits
    return round(PLACEMENT_FACTOR * (cells + tail + CONTROL_CELLS))


# ECP5: what synthesis leaves of gates and adders, whose carry cells come in pairs of bits, and everything
# else; fitted to synthesized cores. A lone flip-flop needs no LUT there.
ECP5_LOGIC_FACTOR = 0.962
ECP5_CONTROL_LUTS = 507


def _ecp5_luts(s: Schedule) -> int:
    logic = 0
    for element in range(s.elements):
        c, k, a = s.columns_per_element, s.weight_bits[element], s.operand_bits
        logic += c * k * a + sum(_even(bits) for bits in _adders(c, k, a))
        logic += _even(s.partial_sum_bits[element])
    modrelu = 3 * s.activated_bits if s.network.activation is Activation.MODRELU else 0
    return round(ECP5_LOGIC_FACTOR * logic + ECP5_CONTROL_LUTS + modrelu)


def _even(bits: int) -> int:
    return bits + bits % 2


def _adders(columns: int, weight_bits: int, operand_bits: int) -> Iterator[int]:
    """Yield the bits of every adder of a dot product: over the columns, plane by plane, then the planes."""
    width = operand_bits
    while columns > 1:
        width += 1
        yield from [width] * (weight_bits * (columns // 2))
        columns = -(-columns // 2)
    planes, step = weight_bits, 1
    while planes > 1:
        width += step
        yield from [width] * (planes // 2)
        planes, step = -(-planes // 2), 2 * step


# Without hard multipliers the requantizer's product is made of logic cells: so many for each bit of the value
# times each of the factor (174 for 15 x 12 bits, 219 for 20 x 10).
PRODUCT_CELLS = 1.03


def _multipliers(s: Schedule) -> int:
    """Return the hard multipliers of the requantizer; a shared power of two needs none."""
    if s.shares_multiplier and int(s.network.multiplier[0]).bit_count() == 1:
        return 0
    return 1 if s.activated_bits <= DSP_OPERAND_BITS else 2
