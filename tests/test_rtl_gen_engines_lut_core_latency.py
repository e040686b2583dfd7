"""How long an answer takes."""

import pytest
from amaranth.sim import Simulator

from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.rtl_gen.engines.lut.core import LutCore
from qornn_hw.sim.addresses import check_addresses
from qornn_hw.sim.stimuli import random_network


def cycles_to_answer(design):
    """Count the cycles from the transfer of an input's last word to the first word of its answer."""
    core = LutCore(design)
    words = design.input_words_per_step
    counted = []

    async def bench(ctx):
        ctx.set(core.o.ready, 1)
        ctx.set(core.i.valid, 1)
        for word in range(words):
            ctx.set(core.i.p, {"data": 1, "first": word == 0, "last": word == words - 1})
            await ctx.tick()
        ctx.set(core.i.valid, 0)
        cycles = 1
        while not ctx.get(core.o.valid):
            await ctx.tick()
            cycles += 1
        counted.append(cycles)

    simulator = Simulator(check_addresses(core))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return counted[0]


@pytest.mark.sampled(14)
@pytest.mark.parametrize("output_kind", list(OutputKind))
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize(
    ("n", "m", "p", "columns", "elements", "kind", "activation"),
    [
        (9, 3, 2, 2, 7, InputKind.VECTOR, Activation.RELU),
        (9, 3, 1, 4, 2, InputKind.VECTOR, Activation.MODRELU),
        (16, 4, 5, 4, 4, InputKind.ONE_HOT, Activation.TANH),
        (3, 4, 5, 1, 2, InputKind.ONE_HOT, Activation.IDENTITY),
        (1, 1, 1, 1, 1, InputKind.VECTOR, Activation.HARDTANH),
        (7, 5, 9, 1, 3, InputKind.VECTOR, Activation.IDENTITY),
    ],
)
def test_latency_is_that_of_the_schedule(
    n, m, p, columns, elements, kind, activation, output_mode, output_kind
):
    """The first word of an answer comes exactly when the schedule says."""
    network = random_network(
        seed=1,
        hidden_size=n,
        input_size=m,
        output_size=p,
        input_kind=kind,
        activation=activation,
        output_mode=output_mode,
        output_kind=output_kind,
    )
    design = compile_network(network, columns_per_element=columns, elements=elements)
    assert cycles_to_answer(design) == design.schedule.timing.answer_latency
