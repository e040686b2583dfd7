"""Running a pipelined component in Amaranth's simulator: one set of inputs a cycle, results compared."""

from amaranth.hdl import Signal
from amaranth.sim import Simulator

from qornn_hw.sim.addresses import check_addresses


def pipeline_results(component, inputs, output, latency):
    """Return what ``output`` shows ``latency`` cycles after each set of inputs.

    ``inputs`` are dicts from member name to value, one a cycle.
    """
    results = []
    members = {name: getattr(component, name) for name in inputs[0]}
    signals = {name: m if isinstance(m, Signal) else m.as_value() for name, m in members.items()}
    result = getattr(component, output)

    async def bench(ctx):
        for cycle in range(len(inputs) + latency):
            if cycle < len(inputs):
                for name, value in inputs[cycle].items():
                    ctx.set(signals[name], value)
            if latency == 0:
                results.append(ctx.get(result))
            await ctx.tick()
            if latency and cycle >= latency - 1:
                results.append(ctx.get(result))

    simulator = Simulator(check_addresses(component))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return results[: len(inputs)]


def run_bench(component, *benches):
    """Run benches, async functions of a simulation context, on a component with a clock."""
    simulator = Simulator(check_addresses(component))
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()
