"""An SPI controller at the pins of a component in Amaranth's simulator, at any phase to its clock."""

from amaranth.sim import Simulator

from qornn_hw.sim.addresses import check_addresses

CLOCK_SECONDS = 1e-8


class Controller:
    """Clocks bytes; ``half`` is half a period of SCK in cycles of the core clock, a float.

    ``cipo`` holds (time of the sampling edge, level) of each bit.
    """

    def __init__(self, ctx, dut, half):
        self.ctx, self.dut, self.half = ctx, dut, half

    async def wait(self, cycles):
        """Let cycles of the core clock pass, or parts of one."""
        await self.ctx.delay(cycles * CLOCK_SECONDS)

    async def select(self, setup=6):
        """Assert CS."""
        self.ctx.set(self.dut.cs, 1)
        await self.wait(setup)

    async def release(self, gap=6):
        """Release CS."""
        self.ctx.set(self.dut.cs, 0)
        await self.wait(gap)

    async def bits(self, byte, count=8):
        """Clock the first bits of a byte; return those that came."""
        got = 0
        for k in range(count):
            self.ctx.set(self.dut.copi, byte >> (7 - k) & 1)
            await self.wait(self.half)
            got = got << 1 | self.ctx.get(self.dut.cipo)
            self.ctx.set(self.dut.sck, 1)
            await self.wait(self.half)
            self.ctx.set(self.dut.sck, 0)
        return got


def run_spi(dut, bench, *watchers):
    """Run a bench, an async function of a context, and watchers of clock cycles, on a component."""
    simulator = Simulator(check_addresses(dut))
    simulator.add_clock(CLOCK_SECONDS)
    simulator.add_testbench(bench)
    for watcher in watchers:
        simulator.add_testbench(watcher, background=True)
    simulator.run()
