"""What a design costs, from its schedule alone: memory blocks exactly, logic cells by a fitted model."""

from qornn_hw.device import ICE40_ULTRAPLUS, Family, Resources, block_rams
from qornn_hw.network import Activation
from qornn_hw.schedule import DSP_OPERAND_BITS, Schedule, levels

__all__ = ["estimate_core", "memory_shapes"]


def memory_shapes(s: Schedule) -> dict[str, tuple[int, int]]:
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
    if not _in_flip_flops(*queue):
        shapes["answers"] = queue
    return shapes


def _in_flip_flops(depth: int, width: int) -> bool:
    """Return whether yosys keeps a memory without preference in flip-flops.

    Its cost of a bit there is 1, of a block RAM 64 and of the bypass that a written-while-read word needs
    about two cells a bit (yosys memory_libmap, techlibs/ice40/brams.txt).
    """
    return depth * width <= 64 * block_rams(depth, width) + 2 * width


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


def estimate_core(s: Schedule) -> Resources:
    """Return what the core of a schedule takes on an iCE40.

    ``bram`` is exact for the flow of :mod:`boards.build`, and ``dsp`` for accumulators of up to 31 bits and
    factors M of up to 15, beyond which synthesis takes more; ``lut`` is a model.
    """
    cells = sum(_element_cells(s, e) for e in range(s.elements))
    tail = TAIL_CELLS_PER_BIT * s.accumulator_bits
    if s.network.activation is Activation.MODRELU:
        tail += 3 * s.activated_bits
    lut = round(PLACEMENT_FACTOR * (cells + tail + CONTROL_CELLS))
    bram = sum(block_rams(*shape) for shape in memory_shapes(s).values())
    return Resources(lut=lut, bram=bram, dsp=_multipliers(s))


def _multipliers(s: Schedule) -> int:
    """Return the hard multipliers of the requantizer; a shared power of two needs none."""
    if s.shares_multiplier and int(s.network.multiplier[0]).bit_count() == 1:
        return 0
    return 1 if s.activated_bits <= DSP_OPERAND_BITS else 2
