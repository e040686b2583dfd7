"""The multiplier against Python, and what yosys makes of it with hard multipliers against the Verilog."""

import json
import random
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from primitive_harness import harness_of
from program_bench import run_cycles
from simulators import DEFAULT

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.compiler.engines.simple.instruction import Coefficient, Kind
from qornn_hw.rtl_gen.emit import emit_verilog
from qornn_hw.rtl_gen.engines.simple.multiplier import Multiplier
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim.plan import PLAN_VARIABLE
from qornn_hw.sim.runner import build_bench

# Bits of the value and of a digit: one hard multiplier, or several of them added up.
WIDTHS = [
    (8, 8),
    (15, 4),
    (16, 2),
    (16, 8),
    (17, 4),
    (18, 8),
    (20, 3),
    (22, 8),
    (24, 5),
    (26, 6),
    (33, 4),
    (48, 4),
]
VALUE_BITS, DIGIT_BITS = 48, 8
CYCLES = 800


def program(value_bits, digit_bits, factor_digits=0):
    """Return what the multiplier reads of a program."""
    multiplier_bits = digit_bits + (factor_digits > 0)
    return SimpleNamespace(
        value_bits=value_bits,
        digit_bits=digit_bits,
        factor_digits=factor_digits,
        multiplier_bits=multiplier_bits,
        product_bits=value_bits + multiplier_bits,
        accumulator_bits=20,
        value_address_bits=1,
        layout={"number": digit_bits + 3, "units": 1},
    )


@pytest.mark.parametrize("factor_digits", [0, 3])
def test_random_products(factor_digits):
    """Digits of the instruction, of the memory and of a factor, which is taken highest digit first."""
    choose = random.Random(factor_digits)
    cycles, wanted, digits = [], [None, None], []
    for _ in range(4000):
        sources = [Coefficient.NUMBER, Coefficient.STREAM, Coefficient.TABLE]
        coefficient = choose.choice([*sources, *[Coefficient.FACTOR] * bool(digits)])
        number, memory = choose.randrange(1 << 7), choose.randrange(-8, 8)
        value, factor = choose.randrange(-256, 256), choose.randrange(-(1 << 11), 1 << 11)
        load = factor_digits and choose.random() < 0.1
        enable = choose.random() < 0.8
        stage = {"enable": enable, "kind": Kind.MULTIPLY_ADD, "coefficient": coefficient, "number": number}
        executed = {"enable": load, "kind": Kind.FACTOR}
        inputs = {"stage": stage, "value": value, "coefficient": memory, "executed": executed}
        cycles.append(inputs | {"accumulator": factor})
        match coefficient:
            case Coefficient.NUMBER:
                digit = (number + 8) % 16 - 8
            case Coefficient.FACTOR:
                digit = digits.pop(0) if enable else digits[0]
            case _:
                digit = memory
        wanted.append(value * digit)
        if load:
            digits = [factor >> 8, factor >> 4 & 15, factor & 15]
    seen = run_cycles(Multiplier(program(9, 4, factor_digits)), cycles, "product")
    assert seen[2:] == wanted[2:-2]


class Bundle(wiring.Component):
    """A multiplier of each width, all with the same inputs."""

    def __init__(self):
        bits = sum(v + d for v, d in WIDTHS)
        super().__init__({"drive": In(VALUE_BITS + DIGIT_BITS), "out": Out(bits)})

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        results = []
        for value_bits, digit_bits in WIDTHS:
            part = Multiplier(program(value_bits, digit_bits))
            m.submodules[f"multiplier_{value_bits}_{digit_bits}"] = part
            m.d.comb += [
                part.stage.coefficient.eq(Coefficient.STREAM),
                # The upper bits, so that every width sees its largest values.
                part.value.eq(self.drive[VALUE_BITS - value_bits : VALUE_BITS].as_signed()),
                part.coefficient.eq(self.drive[-digit_bits:].as_signed()),
            ]
            results.append(part.product)
        m.d.comb += self.out.eq(Cat(*results))
        return m


def rows():
    """Return inputs: corners of both operands, then random ones."""
    rng = np.random.default_rng(1)
    values = [0, 1, (1 << 47) - 1, 1 << 47, (1 << 48) - 1]
    digits = [0, 1, 0x7F, 0x80, 0xFF]
    made = [value | digit << VALUE_BITS for value in values for digit in digits]
    return [*made, *(int(v) for v in rng.integers(0, 1 << 56, CYCLES, dtype=np.uint64))]


def test_the_netlist_is_what_the_verilog_says(tmp_path):
    """Every width, corners and random values, cycle for cycle; yosys does not contradict itself."""
    (tmp_path / "rtl.v").write_text(emit_verilog(Bundle(), "rtl"))
    (tmp_path / "source.v").write_text(emit_verilog(Bundle(), "netlist"))
    out_bits = sum(v + d for v, d in WIDTHS)
    (tmp_path / "harness.v").write_text(harness_of(VALUE_BITS + DIGIT_BITS, out_bits, "netlist", "rtl"))
    script = "read_verilog source.v; synth_ice40 -dsp -top netlist; write_verilog -noattr netlist.v"
    done = subprocess.run([find_yosys(), "-q", "-p", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "conflict" not in done.stdout + done.stderr
    assert (tmp_path / "netlist.v").read_text().count("SB_MAC16 #") >= len(WIDTHS)
    bench = build_bench(
        DEFAULT,
        sources=[
            tmp_path / "harness.v",
            tmp_path / "rtl.v",
            tmp_path / "netlist.v",
            *find_cells(ICE40_ULTRAPLUS.synthesis),
        ],
        top="harness",
        build_dir=tmp_path / "build",
        defines=dict(ICE40_ULTRAPLUS.synthesis.defines),
    )
    plan, record = tmp_path / "plan.json", tmp_path / "record.json"
    plan.write_text(json.dumps({"rows": rows(), "record": str(record)}))
    bench.run("primitive_bench", run_dir=tmp_path / "run", environment={PLAN_VARIABLE: str(plan)})
    seen = json.loads(record.read_text())
    # The first cycles are of registers that nothing has reached yet.
    wrong = [at for at, (netlist, rtl) in enumerate(seen) if netlist != rtl and at > 8]
    assert not wrong, (len(wrong), seen[wrong[0]])
