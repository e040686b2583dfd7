"""The nodes of a tail: what is computed behind the accumulators, unit by unit, as a graph of registers.

Each node has a result that its register shows from ``latency`` cycles after its start on. An operand is the
name of a node, some bits of its result, or a constant. All sums are modulo two to the bits of their node.
"""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from qornn_hw.ir.formats import IntFormat, Rounding

__all__ = [
    "Accumulator",
    "Constant",
    "Load",
    "Lookup",
    "MultiplyAdd",
    "Negate",
    "Node",
    "Operand",
    "Pick",
    "Positive",
    "Round",
    "SignedSize",
    "Slice",
    "Store",
    "Sum",
    "Summand",
    "Symbol",
    "Transformed",
]


@dataclass(frozen=True)
class Constant:
    """A number of the network: one for all units, or one for each.

    Attributes:
        values: one, or one a unit.
        bits: of the signed field that holds it.
    """

    values: tuple[int, ...]
    bits: int

    @property
    def is_shared(self) -> bool:
        """Whether all units have the same number."""
        return len(self.values) == 1


@dataclass(frozen=True)
class Slice:
    """Some bits of a node's result, as a number.

    Attributes:
        node: whose result it is.
        low: the lowest bit.
        width: bits.
        signed: whether the highest bit is a sign.
    """

    node: str
    low: int
    width: int
    signed: bool

    @property
    def bits(self) -> int:
        """Signed bits."""
        return self.width + (not self.signed)


Operand: TypeAlias = "str | Constant | Slice"


@dataclass(frozen=True)
class Summand:
    """``operand << shift``, or with ``negative`` minus that."""

    operand: Operand
    shift: int = 0
    negative: bool = False


@dataclass(frozen=True)
class Node:
    """A value of a tail.

    Attributes:
        name: of the value, unique in a tail.
        bits: signed bits of the result.
    """

    name: str
    bits: int
    latency: ClassVar[int] = 1

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The operands, each with the cycle after the start in which it is read."""
        return ()


@dataclass(frozen=True)
class Accumulator(Node):
    """The accumulator of a lane, there from the beginning.

    Attributes:
        position: of the lane among those of a unit.
        phase: whose sum it is.
    """

    position: int
    phase: int
    latency: ClassVar[int] = 0


@dataclass(frozen=True)
class Load(Node):
    """A unit's entry of a value that another step or another tail has stored.

    Attributes:
        value: the name of the stored value.
        fresh: whether a tail of the same step has stored it; else a step that begins a sequence reads the
            initial value.
    """

    value: str
    fresh: bool


@dataclass(frozen=True)
class Transformed(Node):
    """A unit's entry of a state that has been transformed; 0 in a step that begins a sequence.

    Attributes:
        value: the name of the state.
    """

    value: str
    latency: ClassVar[int] = 3


@dataclass(frozen=True)
class Negate(Node):
    """``value``, or minus that where the sign is negative; the bits hold both."""

    value: str
    sign: Constant

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The value and the sign."""
        return (self.value, 0), (self.sign, 0)


@dataclass(frozen=True)
class Symbol(Node):
    """A unit's weight of the step's symbol.

    Attributes:
        row: the name of the MatVec.
    """

    row: str


@dataclass(frozen=True)
class Sum(Node):
    """The sum of ``summands``."""

    summands: tuple[Summand, ...]

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """All in the first cycle."""
        return tuple((summand.operand, 0) for summand in self.summands)


@dataclass(frozen=True)
class MultiplyAdd(Node):
    """``(a * b << shift) + addend``, on a multiplier that nodes share."""

    a: Operand
    b: Operand
    addend: Operand
    shift: int = 0
    latency: ClassVar[int] = 3

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The factors first; the addend when their product is there."""
        return (self.a, 0), (self.b, 0), (self.addend, 2)


@dataclass(frozen=True)
class Round(Node):
    """``value >> shift``, where ``2**(shift-1)`` has been added to it, rounded and saturated to a format."""

    value: str
    shift: int
    rounding: Rounding
    form: IntFormat

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The value."""
        return ((self.value, 0),)


@dataclass(frozen=True)
class Lookup(Node):
    """The entry of a table in a memory that nodes share, and an offset.

    Attributes:
        index: the node whose result is the index, modulo the entries.
        table: number of the table.
        offset: added to the entry.
    """

    index: str
    table: int
    offset: int
    latency: ClassVar[int] = 2

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The index."""
        return ((self.index, 0),)


@dataclass(frozen=True)
class Positive(Node):
    """``max(value, 0)``."""

    value: str

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The value."""
        return ((self.value, 0),)


@dataclass(frozen=True)
class Pick(Node):
    """The entry of the piece that holds the value: entry k, where k knots are at most the value."""

    value: str
    knots: tuple[int, ...]
    entries: tuple[int, ...]

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The value."""
        return ((self.value, 0),)


@dataclass(frozen=True)
class SignedSize(Node):
    """``sign(value) * max(abs(value) + bias, 0)``."""

    value: str
    bias: Constant
    latency: ClassVar[int] = 2

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The bias when the absolute value is there, and the sign."""
        return (self.value, 0), (self.value, 1), (self.bias, 1)


@dataclass(frozen=True)
class Store(Node):
    """The value is kept under a name: as operands of a matrix, for other tails, as a new state.

    Attributes:
        value: the node.
        target: the name of the stored value.
        is_operand: whether a matrix reads it.
        is_loaded: whether a tail loads it.
        is_state: whether it is a state, which the port for benches shows.
        is_transformed: whether a transform of the next step reads it.
    """

    value: str
    target: str
    is_operand: bool
    is_loaded: bool
    is_state: bool
    is_transformed: bool
    latency: ClassVar[int] = 0

    @property
    def reads(self) -> tuple[tuple[Operand, int], ...]:
        """The value."""
        return ((self.value, 0),)
