"""From a network to a program of the simple engine.

Every value has words of its own in the value memory: the input, the constant 1, the states, then the results
of the operations. The bodies of an operation read its operands there and write its result. The states keep
their old values until the copies at the end of their layer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from qornn_hw.cells.any_network import ranges_of
from qornn_hw.compiler.engines.simple.body import Body, IntArray, Product, Tables
from qornn_hw.compiler.engines.simple.instruction import Coefficient, Instruction, Kind, Offset, Port, Stop
from qornn_hw.compiler.engines.simple.program import WAIT, Program
from qornn_hw.compiler.ports import answer_bits, answer_words
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.intervals import Ranges, check_ranges
from qornn_hw.ir.network import Network
from qornn_hw.ir.ops import MatVec, Multiply

__all__ = ["Assembler", "usual_digit_bits"]

ROUND = {Rounding.HALF_UP: Kind.ROUND_UP, Rounding.HALF_EVEN: Kind.ROUND_EVEN}


def usual_digit_bits(network: Network) -> int:
    """Return the bits of the widest weight of a vector, at least 2, so that each weight is one digit."""
    rows = [op for op in network.operations if isinstance(op, MatVec)]
    return max([2, *(term.bits for row in rows for term in row.terms if not term.one_hot)])


class Assembler:
    """A program under construction: its memory map, bodies and widths.

    Attributes:
        network: what is computed.
        ranges: of its values.
        one: the constant 1.
    """

    def __init__(self, network: Network, digit_bits: int) -> None:
        self.network = network
        self.ranges = ranges_of(network)
        check_ranges(network, self.ranges)
        self._digit_bits = digit_bits
        self._addresses: dict[str, int] = {}
        self._depth = 0
        self._value_bits = self._accumulator_bits = 2
        self._factor_digits = -(-_factor_bits(network, self.ranges) // digit_bits)
        self._saturations: list[IntFormat | None] = [None]
        self._tables = Tables()
        self._bodies: list[Body] = []
        self._starts: list[int] = []
        source = network.input
        self.allocate(1 if source.one_hot else source.size, Interval.of_format(source.format), source.name)
        self.one = self.allocate(1, Interval.of(1, 1))
        for name, state in network.states.items():
            self.allocate(state.size, self.ranges.values[name], name)

    # -- values ---------------------------------------------------------------------------------------

    def allocate(self, words: int, interval: Interval, name: str | None = None) -> int:
        """Return the address of a new value of so many words; with a name it is found under that."""
        address = self._depth
        self._depth += words
        self.hold(interval)
        self._value_bits = max(self._value_bits, interval.bits)
        if name is not None:
            self._addresses[name] = address
        return address

    def result(self, name: str) -> int:
        """Return the address of the result of an operation, and make room for it if there is none."""
        if name not in self._addresses:
            self.allocate(self.network.sizes[name], self.ranges.values[name], name)
        return self._addresses[name]

    def symbol(self) -> Product:
        """Return the input of a step, an index."""
        return Product(self._addresses[self.network.input.name], Offset.NONE, 1)

    def vector(self, name: str, weights: IntArray) -> Product:
        """Return the product of a whole vector with the weights (units, entries)."""
        return Product(self._addresses[name], Offset.REPEAT, weights)

    def entry(self, value: str | int, factor: int | IntArray) -> Product:
        """Return the product of a unit's own entry of a value, by name or address, with a factor."""
        address = self._addresses[value] if isinstance(value, str) else value
        return Product(address, Offset.UNIT, _by_unit(factor))

    def entry_of_index(self, value: str, factor: int) -> Product:
        """Return the product of that entry of a value which the index chooses with a factor."""
        return Product(self._addresses[value], Offset.INDEX, factor)

    def looked_up(self, value: str | int, table: IntArray, origin: int = 0) -> Product:
        """Return the product of a unit's own entry with that entry of a table which the index chooses."""
        address = self._addresses[value] if isinstance(value, str) else value
        return Product(address, Offset.UNIT, table, origin)

    def constant(self, value: int | IntArray) -> Product:
        """Return a constant, one for all units or one for each."""
        return Product(self.one, Offset.NONE, _by_unit(value))

    def constant_of_index(self, table: IntArray, origin: int = 0) -> Product:
        """Return the entry of a table which the index chooses."""
        return Product(self.one, Offset.NONE, table, origin)

    # -- bodies ---------------------------------------------------------------------------------------

    @contextmanager
    def body(self, units: int) -> Iterator[Body]:
        """Give a new body to be filled. What it writes can be read behind it."""
        body = Body(units, self._digit_bits, self._tables)
        self._bodies.append(body)
        yield body
        body.instructions[-1] = replace(body.instructions[-1], units=units)
        self._bodies.append(Body(1, self._digit_bits, self._tables, [Instruction(count=WAIT, units=1)]))

    def hold(self, interval: Interval) -> None:
        """Make the accumulator wide enough for a sum."""
        self._accumulator_bits = max(self._accumulator_bits, interval.bits)

    def store(
        self,
        body: Body,
        address: int,
        *,
        form: IntFormat | None = None,
        port: Port = Port.NONE,
    ) -> None:
        """Add the instruction that writes the accumulator, saturated to a format."""
        if form not in self._saturations:
            self._saturations.append(form)
        number = self._saturations.index(form)
        body.add(Instruction(Kind.STORE, address=address, offset=Offset.UNIT, number=number, port=port))

    def finish(self, body: Body, name: str, shift: int, rounding: Rounding, form: IntFormat) -> None:
        """Add the end of an operation: shift, round, saturate, write."""
        body.shift(shift, ROUND[rounding])
        self.store(body, self.result(name), form=form)

    def multiply(self, body: Body, value: str, factor: str) -> None:
        """Add the product of a unit's own entries of two values."""
        body.sum(self.entry(factor, 1))
        body.add(Instruction(Kind.FACTOR))
        body.wait()
        digit = Instruction(
            address=self._addresses[value], offset=Offset.UNIT, coefficient=Coefficient.FACTOR, scale=True
        )
        for _ in range(self._factor_digits):
            body.add(digit)

    # -- the program ----------------------------------------------------------------------------------

    def begin_part(self) -> None:
        """Begin the second or the third part of the program."""
        self._starts.append(len(self._bodies))

    def stop(self, when: Stop) -> None:
        """Make the program end here, under a condition."""
        body = self._bodies[-1]
        body.instructions[-1] = replace(body.instructions[-1], stop=when)

    def program(self) -> Program:
        """Return the program."""
        net, step = self.network, self._starts[0]
        streams = [body.stream for body in self._bodies]
        tables = sum(map(len, streams))
        return Program(
            instructions=tuple(i for body in self._bodies for i in _linked(body, tables)),
            coefficients=(*(d for stream in streams for d in stream), *self._tables.words),
            step_instruction=sum(len(body.instructions) for body in self._bodies[:step]),
            step_coefficient=sum(map(len, streams[:step])),
            digit_bits=self._digit_bits,
            accumulator_bits=self._accumulator_bits,
            value_bits=self._value_bits,
            value_depth=self._depth,
            one=self.one,
            factor_digits=self._factor_digits,
            saturations=tuple(self._saturations),
            input_format=net.input.format,
            input_size=net.input.size,
            one_hot=net.input.one_hot,
            every_step=net.every_step,
            answer_bits=answer_bits(net),
            answer_words=answer_words(net),
            state_bits=max(state.format.signed_bits for state in net.states.values()),
        )


def _by_unit(constants: int | IntArray) -> int | IntArray:
    return constants if isinstance(constants, int) else constants[:, None]


def _factor_bits(network: Network, ranges: Ranges) -> int:
    """Return the bits of the widest factor: of each product the narrower value."""
    products = [op for op in network.operations if isinstance(op, Multiply)]
    return max((min(map(ranges.bits, op.operands)) for op in products), default=0)


def _linked(body: Body, tables: int) -> Iterator[Instruction]:
    """Yield the instructions of a body, now that it is known where the tables begin."""
    for instruction in body.instructions:
        if instruction.coefficient is Coefficient.TABLE:
            instruction = replace(instruction, number=instruction.number + tables)
        yield instruction
