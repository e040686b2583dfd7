"""What yosys makes of the requantizer with hard multipliers gives the bits that the Verilog gives."""

import json
import subprocess

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from primitive_harness import harness_of
from simulators import DEFAULT

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.ir.formats import Rounding
from qornn_hw.rtl_gen.emit import emit_verilog
from qornn_hw.rtl_gen.requantizer import Requantizer
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim.plan import PLAN_VARIABLE
from qornn_hw.sim.runner import build_bench

# Bits of the value, shared factor, bits of the factor, shift: one multiplier or two, sums around 32 bits.
SETTINGS = [
    (12, None, 8, 9),
    (15, None, 15, 14),
    (16, None, 15, 14),
    (16, 20001, 15, 14),
    (16, None, 12, 31),
    (16, None, 16, 18),
    (17, None, 8, 12),
    (17, 2821, 12, 15),
    (20, None, 10, 16),
    (20, None, 15, 31),
    (31, None, 16, 30),
]
VALUE_BITS, FACTOR_BITS, BITS = 31, 16, 10
OUT_BITS = BITS * len(SETTINGS)
CYCLES = 1500


class Bundle(wiring.Component):
    """A requantizer of every setting, all with the same inputs."""

    def __init__(self):
        super().__init__({"drive": In(VALUE_BITS + FACTOR_BITS), "out": Out(OUT_BITS)})

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        results = []
        for i, (bits, factor, factor_bits, shift) in enumerate(SETTINGS):
            m.submodules[f"requantizer_{i}"] = part = Requantizer(
                value_bits=bits,
                multiplier=factor,
                multiplier_bits=factor_bits,
                constant=1 << (shift - 1),
                shift=shift,
                rounding=Rounding.HALF_UP,
                bits=BITS,
                relu=False,
                table=None,
            )
            # The upper bits, so that every width sees its largest values.
            m.d.comb += part.value.eq(self.drive[VALUE_BITS - bits : VALUE_BITS].as_signed())
            if factor is None:
                m.d.comb += part.multiplier.eq(self.drive[-factor_bits:])
            results.append(part.result)
        m.d.comb += self.out.eq(Cat(*results))
        return m


def rows():
    """Return inputs: corners of both operands, then random ones."""
    rng = np.random.default_rng(1)
    values = [0, 1, (1 << 30) - 1, 1 << 30, (1 << 31) - 1]
    factors = [1, 0x7FFF, 0x8000, 0xFFFF]
    made = [value | factor << VALUE_BITS for value in values for factor in factors]
    return [*made, *rng.integers(0, 1 << (VALUE_BITS + FACTOR_BITS), CYCLES).tolist()]


def test_the_netlist_is_what_the_verilog_says(tmp_path):
    """Every setting, corners and random values, cycle for cycle; yosys does not contradict itself."""
    (tmp_path / "rtl.v").write_text(emit_verilog(Bundle(), "rtl"))
    (tmp_path / "source.v").write_text(emit_verilog(Bundle(), "netlist"))
    (tmp_path / "harness.v").write_text(harness_of(VALUE_BITS + FACTOR_BITS, OUT_BITS, "netlist", "rtl"))
    script = "read_verilog source.v; synth_ice40 -dsp -top netlist; write_verilog -noattr netlist.v"
    done = subprocess.run([find_yosys(), "-q", "-p", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "conflict" not in done.stdout + done.stderr
    assert (tmp_path / "netlist.v").read_text().count("SB_MAC16 #") >= len(SETTINGS)
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
