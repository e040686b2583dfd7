"""The phases of a step: rows that are computed from the same operands, as numbers for a sequencer."""

from dataclasses import dataclass

__all__ = ["Phase"]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of a step.

    A sequencer walks the phases with these numbers alone: in pass q it reads the operand words from
    ``q elements`` on, and the weights of row ``first_row + i`` at ``weight_bases[q] + i`` in the memory of
    element 0.

    Attributes:
        name: of the phase.
        first_row: index of its first row among all rows of the step.
        rows: rows, at least 1.
        words: operand words of a row in all passes.
        passes: passes over the rows; 0 where the rows are computed outside the chain.
        period: cycles from the launch of a pass over these rows alone to the next launch.
        weight_bases: address of the first row's weights of element 0, one for each pass.
    """

    name: str
    first_row: int
    rows: int
    words: int
    passes: int
    period: int
    weight_bases: tuple[int, ...]

    @property
    def last_row(self) -> int:
        """Index of its last row among all rows of the step."""
        return self.first_row + self.rows - 1
