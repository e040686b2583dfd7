"""What a design costs on an ECP5, in TRELLIS_COMB: a LUT4."""

from qornn_hw.boards.devices.lut_ram_cost import is_lut_ram
from qornn_hw.compiler.core_counts import CoreCounts
from qornn_hw.compiler.family import CostModel, Resources

__all__ = ["COST"]

# Selections and adders, whose carry cells come in pairs of bits, with a pair more for an adder's carry into
# the logic; a lone flip-flop needs no LUT. Fitted to 10 designs of 6 to 96 lanes, all within 4 %.
LOGIC_FACTOR = 1.1
ADDER_LUTS = 2
CONTROL_LUTS = 185
SEVERAL_PASSES_LUTS = 207
# The answers' queue, where it is a RAM of logic cells: for each bit of its words.
QUEUE_LUTS_PER_BIT = 7.1


def _even(bits: int) -> int:
    return bits + bits % 2


def _core_luts(core: CoreCounts) -> int:
    """Return the LUTs of a core."""
    logic, adders = core.total_bits + core.beside_bits + core.activation_bits, core.elements
    for bits, added in core.product_registers:
        logic += bits if added == 0 else _even(bits) if added > 1 else 0
        adders += added > 1
    logic += sum(_even(bits) for bits in core.partial_sum_bits)
    control = float(CONTROL_LUTS)
    if core.several_passes:
        control += SEVERAL_PASSES_LUTS
    control += QUEUE_LUTS_PER_BIT * core.logic_queue_bits
    return round(LOGIC_FACTOR * logic + ADDER_LUTS * adders + control)


COST = CostModel(core_cells=_core_luts, is_logic=is_lut_ram, surroundings=Resources(lut=500, ff=375, bram=2))
