"""Vendor cells and their twins give the same bits, cycle for cycle, in the vendor's simulation model."""

import json
from itertools import product

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from primitive_harness import harness_of
from simulators import DEFAULT

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.compiler.mac_settings import MacSettings
from qornn_hw.rtl_gen.emit import emit_verilog
from qornn_hw.rtl_gen.primitives.mac16 import Mac16
from qornn_hw.rtl_gen.primitives.spram import Spram
from qornn_hw.rtl_gen.yosys import find_cells
from qornn_hw.sim.plan import PLAN_VARIABLE
from qornn_hw.sim.runner import build_bench

SETTINGS = [
    (MacSettings(a_signed, b_signed, carry), c_register)
    for a_signed, b_signed, carry, c_register in product([False, True], repeat=4)
]
MAC_BITS, SPRAM_BITS = 16 + 1 + 16 + 32, 14 + 8 + 2
OUT_BITS = 32 * len(SETTINGS) + 16
CYCLES = 3000


class Bundle(wiring.Component):
    """A multiplier of every setting and a memory, all with the same inputs."""

    def __init__(self):
        super().__init__({"drive": In(MAC_BITS + SPRAM_BITS), "out": Out(OUT_BITS)})

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        a, a_hold, b, c = Signal(16), Signal(1), Signal(16), Signal(32)
        addr, data, w_en = Signal(14), Signal(8), Signal(2)
        m.d.comb += Cat(a, a_hold, b, c, addr, data, w_en).eq(self.drive)
        outputs = []
        for i, (settings, c_register) in enumerate(SETTINGS):
            m.submodules[f"mac_{i}"] = mac = Mac16(settings=settings, c_register=c_register)
            m.d.comb += [mac.a.eq(a), mac.a_hold.eq(a_hold), mac.b.eq(b), mac.c.eq(c)]
            outputs.append(mac.o)
        m.submodules.spram = spram = Spram(depth=1 << 14)
        m.d.comb += [spram.addr.eq(addr), spram.data.eq(data), spram.w_en.eq(w_en)]
        m.d.comb += self.out.eq(Cat(*outputs, spram.q))
        return m


def rows():
    """Return inputs: corners of every operand, then random ones; few addresses, so that they come again."""
    rng = np.random.default_rng(1)
    corners = [0, 1, 0x7FFF, 0x8000, 0xFFFF]
    sums = [0, 1, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    made = []
    for cycle in range(CYCLES):
        corner = cycle < CYCLES // 2
        a, b = (int(rng.choice(corners) if corner else rng.integers(0, 1 << 16)) for _ in "ab")
        c = int(rng.choice(sums) if corner else rng.integers(0, 1 << 32))
        hold = int(rng.random() < 0.5) if cycle > 2 else 0
        addr = int(rng.choice([0, 1, 2, 0x1FFF, 0x2000, 0x3FFF]))
        # Every word is written first, as the memory starts undefined.
        w_en = int(rng.integers(0, 4)) if rng.random() < 0.5 else 0
        if cycle < 12:
            addr, w_en = [0, 1, 2, 0x1FFF, 0x2000, 0x3FFF][cycle % 6], 3
        made.append((a, hold, b, c, addr, int(rng.integers(0, 256)), w_en))
    return made


def pack(row):
    """Return a row of inputs as one number."""
    value = offset = 0
    for part, bits in zip(row, (16, 1, 16, 32, 14, 8, 2), strict=True):
        value |= part << offset
        offset += bits
    return value


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the inputs and the two outputs of each cycle."""
    folder = tmp_path_factory.mktemp("primitives")
    sources = []
    for name, platform in (("twins", None), ("cells", "ice40")):
        path = folder / f"{name}.v"
        path.write_text(emit_verilog(Bundle(), name, platform=platform))
        sources.append(path)
    harness = folder / "harness.v"
    harness.write_text(harness_of(MAC_BITS + SPRAM_BITS, OUT_BITS, "cells", "twins"))
    bench = build_bench(
        DEFAULT,
        sources=[*sources, *find_cells(ICE40_ULTRAPLUS.synthesis), harness],
        top="harness",
        build_dir=folder / "build",
        defines=dict(ICE40_ULTRAPLUS.synthesis.defines),
    )
    inputs, record, plan = rows(), folder / "record.json", folder / "plan.json"
    plan.write_text(json.dumps({"rows": [pack(row) for row in inputs], "record": str(record)}))
    bench.run("primitive_bench", run_dir=folder / "run", environment={PLAN_VARIABLE: str(plan)})
    return inputs, json.loads(record.read_text())


@pytest.mark.parametrize("which", range(len(SETTINGS)))
def test_a_multiplier_is_its_twin_in_every_cycle(recorded, which):
    """Signed or not, with carry or without, with a register at c or without."""
    _, outputs = recorded
    at = OUT_BITS - 32 * (which + 1)
    for cycle, (cell, twin) in enumerate(outputs[8:]):
        assert cell[at : at + 32] == twin[at : at + 32], cycle
    assert len({cell[at : at + 32] for cell, _ in outputs}) > CYCLES // 2


def test_a_multiplier_computes_what_it_says():
    """The twin itself against integers."""
    from component_bench import pipeline_results

    rng = np.random.default_rng(2)
    values = rng.integers(-(1 << 15), 1 << 15, (200, 2))
    values[:4] = [(-32768, -32768), (-32768, 32767), (32767, 32767), (0, -1)]
    sums = rng.integers(-(1 << 30), 1 << 30, 200)
    inputs = [
        {"a": int(a) & 0xFFFF, "a_hold": 0, "b": int(b) & 0xFFFF, "c": int(c) & 0xFFFFFFFF}
        for (a, b), c in zip(values, sums, strict=True)
    ]
    results = pipeline_results(Mac16(settings=MacSettings(), c_register=True), inputs, "o", 2)
    assert results == [
        (int(a) * int(b) + int(c)) & 0xFFFFFFFF for (a, b), c in zip(values, sums, strict=True)
    ]


def test_a_memory_is_its_twin_after_every_read(recorded):
    """Bytes are written and words read alike; what is there after a write is undefined in the cell."""
    inputs, outputs = recorded
    compared = 0
    # The output of a cycle is of the address of the cycle before, and sampled at its end.
    for before, (cell, twin) in zip(inputs[11:], outputs[12:], strict=False):
        if before[6] == 0:
            assert cell[:16] == twin[:16]
            compared += 1
    assert compared > CYCLES // 3
