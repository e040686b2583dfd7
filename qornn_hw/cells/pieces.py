"""A function of straight pieces behind the requantizer of an Elman network: its integers."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.ops import PiecewiseLinear

__all__ = ["INDEX_BITS", "Pieces"]

IntArray = NDArray[np.int64]

INDEX_BITS = range(2, 15)
_COLUMNS = ("first", "factor", "shift", "offset")


@dataclass(frozen=True, eq=False)
class Pieces:
    """The state as a :class:`PiecewiseLinear` of the requantizer's result, an index of t bits, signed.

    Attributes:
        rows: (K + 1, 4), one row a piece, ascending: the first index of the piece, its factor, its left
            shift, its offset. The first index of row 0 is ``-2**(t-1)``.
        shift: the right shift of all pieces.

    >>> hard = Pieces(np.array([[-8, 0, 0, 0], [-4, 1, 1, 8], [4, 0, 0, 16]]), 1)
    >>> hard.index_bits, hard.count
    (4, 3)
    """

    rows: IntArray
    shift: int

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows)
        if rows.dtype.kind not in "iu":
            raise FormatError(f"pieces must hold integers, not {rows.dtype}")
        if rows.ndim != 2 or rows.shape[1] != len(_COLUMNS) or len(rows) < 2:
            raise FormatError(f"pieces must have shape (pieces, 4), 2 pieces or more, not {rows.shape}")
        rows = rows.astype(np.int64)
        rows.setflags(write=False)
        object.__setattr__(self, "rows", rows)
        least = [-(1 << (bits - 1)) for bits in INDEX_BITS]
        if rows[0, 0] not in least:
            raise FormatError(
                f"pieces[0, 0] must be the least index, minus a power of two from {least[0]} to {least[-1]}, "
                f"not {rows[0, 0]}"
            )
        # Refuses the other numbers that no operation may have.
        found = self.operation("pieces", "index", IntFormat(16, signed=True), Rounding.HALF_UP)
        if found.knots[0] <= rows[0, 0]:
            raise FormatError(f"pieces[1, 0] must be above pieces[0, 0] = {rows[0, 0]}, not {found.knots[0]}")

    @classmethod
    def of_operation(cls, operation: PiecewiseLinear, index_bits: int) -> Self:
        """Return the pieces of an operation on an index of ``index_bits`` bits."""
        first = [-(1 << (index_bits - 1)), *operation.knots]
        columns = (first, operation.factors, operation.shifts, operation.offsets)
        return cls(np.stack([np.asarray(c, dtype=np.int64) for c in columns], axis=1), operation.shift)

    def operation(self, name: str, value: str, form: IntFormat, rounding: Rounding) -> PiecewiseLinear:
        """Return the operation whose result ``name`` has the format ``form``."""
        _, factors, shifts, offsets = self.rows.T
        return PiecewiseLinear(
            name, value, self.rows[1:, 0], factors, shifts, offsets, self.shift, form, rounding
        )

    @cached_property
    def index_bits(self) -> int:
        """Bits t of the index."""
        return int(-self.rows[0, 0]).bit_length()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pieces) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.shift, self.rows.tobytes()))

    def to_json(self) -> dict[str, Any]:
        """Return the pieces as plain data."""
        return {"rows": self.rows.tolist(), "shift": self.shift}

    @property
    def count(self) -> int:
        """Pieces, K + 1."""
        return len(self.rows)
