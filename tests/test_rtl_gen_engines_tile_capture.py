"""What takes the sums of a pass: every phase of every lane, a unit at a time."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from qornn_hw.rtl_gen.engines.tile.capture import Capture


@pytest.mark.parametrize("units, unit_lanes, phases", [(1, 1, 1), (3, 2, 1), (2, 3, 2), (4, 1, 3)])
def test_units_come_one_behind_the_other(units, unit_lanes, phases):
    """Held sums are those of their phase, though the accumulators go on; so do two passes in a row."""
    lanes = units * unit_lanes
    capture = Capture(
        lanes=lanes, unit_lanes=unit_lanes, accumulator_bits=10, phase_bits=tuple(range(8, 8 + phases))
    )
    rng = np.random.default_rng(lanes)

    async def bench(ctx):
        for _ in range(3):
            sums = rng.integers(-128, 128, (phases, lanes))
            for phase in range(phases):
                for lane in range(lanes):
                    ctx.set(getattr(capture, f"accumulator_{lane}"), int(sums[phase, lane]))
                last = phase == phases - 1
                pulse = capture.load if last else getattr(capture, f"hold_{phase}")
                # A new pass is loaded where the last unit of the one before would have moved on.
                ctx.set(capture.shift, last)
                ctx.set(pulse, 1)
                await ctx.tick()
                ctx.set(pulse, 0)
                ctx.set(capture.shift, 0)
            for lane in range(lanes):
                ctx.set(getattr(capture, f"accumulator_{lane}"), 77)
            for unit in range(units):
                for phase in range(phases):
                    for j in range(unit_lanes):
                        found = ctx.get(getattr(capture, f"sum_{phase}_{j}"))
                        assert found == sums[phase, unit * unit_lanes + j]
                if unit < units - 1:
                    await ctx.tick()
                    ctx.set(capture.shift, 1)
                    await ctx.tick()
                    ctx.set(capture.shift, 0)

    simulator = Simulator(capture)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
