"""What a design costs on a Gowin device, in LUT4: logic, adder, memory, or the way into a flip-flop."""

from qornn_hw.boards.devices.lut_ram_cost import is_lut_ram
from qornn_hw.compiler.core_counts import CoreCounts
from qornn_hw.compiler.estimate import PRODUCT_CELLS
from qornn_hw.compiler.family import CostModel, Resources
from qornn_hw.compiler.latencies import HARD_OPERAND_BITS

__all__ = ["COST"]

# A flip-flop without logic takes a cell, too. An adder's bit has three inputs, not four, and the cell before
# its flip-flop holds no other logic. Fitted to placed designs.
LOGIC_FACTOR = 1.25
CONTROL_CELLS = 480
TAIL_CELLS_PER_BIT = 7


def _core_cells(core: CoreCounts) -> int:
    """Return the logic cells of a core."""
    logic = core.element_bits + core.total_bits + core.beside_bits
    tail = TAIL_CELLS_PER_BIT * core.accumulator_bits + core.activation_bits
    return round(LOGIC_FACTOR * logic + tail + CONTROL_CELLS)


def _product_factor(core: CoreCounts) -> float:
    """A value of more than 16 bits is multiplied in two halves: this synthesis gains nothing by it."""
    return (2 if core.activated_bits > HARD_OPERAND_BITS else 1) * PRODUCT_CELLS


COST = CostModel(
    core_cells=_core_cells,
    is_logic=is_lut_ram,
    surroundings=Resources(lut=720, ff=375, bram=2),
    product_factor=_product_factor,
)
