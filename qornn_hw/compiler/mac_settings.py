"""How a hard multiplier with an adder behind it is set."""

from dataclasses import dataclass

__all__ = ["MacSettings"]


@dataclass(frozen=True)
class MacSettings:
    """How a hard multiplier is set.

    Attributes:
        a_signed, b_signed: whether an operand is signed.
        carry: whether the carry of the lower half of its adder reaches the upper half.
    """

    a_signed: bool = True
    b_signed: bool = True
    carry: bool = True
