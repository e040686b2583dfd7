"""The accumulator against Python integers: every instruction, every value of few bits, random runs."""

import random
from types import SimpleNamespace

import pytest
from program_bench import run_cycles
from program_model import signed

from qornn_hw.compiler.engines.simple.instruction import Kind
from qornn_hw.ir.formats import IntFormat
from qornn_hw.rtl_gen.engines.simple.accumulator import Accumulator

FORMATS = (None, *(IntFormat(b, s) for b in (1, 2, 3, 5, 8, 9, 48) for s in (False, True)))


def program(bits=8, digit_bits=3, formats=FORMATS):
    """Return what the accumulator reads of a program."""
    return SimpleNamespace(
        accumulator_bits=bits,
        digit_bits=digit_bits,
        product_bits=bits + 2,
        value_bits=bits,
        saturations=formats,
        layout={"number": 6, "units": 1},
        value_address_bits=1,
    )


def stage(kind, number=0, scale=0, enable=1):
    """Return an instruction in the stage."""
    return {"enable": enable, "kind": kind, "number": number, "scale": scale}


def load(value):
    """Return cycles that clear the accumulator and load a value."""
    return [{"stage": stage(Kind.STORE)}, {"stage": stage(Kind.MULTIPLY_ADD), "product": value}]


def test_every_value_saturates_to_every_format():
    """All values of 8 bits, formats narrower and wider than the accumulator."""
    cycles, wanted = [], []
    for value in range(-128, 128):
        cycles += load(value)
        wanted += [None, None]
        for number, form in enumerate(FORMATS):
            cycles.append({"stage": stage(Kind.STORE, number, enable=0)})
            wanted.append(value if form is None else min(max(value, form.min), form.max))
    seen = run_cycles(Accumulator(program()), cycles, "stored")
    assert [s for s, w in zip(seen, wanted, strict=True) if w is not None] == [
        w for w in wanted if w is not None
    ]


@pytest.mark.parametrize("kind", [Kind.ROUND_UP, Kind.ROUND_EVEN])
def test_every_value_rounds(kind):
    """All values of 7 bits, shifts of 1 to 5; half a unit goes up, or to the even integer."""
    cycles, wanted = [], []
    for value in range(-64, 64):
        for shift in range(1, 6):
            cycles += [*load(value), {"stage": stage(Kind.SHIFT), "product": 0}]
            cycles += [{"stage": stage(Kind.SHIFT)}] * (shift - 1)
            cycles += [{"stage": stage(kind)}, {"stage": stage(Kind.SHIFT, enable=0)}]
            low, rest = divmod(value, 1 << shift)
            half = 1 << shift - 1
            up = rest > half or (rest == half and (kind is Kind.ROUND_UP or low % 2 == 1))
            wanted.append((len(cycles) - 1, low + up))
    seen = run_cycles(Accumulator(program()), cycles, "value")
    assert [seen[at] for at, _ in wanted] == [w for _, w in wanted]


@pytest.mark.parametrize("seed", range(4))
def test_random_instructions(seed):
    """Any order of instructions, some of them not enabled."""
    choose = random.Random(seed)
    bits, digit_bits = choose.randint(4, 40), choose.randint(2, 8)
    cycles, wanted = [], []
    value = guard = sticky = 0
    for _ in range(3000):
        kind, enable = choose.choice(list(Kind)), choose.random() < 0.8
        adds = kind is Kind.MULTIPLY_ADD
        scale = adds and choose.random() < 0.3
        product = choose.randrange(-(1 << bits + 1), 1 << bits + 1) if adds else 0
        cycles.append({"stage": stage(kind, 0, scale, enable), "product": product})
        wanted.append(value)
        if not enable:
            continue
        if adds:
            value = (value << digit_bits * scale) + product
        elif kind is Kind.SHIFT:
            value, guard, sticky = value >> 1, value & 1, sticky | guard
        elif kind in (Kind.ROUND_UP, Kind.ROUND_EVEN):
            value += guard & (kind is Kind.ROUND_UP or sticky | value & 1)
        else:
            value = guard = sticky = 0
        value = signed(value, bits)
    assert run_cycles(Accumulator(program(bits, digit_bits, (None,))), cycles, "value") == wanted
