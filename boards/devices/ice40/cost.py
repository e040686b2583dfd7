"""What a design costs on an iCE40, in ICESTORM_LC: a LUT4 with carry and flip-flop."""

from qornn_hw.compiler.core_counts import CoreCounts
from qornn_hw.compiler.family import CostModel, Resources

__all__ = ["COST"]

# Fitted to 14 designs of 6 to 96 lanes as nextpnr packs them, all within 5 % (benchmarks/estimate.py prints
# such a comparison): what any core has; what grows with the accumulator, which is sequencer, tail, answer and
# link; what a second pass takes of sequencer and chain.
CONTROL_CELLS = 48
CELLS_PER_ACCUMULATOR_BIT = 35.6
SEVERAL_PASSES_CELLS = 160


def _core_cells(core: CoreCounts) -> int:
    """Return the logic cells of a core; a register and the logic in front of it share a cell."""
    control = CONTROL_CELLS + CELLS_PER_ACCUMULATOR_BIT * core.accumulator_bits
    if core.several_passes:
        control += SEVERAL_PASSES_CELLS
    beside = core.total_bits + core.bank_bits + core.beside_bits + core.activation_bits
    return round(core.element_bits + beside + core.answer_register_bits + control)


def _is_logic(depth: int, width: int, block_rams: int) -> bool:
    """Return whether flip-flops are cheaper: 1 a bit, and 64 a block RAM.

    Ref: yosys memory_libmap, techlibs/ice40/brams.txt.
    """
    return depth * width <= 64 * block_rams


COST = CostModel(core_cells=_core_cells, is_logic=_is_logic, surroundings=Resources(lut=500, ff=375, bram=2))
