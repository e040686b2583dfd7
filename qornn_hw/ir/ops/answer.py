"""``Answer``: what a network sends after a step that is answered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.kinds import OutputKind
from qornn_hw.ir.ops.operation import FORMAT_BITS_MAX, IntArray, Operation, check_name, check_number

__all__ = ["Answer"]


@dataclass(frozen=True, eq=False, repr=False)
class Answer(Operation):
    """The logits, a class, or both.

    The class is the smallest k with ``logits_k = max(logits)``, the argmax. With a ``threshold`` there is one
    logit, and the class is 1 where it is larger than the threshold, else 0.

    Attributes:
        logits: the operand, (p,).
        kind: the logits, the class, or the logits and then the class.
        threshold: of the one logit, 48 bits, signed; None for the argmax.

    >>> Answer("answer", "y", OutputKind.BOTH).evaluate(np.array([[1, 5, 5]])).tolist()
    [[1]]
    """

    op: ClassVar[str] = "answer"
    logits: str
    kind: OutputKind
    threshold: int | None = None

    def check(self) -> None:
        """Refuse a kind that is none, and a threshold of more than 48 bits."""
        check_name(f"{self.name}: logits", self.logits)
        if not isinstance(self.kind, OutputKind):
            raise FormatError(f"{self.name}: kind must be logits, argmax or both, not {self.kind!r:.80}")
        if self.threshold is not None:
            most = 1 << (FORMAT_BITS_MAX - 1)
            check_number(f"{self.name}: threshold", self.threshold, -most, most - 1)

    @property
    def operands(self) -> tuple[str, ...]:
        """The logits."""
        return (self.logits,)

    def size(self, *sizes: int) -> int:
        """Return 1, the entries of the class."""
        if self.threshold is not None and sizes[0] != 1:
            raise FormatError(f"{self.name}: {self.logits} must have 1 entry for a threshold, not {sizes[0]}")
        return 1

    def evaluate(self, *operands: IntArray) -> IntArray:
        """Return the class, (..., 1), of logits (..., p)."""
        logits = operands[0]
        if self.threshold is not None:
            return np.asarray(logits > self.threshold, dtype=np.int64)
        found: IntArray = np.argmax(logits, axis=-1).astype(np.int64)[..., None]
        return found

    def interval(self, *operands: Interval) -> Interval:
        """Return the classes there can be."""
        return Interval.of(0, 1 if self.threshold is not None else max(len(operands[0].low) - 1, 0))
