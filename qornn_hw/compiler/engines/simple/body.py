"""Bodies of a program: the instructions that compute one unit of an operation.

Every linear operation is a sum of products ``value * constant``. The constants are written in digits
(:func:`~qornn_hw.compiler.engines.simple.digits.balanced_digits`), and the sum is computed from the highest
digits down, the accumulator moving up by a digit from level to level:

    acc = sum of value * digit[1];    acc = (acc << digit_bits) + sum of value * digit[0]

So a constant of any width takes one cycle a digit, and a left shift is only another constant.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.engines.simple.digits import balanced_digits
from qornn_hw.compiler.engines.simple.instruction import Coefficient, Instruction, Kind, Offset
from qornn_hw.compiler.engines.simple.program import WAIT

__all__ = ["Body", "Product", "Tables"]

IntArray = NDArray[np.int64]


@dataclass
class Tables:
    """The tables behind the coefficients; planes of digits with the same contents are there once.

    Attributes:
        start: the address of the first one.
        words: of all of them.
    """

    start: int = 0
    words: list[int] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def place(self, plane: IntArray) -> int:
        """Return where a plane of digits is, counted from the first table; put it there if it is new."""
        key = plane.tobytes()
        if key not in self._known:
            self._known[key] = len(self.words)
            self.words += plane.tolist()
        return self._known[key]


@dataclass(frozen=True)
class Product:
    """``value * constant``, or a sum of such products over the entries of a vector.

    Attributes:
        address, offset: of the value; with ``Offset.REPEAT`` the entries of a vector from there on.
        constants: one integer for all units; or (units, entries), entries 1 without a vector; or a table
            (size,), whose entry ``index + origin`` counts.
        origin: of a table.
    """

    address: int
    offset: Offset
    constants: int | IntArray
    origin: int = 0

    @property
    def is_table(self) -> bool:
        """Whether the index chooses the constant."""
        return isinstance(self.constants, np.ndarray) and self.constants.ndim == 1


@dataclass
class Body:
    """The instructions of a body under construction.

    Attributes:
        units: how often it is executed.
        digit_bits: of a digit.
        tables: where its tables go.
        instructions: so far; ``number`` of a TABLE counts from the first table.
        streams: the digits that they take from the stream, (units, count) each.
    """

    units: int
    digit_bits: int
    tables: Tables
    instructions: list[Instruction] = field(default_factory=list)
    streams: list[IntArray] = field(default_factory=list)

    def add(self, instruction: Instruction) -> None:
        """Add an instruction."""
        self.instructions.append(instruction)

    def wait(self) -> None:
        """Add cycles in which nothing happens, until what was written can be read."""
        self.add(Instruction(count=WAIT))

    def sum(self, *products: Product) -> None:
        """Add the instructions that add the sum of products to an accumulator of 0."""
        planes = [balanced_digits(p.constants, self.digit_bits) for p in products]
        highest = max(len(levels) for levels in planes) - 1
        for level in range(highest, -1, -1):
            first = len(self.instructions)
            for product, levels in zip(products, planes, strict=True):
                if level < len(levels) and np.any(levels[level]):
                    self._multiply_add(product, levels[level])
            if level < highest:
                if first == len(self.instructions):
                    self.add(Instruction())
                self.instructions[first] = replace(self.instructions[first], scale=True)

    def _multiply_add(self, product: Product, digits: IntArray) -> None:
        instruction = Instruction(address=product.address, offset=product.offset)
        if product.is_table:
            number = self.tables.place(digits) + product.origin
            self.add(replace(instruction, coefficient=Coefficient.TABLE, number=number))
        elif product.offset is not Offset.REPEAT and np.all(digits == digits.flat[0]):
            self.add(replace(instruction, number=int(digits.flat[0])))
        else:
            self.streams.append(digits)
            count = digits.shape[1]
            self.add(replace(instruction, coefficient=Coefficient.STREAM, count=count))

    def choose(self, number: int | None) -> None:
        """Add ``index = number`` where the accumulator is not negative; None stands for the unit."""
        offset = Offset.UNIT if number is None else Offset.NONE
        self.add(Instruction(Kind.CHOOSE, offset=offset, number=number or 0))

    def index(self, value: Product, *, with_unit: bool = False) -> None:
        """Add the instructions that make a value the index, or the value and the unit side by side."""
        self.sum(value)
        self.add(Instruction(Kind.INDEX, offset=Offset.UNIT if with_unit else Offset.NONE))
        self.wait()

    def shift(self, shift: int, rounding: Kind) -> None:
        """Add the right shift of the accumulator with its rounding."""
        if shift:
            self.add(Instruction(Kind.SHIFT, count=shift))
            self.add(Instruction(rounding))

    @property
    def stream(self) -> list[int]:
        """The digits in the order in which all units take them."""
        if not self.streams:
            return []
        stream: list[int] = np.concatenate(self.streams, axis=1).reshape(-1).tolist()
        return stream
