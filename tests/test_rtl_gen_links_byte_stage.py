"""The register stage behind the receiver against a model in Python."""

import random

import pytest
from component_bench import run_bench

from qornn_hw.rtl_gen.links.byte_stage import ByteStage


class Model:
    """What the stage must show one cycle after its inputs."""

    def __init__(self, ticks=2):
        self.ticks, self.since, self.byte = ticks, 0, 0

    def clock(self, arrived, data, error, tick, shift):
        """Return (byte, good, bad, cut) of the next cycle."""
        timeout = not arrived and tick and self.since >= self.ticks - 1
        if arrived:
            self.byte, self.since = data, 0
        else:
            self.byte = self.byte << shift & 0xFF
            self.since += tick
        return self.byte, arrived and not error, arrived and error, timeout or (arrived and error)


def agree(model, seed=1, cycles=3000):
    """Return whether the stage equals a model in every cycle of random inputs."""
    rng, dut, equal = random.Random(seed), ByteStage(), []

    async def bench(ctx):
        for _ in range(cycles):
            inputs = (rng.random() < 0.2, rng.randrange(256), rng.random() < 0.3, rng.random() < 0.3,
                      rng.random() < 0.4)  # fmt: skip
            arrived, data, error, tick, shift = inputs
            ctx.set(dut.i.valid, arrived)
            ctx.set(dut.i.payload, {"data": data, "error": error})
            ctx.set(dut.tick, tick)
            ctx.set(dut.shift, shift)
            await ctx.tick()
            got = tuple(ctx.get(s) for s in (dut.byte, dut.good, dut.bad, dut.cut))
            equal.append(got == tuple(map(int, model.clock(*map(int, inputs)))))

    run_bench(dut, bench)
    return all(equal)


@pytest.mark.parametrize("seed", range(3))
def test_equals_its_model(seed):
    """Byte, kind of arrival and timeout follow the inputs by one cycle."""
    assert agree(Model(), seed)


def test_another_timeout_is_noticed():
    """Planted fault: a model whose timeout takes three ticks differs."""
    assert not agree(Model(ticks=3))
