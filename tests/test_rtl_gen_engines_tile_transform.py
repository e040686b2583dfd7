"""The transform in the simulator: any block, again and again, against the full matrix."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from qornn_hw.compiler.engines.tile.transform import Transform
from qornn_hw.ir.ops import HadamardTerm
from qornn_hw.rtl_gen.engines.tile.transform import StateTransform

SIZES = [(8, 2), (8, 4), (8, 8), (16, 16), (24, 8), (48, 16), (64, 64), (96, 32), (128, 128)]


@pytest.mark.parametrize("interval", [1, 2, 5])
@pytest.mark.parametrize(("size", "block"), SIZES)
def test_every_entry(size, block, interval):
    """After ``cycles`` all results are those of the full matrix, the widest ones too; ``zero`` hides them.

    A new entry is stored two cycles behind its result, as early as a tail can; and pauses make no difference.
    """
    rng = np.random.default_rng(size * block)
    transform = Transform("h", size, block, -128, 127)
    dut = StateTransform(transform)
    found, wanted = [], []
    rounds = [rng.integers(-128, 128, size), np.full(size, -128), *rng.choice([-128, 127], (2, size))]

    async def bench(ctx):
        async def cycle(**inputs):
            for name in ("go", "store", "valid"):
                ctx.set(getattr(dut, name), 0)
            for name, value in inputs.items():
                ctx.set(getattr(dut, name), int(value))
            await ctx.tick()

        for i, value in enumerate(rounds[0]):
            await cycle(store=1, stored_unit=i, stored=value)
        await cycle()
        for number, values in enumerate(rounds):
            wanted.append(
                HadamardTerm("h", np.ones(size, dtype=int), block).product(values[None])[0].tolist()
            )
            following, got = rounds[(number + 1) % len(rounds)], []
            await cycle(go=1)
            for _ in range(transform.cycles - 1):
                await cycle()
            asked = []
            for i in range(size):
                asked += [i] * interval
                if rng.random() < 0.1:
                    asked += [None] * int(rng.integers(1, 20))
            for time, unit in enumerate([*asked, *[None] * 6]):
                inputs = {} if unit is None else {"valid": 1, "unit": unit}
                before = asked[time - 5] if 5 <= time < len(asked) + 5 else None
                if before is not None and before != (asked[time - 6] if time > 5 else None):
                    inputs |= {"store": 1, "stored_unit": before, "stored": following[before]}
                await cycle(**inputs)
                shown = asked[time - 2] if 2 <= time < len(asked) + 2 else None
                if shown is not None and shown != (asked[time - 3] if time > 2 else None):
                    got.append(ctx.get(dut.entry))
            found.append(got)
        ctx.set(dut.zero, 1)
        await cycle()
        assert ctx.get(dut.entry) == 0

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == wanted
