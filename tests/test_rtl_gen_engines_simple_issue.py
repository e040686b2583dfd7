"""The addresses of the memories, for every way to add one up."""

import random
from types import SimpleNamespace

from amaranth.sim import Simulator

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Kind, Offset, Port
from qornn_hw.rtl_gen.engines.simple.issue import Issue

LAYOUT = {"kind": 3, "count": 4, "address": 6, "offset": 2, "coefficient": 2, "number": 8, "scale": 1}
LAYOUT |= {"port": 2, "units": 4, "stop": 2, "ends": 1}


def test_random_instructions():
    """Any fields, repetition, unit and index, against sums modulo the memories' sizes."""
    choose = random.Random(0)
    program = SimpleNamespace(
        layout=LAYOUT, value_address_bits=7, coefficient_address_bits=9, index_bits=9, digit_bits=4
    )
    dut = Issue(program)

    async def bench(ctx):
        for _ in range(4000):
            word = {name: choose.randrange(1 << bits) for name, bits in LAYOUT.items()}
            repeat, unit, stream = choose.randrange(16), choose.randrange(16), choose.randrange(512)
            index, issue, last_unit = choose.randrange(512), choose.randrange(2), choose.randrange(2)
            inputs = {"instruction": word, "repeat": repeat, "unit": unit, "stream": stream}
            for name, value in (inputs | {"index": index, "issue": issue, "last_unit": last_unit}).items():
                ctx.set(getattr(dut, name), value)
            offset = {Offset.REPEAT: repeat, Offset.UNIT: unit, Offset.INDEX: index}.get(word["offset"], 0)
            address = (word["address"] + offset) % 128
            table = word["coefficient"] == Coefficient.TABLE
            assert ctx.get(dut.value_address) == address
            assert ctx.get(dut.coefficient_address) == ((word["number"] + index) % 512 if table else stream)
            stage = ctx.get(dut.stage)
            assert (stage.kind, stage.coefficient) == (Kind(word["kind"]), Coefficient(word["coefficient"]))
            assert (stage.number, stage.port) == (word["number"], Port(word["port"]))
            assert stage.scale == (word["scale"] and repeat == 0)
            assert (stage.address, stage.unit) == (address, unit)
            assert (stage.enable, stage.last_unit) == (issue, last_unit)
            assert stage.with_unit == (word["offset"] == Offset.UNIT)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
