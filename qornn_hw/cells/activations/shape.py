"""The parts that an activation has in hardware, as data."""

from dataclasses import dataclass

__all__ = ["ActivationShape"]


@dataclass(frozen=True)
class ActivationShape:
    """What stands between a unit's accumulator and its state, beside the requantizer.

    Attributes:
        unit_bias: the bias b is not part of the row's sum. A stage between the accumulator and the
            requantizer takes it, unit by unit (:class:`qornn_hw.ir.ops.ModRelu`).
        rectified: the requantizer's saturation ends at 0 below, which is ``max(z, 0)`` in front of it.
        table: the requantizer gives the index of a table, whose entries are the states.
        pieces: the requantizer gives an index, of which the state is a function of straight pieces
            (:class:`qornn_hw.cells.pieces.Pieces`).
    """

    unit_bias: bool = False
    rectified: bool = False
    table: bool = False
    pieces: bool = False

    @property
    def indexed(self) -> bool:
        """Whether the requantizer gives an index, and not the state."""
        return self.table or self.pieces
