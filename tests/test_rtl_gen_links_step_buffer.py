# amaranth: UnusedElaboratable=no
"""The ring buffer against a list: nothing uncommitted is read, nothing is lost or overwritten."""

import random

import pytest
from component_bench import run_bench

from qornn_hw.rtl_gen.links.step_buffer import StepBuffer

DEPTH = 16
# As the frame layer: a byte, its keep, then some cycles of rest.
REST = 4


class Buffer:
    """A buffer and the list that it must equal."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut
        self.committed, self.kept = [], []

    async def pulse(self, *signals):
        """Hold signals high for one cycle."""
        for signal in signals:
            self.ctx.set(signal, 1)
        await self.ctx.tick()
        for signal in signals:
            self.ctx.set(signal, 0)

    async def write(self, byte, keep):
        """Write a byte; with ``keep`` it must be refused exactly if the ring is full."""
        port = self.dut.write
        self.ctx.set(port.data, byte)
        await self.pulse(port.en)
        await self.ctx.tick().repeat(REST)
        if keep:
            full = len(self.committed) + len(self.kept) == DEPTH - 1
            await self.pulse(port.keep)
            assert self.ctx.get(port.refused) == full
            if not full:
                self.kept.append(byte)
            await self.ctx.tick().repeat(REST)

    async def commit(self):
        """Hand what was kept to the reader."""
        await self.pulse(self.dut.write.commit)
        self.committed += self.kept
        self.kept = []

    async def roll_back(self):
        """Forget what was kept."""
        await self.pulse(self.dut.write.roll_back)
        self.kept = []

    async def clear(self):
        """Forget all."""
        await self.pulse(self.dut.clear)
        self.committed, self.kept = [], []

    async def read(self):
        """Read one byte, if there is one."""
        assert self.ctx.get(self.dut.read.available) == bool(self.committed)
        if self.committed:
            await self.ctx.tick()
            assert self.ctx.get(self.dut.read.data) == self.committed.pop(0)
            await self.pulse(self.dut.read.next)


def play(seed, kind=Buffer, operations=400):
    """Play random operations on a buffer."""
    dut = StepBuffer(depth=DEPTH)
    rng = random.Random(seed)

    async def bench(ctx):
        buffer = kind(ctx, dut)
        for _ in range(operations):
            dice = rng.random()
            if dice < 0.5:
                await buffer.write(rng.randrange(256), keep=rng.random() < 0.8)
            elif dice < 0.65:
                await buffer.commit()
            elif dice < 0.72:
                await buffer.roll_back()
            elif dice < 0.74:
                await buffer.clear()
            else:
                await buffer.read()

    run_bench(dut, bench)


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_list(seed):
    """Random writes, commits, roll-backs, clears and reads: every byte is that of the list."""
    play(seed)


def test_a_wrong_use_of_the_pointers_is_noticed():
    """Planted fault: a buffer that is never rolled back gives wrong bytes."""

    class Deaf(Buffer):
        async def roll_back(self):
            self.kept = []

    with pytest.raises(AssertionError):
        play(0, kind=Deaf)


@pytest.mark.parametrize("depth", [0, 2, 24])
def test_rejects_a_depth(depth):
    """The depth must be a power of two."""
    with pytest.raises(ValueError, match=rf"^depth must be a power of two of at least 4, not {depth}$"):
        StepBuffer(depth=depth)
