"""The instructions of the simple engine.

The engine has one accumulator ``acc``, one memory of values, and one of coefficients, whose words are digits
of ``digit_bits`` bits. An instruction is repeated ``count`` times, one cycle each. A *body* is a run of
instructions that is executed once for each unit of an operation; its last instruction says for how many.

    MULTIPLY_ADD   acc = acc + value * digit; with ``scale`` acc = (acc << digit_bits) + value * digit
    SHIFT          acc = acc >> 1
    ROUND_UP       acc = acc + 1 where the last bit that was shifted out is 1
    ROUND_EVEN     the same; but of a value half way between two integers the even one
    STORE          value = acc, saturated; then acc = index = 0
    CHOOSE         index = number (or the unit) where acc >= 0; then acc = 0
    INDEX          index = acc (or acc and the unit side by side); then acc = 0
    FACTOR         factor = acc; then acc = 0
"""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Coefficient", "Instruction", "Kind", "Offset", "Port", "Stop"]


class Kind(IntEnum):
    """What an instruction does to the accumulator."""

    MULTIPLY_ADD = 0
    SHIFT = 1
    ROUND_UP = 2
    ROUND_EVEN = 3
    STORE = 4
    CHOOSE = 5
    INDEX = 6
    FACTOR = 7


class Offset(IntEnum):
    """What is added to an instruction's address.

    NONE: nothing. REPEAT: the number of the repetition, 0 first. UNIT: the number of the unit. INDEX: the
    index. With CHOOSE and INDEX it says whether the unit is taken: see :class:`Kind`.
    """

    NONE = 0
    REPEAT = 1
    UNIT = 2
    INDEX = 3


class Coefficient(IntEnum):
    """Where the digit of a MULTIPLY_ADD comes from.

    NUMBER: the instruction. STREAM: the coefficient memory, the next word at each use. TABLE: the coefficient
    memory at ``number + index``. FACTOR: the factor, its highest digit first.
    """

    NUMBER = 0
    STREAM = 1
    TABLE = 2
    FACTOR = 3


class Port(IntEnum):
    """Which port of the core shows what STORE writes.

    ANSWER_END: the last unit's word is the last word of an answer.
    """

    NONE = 0
    STATE = 1
    ANSWER = 2
    ANSWER_END = 3


class Stop(IntEnum):
    """Whether the program ends behind the last unit of a body: never, unless the step is answered, always."""

    NEVER = 0
    UNANSWERED = 1
    ALWAYS = 2


@dataclass(frozen=True)
class Instruction:
    """One word of a program.

    Attributes:
        kind: what it does.
        count: repetitions, at least 1.
        address: of the value that is read, or with STORE written.
        offset: what is added to the address.
        coefficient: where the digit comes from.
        number: a digit, signed; with TABLE an address of the coefficient memory; with STORE an index into the
            program's ranges of saturation; with CHOOSE the new index.
        scale: whether the accumulator moves up by a digit in the first repetition.
        port: which port shows what is stored.
        units: 0, or for the last instruction of a body the number of units.
        stop: whether the program ends here.
    """

    kind: Kind = Kind.MULTIPLY_ADD
    count: int = 1
    address: int = 0
    offset: Offset = Offset.NONE
    coefficient: Coefficient = Coefficient.NUMBER
    number: int = 0
    scale: bool = False
    port: Port = Port.NONE
    units: int = 0
    stop: Stop = Stop.NEVER
