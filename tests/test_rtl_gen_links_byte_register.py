# amaranth: UnusedElaboratable=no
"""The register in front of the physical link: every byte once, in order, under back-pressure."""

import random
from itertools import pairwise

import pytest
from component_bench import run_bench
from planted_fault import must_fail

from qornn_hw.rtl_gen.links.byte_register import ByteRegister


def send(data, *, ready=1.0, hold=0.0, gap=0.0, seed=0, component=ByteRegister):
    """Send bytes; return those that come out and the cycles of their transfers."""
    dut, rng = component(), random.Random(seed)
    got, times = [], []

    async def bench(ctx):
        queue, offering = list(data), False
        for cycle in range(200 * len(data)):
            # What is offered stays until it is sent.
            offering = offering or (bool(queue) and rng.random() >= gap)
            ctx.set(dut.offer, offering)
            if queue:
                ctx.set(dut.data, queue[0])
            ctx.set(dut.hold, rng.random() < hold)
            ctx.set(dut.o.ready, rng.random() < ready)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                got.append(ctx.get(dut.o.payload))
                times.append(cycle)
            sent = ctx.get(dut.sent)
            await ctx.tick()
            assert ctx.get(dut.gone) == sent
            if sent:
                queue.pop(0)
                offering = False
        assert not queue

    run_bench(dut, bench)
    return got, times


def check(ready, hold, gap, component=ByteRegister):
    """Random bytes come out once, in order."""
    data = random.Random(1).randbytes(40)
    got, _ = send(data, ready=ready, hold=hold, gap=gap, component=component)
    assert bytes(got) == data


def check_times(component=ByteRegister):
    """Without back-pressure the first byte is there after 2 cycles, the next ones as fast as documented."""
    _, times = send(bytes(range(10)), component=component)
    assert times[0] == 2
    assert {b - a for a, b in pairwise(times)} == {3}


def check_hold(component=ByteRegister):
    """A byte that is offered while ``hold`` is high is loaded once it is low, not before."""
    dut, sent = component(), []

    async def bench(ctx):
        ctx.set(dut.offer, 1)
        for cycle in range(12):
            ctx.set(dut.hold, cycle < 8)
            sent.append(ctx.get(dut.sent))
            await ctx.tick()

    run_bench(dut, bench)
    assert sent.index(1) == 10


@pytest.mark.parametrize(("ready", "hold", "gap"), [(1, 0, 0), (0.1, 0, 0), (0.5, 0.6, 0.4), (1, 0.9, 0)])
def test_every_byte_leaves_once(ready, hold, gap):
    """Back-pressure, holds and gaps cost time and no byte."""
    check(ready, hold, gap)


def test_a_byte_in_three_cycles():
    """Latency and throughput are the documented ones."""
    check_times()


def test_hold_keeps_a_byte_back():
    """The byte leaves 2 cycles after the hold."""
    check_hold()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("& ~self.o.valid", ""),
        ("self.o.payload.eq(self.data)", "self.o.payload.eq(self.data & 0x7F)"),
        ("self.o.valid.eq(0)", "self.o.valid.eq(1)"),
        ("with m.Elif(self.o.ready):", "with m.Else():"),
        ("self.gone.eq(self.sent)", "self.gone.eq(load)"),
        ("self.sent.eq(load)", "self.sent.eq(load & self.o.ready)"),
    ],
)
def test_a_lost_or_repeated_byte_is_noticed(old, new):
    """Planted faults: bytes that overwrite one another, change, stay, vanish, or are told of wrongly."""
    must_fail(lambda component: check(0.5, 0.6, 0.4, component), ByteRegister, old, new)


@pytest.mark.parametrize(("old", "new"), [(" & ~self.sent & ~load", ""), ("load.eq(", "load.eq(~load & ")])
def test_another_pace_is_noticed(old, new):
    """Planted faults: a byte is loaded twice, or the pace is another one."""
    must_fail(check_times, ByteRegister, old, new)


def test_a_hold_that_does_not_hold_is_noticed():
    """Planted fault: ``hold`` is ignored."""
    must_fail(check_hold, ByteRegister, " & ~self.hold", "")
