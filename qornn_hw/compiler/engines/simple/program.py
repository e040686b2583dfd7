"""A program of the simple engine: everything that makes the hardware of a network, as plain data."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

from qornn_hw.compiler.engines.simple.instruction import (
    Coefficient,
    Instruction,
    Kind,
    Offset,
    Port,
    Stop,
)
from qornn_hw.compiler.memory import Field, Memory
from qornn_hw.ir.formats import IntFormat

__all__ = ["ANSWER_PERIOD", "LATENCY", "WAIT", "Program"]

# From the cycle in which an instruction is issued to that in which it changes the accumulator, and the cycles
# between an instruction that writes a value or the index and one that may read it.
LATENCY = 3
WAIT = 3
# From a word of an answer to the next one, at least; more where nobody takes them.
ANSWER_PERIOD = 5


@dataclass(frozen=True)
class Program:
    """Instructions, memory contents and widths of one network.

    The program has three parts in a row: the first gives the states their initial values, the second computes
    a step, the third the answer. A step begins at the first part after a reset and at the beginning of a
    sequence, else at the second; it ends before the third where it is not answered.

    Attributes:
        instructions: the program.
        coefficients: the digits, in the order in which the program takes them; behind them the tables.
        step_instruction, step_coefficient: where the second part begins, in either.
        digit_bits: bits of a digit, signed.
        accumulator_bits: of the accumulator, signed: every sum fits.
        value_bits: of a word of the value memory, signed.
        value_depth: words of the value memory; the first hold the input.
        one: the address of the constant 1 among them.
        factor_digits: digits of the factor; 0 where no values are multiplied with each other.
        saturations: the formats to which STORE saturates; None does not.
        input_format: of a word of the input.
        input_size: m, the entries of a vector or the number of symbols.
        one_hot: whether the input is the index of a symbol.
        every_step: whether every step is answered, or the last of a sequence only.
        answer_bits: of a word of an answer, signed.
        answer_words: words of an answer.
        state_bits: of a word of the state port, signed.
    """

    instructions: tuple[Instruction, ...]
    coefficients: tuple[int, ...]
    step_instruction: int
    step_coefficient: int
    digit_bits: int
    accumulator_bits: int
    value_bits: int
    value_depth: int
    one: int
    factor_digits: int
    saturations: tuple[IntFormat | None, ...]
    input_format: IntFormat
    input_size: int
    one_hot: bool
    every_step: bool
    answer_bits: int
    answer_words: int
    state_bits: int

    # -- ports ----------------------------------------------------------------------------------------

    @property
    def input_words(self) -> int:
        """Words of the input stream for a step."""
        return 1 if self.one_hot else self.input_size

    # -- widths ---------------------------------------------------------------------------------------

    @property
    def multiplier_bits(self) -> int:
        """Bits of the digit at the multiplier: all but the highest digit of a factor have no sign."""
        return self.digit_bits + (self.factor_digits > 0)

    @property
    def product_bits(self) -> int:
        """Bits of a product, signed."""
        return self.value_bits + self.multiplier_bits

    @property
    def value_address_bits(self) -> int:
        """Bits of an address of the value memory."""
        return (self.value_depth - 1).bit_length()

    @property
    def coefficient_address_bits(self) -> int:
        """Bits of an address of the coefficient memory, which has a word behind the last coefficient."""
        return max(1, len(self.coefficients).bit_length())

    @property
    def index_bits(self) -> int:
        """Bits of the index, which is added to addresses of either memory."""
        return max(self.value_address_bits, self.coefficient_address_bits)

    # -- memories -------------------------------------------------------------------------------------

    @cached_property
    def layout(self) -> dict[str, int]:
        """Bits of each field of an instruction in the memory, the first in the lowest bits.

        ``count`` and ``units`` are one less there; ``ends`` tells the last instruction of a body.
        """
        codes = [_code(instruction) for instruction in self.instructions]
        layout = {name: max(code[name].bit_length() for code in codes) for name in codes[0]}
        numbers = [code["number"] for code in codes]
        layout["number"] = max(self.digit_bits, *(n.bit_length() for n in numbers))
        for name, kinds in (("kind", Kind), ("offset", Offset), ("coefficient", Coefficient)):
            layout[name] = (len(kinds) - 1).bit_length()
        layout |= {"port": 2, "stop": 2}
        return {name: max(1, bits) for name, bits in layout.items()}

    @cached_property
    def instruction_memory(self) -> Memory:
        """The instructions, their fields by :attr:`layout`, and a word behind them."""
        fields = tuple(Field(name, bits, signed=False) for name, bits in self.layout.items())
        codes = [_code(instruction) for instruction in self.instructions]
        rows = [[code[f.name] & ((1 << f.bits) - 1) for f in fields] for code in codes]
        return Memory.of("program", fields, (*rows, [0] * len(fields)))

    @cached_property
    def coefficient_memory(self) -> Memory:
        """The coefficients in two's complement, and a word behind the last one of the stream."""
        rows = ([int(digit)] for digit in (*self.coefficients, 0))
        return Memory.of("coefficients", (Field("digit", self.digit_bits),), rows)

    @cached_property
    def value_memory(self) -> Memory:
        """What the value memory starts with: the constant 1, else zeros."""
        rows = ([int(address == self.one)] for address in range(self.value_depth))
        return replace(Memory.of("values", (Field("value", self.value_bits),), rows), written=True)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """All memories of the core."""
        return self.instruction_memory, self.coefficient_memory, self.value_memory

    # -- cycles ---------------------------------------------------------------------------------------

    @cached_property
    def bodies(self) -> tuple[tuple[Instruction, ...], ...]:
        """The instructions of each body."""
        found: list[tuple[Instruction, ...]] = []
        body: list[Instruction] = []
        for instruction in self.instructions:
            body.append(instruction)
            if instruction.units:
                found.append(tuple(body))
                body = []
        return tuple(found)

    def _parts(self) -> Iterator[tuple[int, tuple[Instruction, ...]]]:
        """Yield each body with the part of the program that it belongs to: 0, 1 or 2."""
        part, at = 0, 0
        for body in self.bodies:
            if at == self.step_instruction:
                part = 1
            yield part, body
            at += len(body)
            if body[-1].stop is Stop.UNANSWERED:
                part = 2

    @cached_property
    def part_cycles(self) -> tuple[int, int, int]:
        """Cycles of each part of the program, where nobody makes an answer wait."""
        cycles = [0, 0, 0]
        for part, body in self._parts():
            cycles[part] += _body_cycles(body)
        return cycles[0], cycles[1], cycles[2]

    @property
    def cycles_per_step(self) -> int:
        """Cycles from step to step within a sequence, the streams never making the core wait.

        A word of the input a cycle, one to begin, then the program. In the mode ``last_step`` the step is one
        that is not answered.
        """
        _, step, answer = self.part_cycles
        return self.input_words + 1 + step + (answer if self.every_step else 0)

    @property
    def answer_latency(self) -> int:
        """Cycles from the last word of an input, not the first of a sequence, to the first of its answer."""
        return self._answer_cycles[0]

    @property
    def answer_end_latency(self) -> int:
        """Cycles from the last word of an input, not the first of a sequence, to the last of its answer."""
        return self._answer_cycles[-1]

    @cached_property
    def _answer_cycles(self) -> list[int]:
        """The cycle of the first and of the last word of each body that gives words of an answer."""
        found, before = [], 0
        for part, body in self._parts():
            if part == 0:
                continue
            at = 0
            for instruction in body:
                at += instruction.count
                if instruction.port in (Port.ANSWER, Port.ANSWER_END):
                    first = before + at + LATENCY + 2
                    found += [first, first + (body[-1].units - 1) * _unit_cycles(body)]
            before += _body_cycles(body)
        return found

    # -- JSON -----------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return the program as plain data."""
        return {
            **asdict(self),
            "instructions": [[int(v) for v in vars(i).values()] for i in self.instructions],
            "coefficients": list(self.coefficients),
            "saturations": [None if f is None else [f.bits, f.signed] for f in self.saturations],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the program that :meth:`to_json` gave."""
        return cls(
            **value
            | {
                "instructions": tuple(_instruction(numbers) for numbers in value["instructions"]),
                "coefficients": tuple(value["coefficients"]),
                "saturations": tuple(f if f is None else IntFormat(*f) for f in value["saturations"]),
                "input_format": IntFormat(**value["input_format"]),
            }
        )


def _code(instruction: Instruction) -> dict[str, int]:
    """Return the fields of an instruction as numbers of the memory."""
    fields = {name: int(value) for name, value in vars(instruction).items()}
    units = instruction.units
    return {**fields, "count": instruction.count - 1, "units": max(0, units - 1), "ends": int(units > 0)}


def _unit_cycles(body: tuple[Instruction, ...]) -> int:
    """Return the cycles from one unit of a body to the next."""
    once = sum(instruction.count for instruction in body)
    answers = any(instruction.port in (Port.ANSWER, Port.ANSWER_END) for instruction in body)
    return max(once, ANSWER_PERIOD) if answers else once


def _body_cycles(body: tuple[Instruction, ...]) -> int:
    once = sum(instruction.count for instruction in body)
    return once + (body[-1].units - 1) * _unit_cycles(body)


def _instruction(numbers: list[int]) -> Instruction:
    kinds = (Kind, int, int, Offset, Coefficient, int, bool, Port, int, Stop)
    return Instruction(*(kind(number) for kind, number in zip(kinds, numbers, strict=True)))
