"""The index register against its rules, random instructions."""

import random
from types import SimpleNamespace

import pytest
from program_bench import run_cycles

from qornn_hw.compiler.engines.simple.instruction import Kind
from qornn_hw.ir.formats import IntFormat
from qornn_hw.rtl_gen.engines.simple.index import Index


@pytest.mark.parametrize("seed", range(3))
def test_random_instructions(seed):
    """CHOOSE only where the accumulator is not negative; INDEX with and without the unit; STORE clears."""
    choose = random.Random(seed)
    program = SimpleNamespace(
        input_format=IntFormat(3, signed=False),
        layout={"number": 7, "units": 5},
        value_address_bits=4,
        accumulator_bits=12,
        index_bits=9,
    )
    cycles, wanted, index = [], [], 0
    for _ in range(4000):
        kind, enable, with_unit = choose.choice(list(Kind)), choose.random() < 0.8, choose.random() < 0.5
        number, unit = choose.randrange(128), choose.randrange(32)
        accumulator = choose.randrange(-(1 << 11), 1 << 11)
        stage = {"enable": enable, "kind": kind, "number": number, "unit": unit, "with_unit": with_unit}
        cycles.append({"stage": stage, "accumulator": accumulator})
        wanted.append(index)
        if not enable:
            continue
        if kind is Kind.STORE:
            index = 0
        elif kind is Kind.CHOOSE and accumulator >= 0:
            index = unit if with_unit else number
        elif kind is Kind.INDEX:
            index = (accumulator % 8 + (unit << 3) if with_unit else accumulator) % 512
    assert run_cycles(Index(program), cycles, "index") == wanted
