"""What a core of the lut engine costs."""

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines.lut.counts import core_counts
from qornn_hw.compiler.estimate import (
    LOADER_CELLS,
    PRODUCT_CELLS,
    block_rams,
    in_block_ram,
    memory_blocks,
)
from qornn_hw.compiler.family import Family, Resources
from qornn_hw.compiler.latencies import HARD_OPERAND_BITS

__all__ = ["least_blocks", "lut_cost"]


def least_blocks(s: ChainSchedule, family: Family) -> int:
    """Return block RAMs that a core has in any case: quickly, without a look at the weights."""
    memories = in_block_ram(s.engine.layouts(s, proved=False), family)
    return sum(block_rams(memories, family, {}).values()) + 1 + (s.placement.passes > 1)


def lut_cost(s: ChainSchedule, family: Family) -> Resources:
    """Return what the core of a schedule takes of a device of ``family``.

    ``bram`` is exact for the flow of :mod:`qornn_hw.boards.build`, and ``dsp`` for accumulators of up to 31
    bits and factors M of up to 15, beyond which synthesis takes more; ``lut`` is the family's cost model.
    """
    counts = core_counts(s, family)
    lut = family.cost.core_cells(counts)
    multipliers = _multipliers(s) + s.chain.readout_lanes + s.chain.input_lanes
    if not family.has_multipliers:
        if multipliers:
            factor = (
                PRODUCT_CELLS if family.cost.product_factor is None else family.cost.product_factor(counts)
            )
            lut += round(factor * s.widths.activated_bits * s.widths.multiplier_bits)
        multipliers = 0
    if s.weight_banks:
        lut += LOADER_CELLS
    bram = sum(memory_blocks(s, family).values())
    return Resources(lut=lut, bram=bram, spram=s.weight_banks, dsp=multipliers)


def _multipliers(s: ChainSchedule) -> int:
    """Return the hard multipliers of the requantizer; a shared power of two needs none."""
    if s.widths.shares_multiplier and int(s.network.multiplier[0]).bit_count() == 1:
        return 0
    return 1 if s.widths.activated_bits <= HARD_OPERAND_BITS else 2
