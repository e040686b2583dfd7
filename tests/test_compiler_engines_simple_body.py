"""The instructions of sums, by hand, and what they compute."""

import numpy as np
import pytest
from program_model import signed

from qornn_hw.compiler.engines.simple.body import Body, Product, Tables
from qornn_hw.compiler.engines.simple.instruction import Coefficient, Instruction, Kind, Offset


def body(units=1, digit_bits=4):
    """Return an empty body."""
    return Body(units, digit_bits, Tables())


def computed(made, values, index=0):
    """Return the accumulator of each unit behind the instructions of a body of sums."""
    stream, results = iter(made.stream), []
    for unit in range(made.units):
        total = 0
        for instruction in made.instructions:
            for repeat in range(instruction.count):
                offset = (0, repeat, unit, index)[instruction.offset]
                match instruction.coefficient:
                    case Coefficient.NUMBER:
                        digit = instruction.number
                    case Coefficient.STREAM:
                        digit = next(stream)
                    case Coefficient.TABLE:
                        digit = made.tables.words[instruction.number + index]
                total <<= made.digit_bits * (instruction.scale and repeat == 0)
                total += values[instruction.address + offset] * digit
        results.append(signed(total, 64))
    return results


def test_a_constant_of_two_digits():
    """The high digit first; the accumulator moves up by a digit in front of the low one."""
    made = body()
    made.sum(Product(7, Offset.NONE, 0x25))
    assert made.instructions == [
        Instruction(address=7, number=2),
        Instruction(address=7, number=5, scale=True),
    ]


def test_a_digit_of_zero_takes_no_cycle():
    """A power of two is one product; the levels below it only move the accumulator."""
    made = body()
    made.sum(Product(7, Offset.UNIT, 0x100))
    moves = Instruction(scale=True)
    assert made.instructions == [Instruction(address=7, offset=Offset.UNIT, number=1), moves, moves]


def test_weights_come_from_the_stream():
    """A repetition for each entry, and the digits of unit 0 first."""
    made = body(units=2)
    made.sum(Product(3, Offset.REPEAT, np.array([[1, -2], [3, -4]])))
    (only,) = made.instructions
    assert (only.count, only.coefficient, only.offset) == (2, Coefficient.STREAM, Offset.REPEAT)
    assert made.stream == [1, -2, 3, -4]


def test_equal_constants_are_no_part_of_the_stream():
    """They are in the instruction."""
    made = body(units=3)
    made.sum(Product(3, Offset.UNIT, np.array([[5], [5], [5]])))
    assert made.instructions == [Instruction(address=3, offset=Offset.UNIT, number=5)]
    assert made.stream == []


def test_equal_tables_are_there_once():
    """Two operations with the same entries read the same words."""
    made = body()
    for _ in range(2):
        made.sum(Product(0, Offset.NONE, np.array([1, 2, 3])))
    made.sum(Product(0, Offset.NONE, np.array([1, 2, 4])))
    assert made.tables.words == [1, 2, 3, 1, 2, 4]
    assert [i.number for i in made.instructions] == [0, 0, 3]


def test_shift_zero_rounds_nothing():
    """There is no instruction then."""
    made = body()
    made.shift(0, Kind.ROUND_UP)
    assert made.instructions == []


@pytest.mark.parametrize("seed", range(30))
def test_random_sums(seed):
    """Vectors, entries, constants and tables of many digits, each unit with its own, against Python."""
    rng = np.random.default_rng(seed)
    units, columns, digit_bits = rng.integers(1, 5), rng.integers(1, 5), int(rng.integers(2, 9))
    index = int(rng.integers(0, 4))
    values = [*rng.integers(-99, 100, 20).tolist()]

    def constants(*shape):
        return rng.integers(-(1 << 20), 1 << 20, shape) >> rng.integers(0, 20)

    weights, own, table, one = constants(units, columns), constants(units, 1), constants(4), int(constants())
    made = body(int(units), digit_bits)
    made.sum(
        Product(0, Offset.REPEAT, weights),
        Product(5, Offset.UNIT, own),
        Product(10, Offset.NONE, table),
        Product(11, Offset.INDEX, one),
    )
    assert computed(made, values, index) == [
        int(weights[i] @ np.array(values[:columns]))
        + int(own[i, 0]) * values[5 + i]
        + int(table[index]) * values[10]
        + one * values[11 + index]
        for i in range(units)
    ]
