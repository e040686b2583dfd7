"""The transform in the simulator: any block, again and again, against the full matrix."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from qornn_hw.compiler.engines.tile.transform import Transform
from qornn_hw.ir.ops import HadamardTerm
from qornn_hw.rtl_gen.engines.tile.transform import StateTransform


@pytest.mark.parametrize(
    ("size", "block"),
    [(8, 2), (8, 4), (8, 8), (16, 16), (24, 8), (48, 16), (64, 64), (96, 32), (128, 128)],
)
def test_every_entry(size, block):
    """After ``cycles`` all entries are those of the full matrix, the widest ones too; ``zero`` hides them."""
    rng = np.random.default_rng(size * block)
    transform = Transform("h", size, block, 8 + block.bit_length())
    dut = StateTransform(transform)
    found, wanted = [], []

    async def bench(ctx):
        for round_ in range(3):
            values = rng.choice([-128, 127], size) if round_ else rng.integers(-128, 128, size)
            wanted.append(
                HadamardTerm("h", np.ones(size, dtype=int), block).product(values[None])[0].tolist()
            )
            for i in range(size):
                ctx.set(dut.store, 1)
                ctx.set(dut.stored_unit, i)
                ctx.set(dut.stored, int(values[i]))
                await ctx.tick()
            ctx.set(dut.store, 0)
            await ctx.tick()
            ctx.set(dut.go, 1)
            await ctx.tick()
            ctx.set(dut.go, 0)
            for _ in range(transform.cycles - 1):
                await ctx.tick()
            got = []
            for i in range(size + 1):
                ctx.set(dut.unit, min(i, size - 1))
                await ctx.tick()
                got.append(ctx.get(dut.entry))
            found.append(got[1:])
            ctx.set(dut.zero, 1)
            await ctx.tick()
            assert ctx.get(dut.entry) == 0
            ctx.set(dut.zero, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == wanted
