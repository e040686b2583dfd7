"""A step's words in, an answer's words out."""

import random
from types import SimpleNamespace

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from program_bench import run_cycles

from qornn_hw.ir.formats import IntFormat
from qornn_hw.rtl_gen.engines.simple.ports import AnswerPort, InputPort


@pytest.mark.parametrize("words", [1, 2, 3, 8])
def test_steps_of_any_size(words):
    """Each word gets its address; the program begins behind the last one; no word is taken meanwhile."""
    choose, reset = random.Random(words), Signal()
    dut = InputPort(SimpleNamespace(input_words=words, input_format=IntFormat(4, signed=True)))

    async def bench(ctx):
        fresh = True
        for step in range(60):
            first, last = choose.randrange(2), choose.randrange(2)
            for k in range(words):
                ctx.set(dut.i.valid, 0)
                while choose.random() < 0.3:
                    assert ctx.get(dut.taking) and not ctx.get(dut.write) and not ctx.get(dut.begin)
                    await ctx.tick()
                # The marks count with the first and the last word only.
                marks = {
                    "first": first if k == 0 else choose.randrange(2),
                    "last": last if k == words - 1 else choose.randrange(2),
                }
                ctx.set(dut.i.payload, {"data": 0, **marks})
                ctx.set(dut.i.valid, 1)
                assert ctx.get(dut.i.ready) and ctx.get(dut.write) and ctx.get(dut.address) == k
                if step % 7 == 3 and k == words // 2:
                    ctx.set(reset, 1)
                await ctx.tick()
                if ctx.get(reset):
                    ctx.set(reset, 0)
                    fresh = True
                    break
            else:
                assert ctx.get(dut.begin) and not ctx.get(dut.taking)
                assert ctx.get(dut.restart) == (first or fresh) and ctx.get(dut.last) == last
                fresh = False
                await ctx.tick()
                for _ in range(choose.randrange(4)):
                    assert not ctx.get(dut.i.ready) and not ctx.get(dut.write) and not ctx.get(dut.begin)
                    await ctx.tick()
                ctx.set(dut.done, 1)
                await ctx.tick()
                ctx.set(dut.done, 0)

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_word_waits_until_it_is_taken():
    """It stays as it is; the port is busy from the launch until the word has left."""
    idle = {"launch": 0, "valid": 0, "word": 0, "last": 0}
    cycles = [
        idle | {"launch": 1},
        idle,
        idle | {"valid": 1, "word": -3, "last": 1},
        idle | {"word": 5},
        idle,
    ]
    program = SimpleNamespace(answer_bits=4)

    async def bench(ctx):
        for k, changes in enumerate(cycles):
            for name, value in changes.items():
                ctx.set(getattr(dut, name), value)
            assert ctx.get(dut.busy) == (k > 0) and ctx.get(dut.o.valid) == (k > 2)
            if k > 2:
                assert (ctx.get(dut.o.payload.data), ctx.get(dut.o.payload.last)) == (-3, 1)
            await ctx.tick()
        ctx.set(dut.o.ready, 1)
        await ctx.tick()
        assert not ctx.get(dut.busy) and not ctx.get(dut.o.valid)

    dut = AnswerPort(program)
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert run_cycles(AnswerPort(program), [idle] * 3, "busy") == [0, 0, 0]
