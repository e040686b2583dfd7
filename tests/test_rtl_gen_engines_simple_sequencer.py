"""The sequencer issues the instructions of a program in the order that the program says."""

import random

import pytest
from amaranth.sim import Simulator
from random_operations import draw_network

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Stop
from qornn_hw.compiler.engines.simple.lowering import assemble
from qornn_hw.rtl_gen.engines.simple.sequencer import Sequencer
from qornn_hw.sim.addresses import check_addresses

FIELDS = ("kind", "address", "offset", "coefficient", "scale", "port", "stop")


def order(program, restart, answered):
    """Yield address, repetition, unit and the stream's address of what is issued, and the body's units."""
    at = 0 if restart else program.step_instruction
    stream = 0 if restart else program.step_coefficient
    while True:
        body = [at]
        while not program.instructions[body[-1]].units:
            body.append(body[-1] + 1)
        last = program.instructions[body[-1]]
        for unit in range(last.units):
            for address in body:
                for repeat in range(program.instructions[address].count):
                    yield address, repeat, unit, stream, last.units
                    stream += program.instructions[address].coefficient is Coefficient.STREAM
        at = body[-1] + 1
        if last.stop is Stop.ALWAYS or (last.stop is Stop.UNANSWERED and not answered):
            return


@pytest.mark.parametrize("seed", range(6))
def test_order(seed):
    """Both beginnings and both ends, with an instruction held now and then."""
    program, choose = assemble(draw_network(seed, largest=3)), random.Random(seed)
    dut, wrong = Sequencer(program, program.instruction_memory), []

    async def run(ctx, restart, answered):
        ctx.set(dut.begin, 1)
        ctx.set(dut.restart, restart)
        ctx.set(dut.answered, answered)
        assert not ctx.get(dut.issue)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        steps = list(order(program, restart, answered))
        for k, (address, repeat, unit, stream, units) in enumerate(steps):
            while choose.random() < 0.1:
                ctx.set(dut.hold, 1)
                assert not ctx.get(dut.issue)
                await ctx.tick()
            ctx.set(dut.hold, 0)
            instruction = program.instructions[address]
            found = {name: ctx.get(dut.instruction[name]) for name in FIELDS}
            seen = ctx.get(dut.issue), ctx.get(dut.repeat), ctx.get(dut.unit), ctx.get(dut.stream)
            if found != {name: getattr(instruction, name) for name in FIELDS}:
                wrong.append((k, address, found))
            if seen != (1, repeat, unit, stream) or ctx.get(dut.done) != (k == len(steps) - 1):
                wrong.append((k, address, seen))
            if instruction.units and ctx.get(dut.last_unit) != (unit == units - 1):
                wrong.append((k, "last_unit"))
            await ctx.tick()
        assert not ctx.get(dut.issue)

    async def bench(ctx):
        await ctx.tick()
        for restart, answered in ((1, 1), (0, 0), (0, 1), (1, 0)):
            await run(ctx, restart, answered)
            await ctx.tick().repeat(choose.randint(1, 3))

    simulator = Simulator(check_addresses(dut))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert not wrong
