"""What a design costs on a GateMate, in CPE_LT: half of a CPE, a LUT tree in front of a flip-flop."""

from qornn_hw.compiler.core_counts import CoreCounts
from qornn_hw.compiler.family import CostModel, Resources

__all__ = ["COST"]

# A selection among four and the adder of two bits take both halves of a CPE, and no flip-flop of their own
# behind it. Fitted to five packed designs of 8 to 96 lanes (3,259 to 10,416 cells), each within 2.5 %.
HALVES_PER_BIT = 1.66
CONTROL_HALVES = 875
# A product takes an AND and an adder for each bit of the value times each bit of the factor.
PRODUCT_HALVES = 2.0


def _core_halves(core: CoreCounts) -> int:
    """Return the halves of CPEs of a core."""
    logic = core.element_bits + core.total_bits + core.beside_bits + core.activation_bits
    return round(HALVES_PER_BIT * logic + CONTROL_HALVES)


def _is_logic(depth: int, width: int, block_rams: int) -> bool:
    """Return whether flip-flops are cheaper: 1 a bit, and 129 a block RAM.

    Ref: yosys memory_libmap, techlibs/gatemate/brams.txt.
    """
    return depth * width <= 129 * block_rams


COST = CostModel(
    core_cells=_core_halves,
    is_logic=_is_logic,
    surroundings=Resources(lut=1150, ff=350, bram=2),
    product_factor=lambda core: PRODUCT_HALVES,
)
