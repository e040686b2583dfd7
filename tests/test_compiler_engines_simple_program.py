"""Programs as data: JSON, memories, widths; what breaks one changes it."""

import json
from dataclasses import replace

import pytest
from random_operations import draw_network

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Instruction, Kind, Stop
from qornn_hw.compiler.engines.simple.lowering import assemble
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.ir.intervals import value_ranges


@pytest.fixture(scope="module", params=range(8))
def made(request):
    """Return a random network and its program."""
    network = draw_network(request.param)
    return network, assemble(network)


def test_json_gives_the_program_back(made):
    """Through text."""
    program = made[1]
    assert Program.from_json(json.loads(json.dumps(program.to_json()))) == program


def test_the_memory_holds_every_field(made):
    """The fields of each word of the program are those of its instruction."""
    program = made[1]
    for instruction, word in zip(program.instructions, program.instruction_memory.words, strict=False):
        found = {}
        for name, bits in program.layout.items():
            found[name] = word & (1 << bits) - 1
            word >>= bits
        number = instruction.number & (1 << program.layout["number"]) - 1
        wanted = {**vars(instruction), "count": instruction.count - 1, "number": number}
        units = {"units": max(0, instruction.units - 1), "ends": instruction.units > 0}
        assert found == wanted | units


def test_values_fit_their_memory(made):
    """Its words have the bits of the widest value, and the constant 1 is there."""
    network, program = made
    assert program.value_bits >= max(i.bits for i in value_ranges(network).values.values())
    assert program.value_memory.words[program.one] == 1
    assert sum(program.value_memory.words) == 1


def test_parts_of_the_program(made):
    """The first ends where the second begins; the last instruction ends the program."""
    program = made[1]
    assert program.instructions[program.step_instruction - 1].units
    before = program.instructions[: program.step_instruction]
    streamed = sum(
        sum(i.count for i in body if i.coefficient is Coefficient.STREAM) * body[-1].units
        for body in program.bodies
        if set(body) <= set(before)
    )
    assert streamed >= program.step_coefficient
    stops = [i.stop for i in program.instructions if i.stop is not Stop.NEVER]
    assert stops == [Stop.UNANSWERED, Stop.ALWAYS] and program.instructions[-1].stop is Stop.ALWAYS


def test_every_field_of_an_instruction_makes_another_word():
    """No field of an instruction is left out of the memory."""
    program = assemble(draw_network(1))
    plain = Instruction(count=2, units=2)
    for changed in (
        replace(plain, kind=Kind.STORE),
        replace(plain, count=1),
        replace(plain, address=1),
        replace(plain, offset=1),
        replace(plain, coefficient=Coefficient.STREAM),
        replace(plain, number=1),
        replace(plain, scale=True),
        replace(plain, port=1),
        replace(plain, units=1),
        replace(plain, units=0),
        replace(plain, stop=Stop.ALWAYS),
    ):
        pair = replace(program, instructions=(*program.instructions, plain, changed)).instruction_memory.words
        assert pair[-3] != pair[-2]
