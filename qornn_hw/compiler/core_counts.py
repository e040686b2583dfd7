"""Counts of what a core is made of, from which the cost models of the families compute logic cells."""

from dataclasses import dataclass

__all__ = ["CoreCounts"]


@dataclass(frozen=True, kw_only=True)
class CoreCounts:
    """Registers and logic of a core, in bits: of registers, of selections and of adders.

    An engine counts its core, whatever it is built of; a family's :class:`qornn_hw.compiler.family.CostModel`
    turns the counts into logic cells.

    Attributes:
        elements: elements that multiply.
        element_bits: all registers of all elements; the logic in front of a register shares its cell.
        product_registers: ``(bits, values)`` of every register of the elements' products: how many values are
            added up in it, 0 for a selection, 1 for a value that waits.
        partial_sum_bits: the partial sum behind each element.
        total_bits: the bus of operand pairs, and the total of the operands.
        beside_bits: a readout and an input that are computed outside the chain.
        activation_bits: the activation's stages beside the requantizer.
        bank_bits: selections among the block RAMs of deep weight memories.
        answer_register_bits: answers in flip-flops.
        logic_queue_bits: bits of the answers' queue where it is a RAM of logic cells, for each 16 words.
        accumulator_bits: the accumulator of a row.
        activated_bits: the requantizer's input.
        several_passes: whether a step has more than one pass.
    """

    elements: int
    element_bits: int
    product_registers: tuple[tuple[int, int], ...]
    partial_sum_bits: tuple[int, ...]
    total_bits: int = 0
    beside_bits: int = 0
    activation_bits: int = 0
    bank_bits: int = 0
    answer_register_bits: int = 0
    logic_queue_bits: int = 0
    accumulator_bits: int
    activated_bits: int
    several_passes: bool = False
