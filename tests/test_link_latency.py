"""Times of a step: the latency over the link is that of core, link and UART in simulation."""

from fractions import Fraction

import pytest
from amaranth.sim import Simulator
from test_rtl_gen_random_designs import draw

from qornn_hw.cells.elman_network import OutputKind
from qornn_hw.compiler.design import compile_network
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.latency import LATENCY_KEYS, StepTimes, latency_facts, link_cycles
from qornn_hw.link.protocol import LinkFormat, encode_step
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.links.linked_core import LinkedCore
from qornn_hw.rtl_gen.links.uart.link import UART
from qornn_hw.sim.stimuli import random_network, random_sequences


def times_of(design):
    """Return the schedule's times of a design."""
    s = design.schedule
    return StepTimes(s.cycles_per_step, s.timing.answer_latency, s.timing.answer_end_latency)


def simulated_link_cycles(design, clocks_per_bit):
    """Count the cycles from the first edge of a step's frame to the end of its answer's frame."""
    form = LinkFormat.of(design)
    core = make_core(design, preloaded=True)
    dut = LinkedCore(core=core, form=form, clocks_per_bit=clocks_per_bit, timeout_bits=12)
    (sequence,) = random_sequences(design.network, batch=1, steps=1, seed=0)
    frame = encode_step(form, sequence.reshape(-1).tolist(), 0, first=True, last=True)
    bits = [bit for byte in frame for bit in (0, *(byte >> i & 1 for i in range(8)), 1)]
    ends = []

    async def bench(ctx):
        ctx.set(dut.rx, 1)
        ctx.set(dut.starting, 1)
        await ctx.tick().repeat(4)
        ctx.set(dut.starting, 0)
        await ctx.tick().repeat(40)
        start = None
        for cycle in range(200_000):
            at = cycle // clocks_per_bit
            ctx.set(dut.rx, bits[at] if at < len(bits) else 1)
            if start is None and not ctx.get(dut.tx):
                start = cycle
            if start is not None and cycle == start + 10 * clocks_per_bit - 1:
                ends.append(cycle + 1)
                start = None
                if len(ends) == form.answer_frame_bytes:
                    return
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(ends) == form.answer_frame_bytes
    return ends[-1]


def slow_answers():
    """Return a design whose readout takes longer for a logit than the line takes for a word."""
    network = random_network(seed=3, hidden_size=40, input_size=2, output_size=4, output_kind=OutputKind.BOTH)
    return compile_network(network, columns_per_element=4, elements=4, readout_lanes=1)


def wide_words():
    """Return a design whose input words have two bytes."""
    network = random_network(
        seed=4, hidden_size=4, input_size=3, output_size=2, input_format=IntFormat(11, signed=True)
    )
    return compile_network(network, columns_per_element=2, elements=2)


# Not those whose weights must be loaded first.
SEEDS = [seed for seed in range(40) if not draw(seed).schedule.placement.weight_banks]


@pytest.mark.parametrize(
    "seed", [s if n < 3 else pytest.param(s, marks=pytest.mark.slow) for n, s in enumerate(SEEDS)]
)
@pytest.mark.parametrize("clocks_per_bit", [8, 13])
def test_the_latency_over_the_link_is_exact(seed, clocks_per_bit):
    """With whole bits the formula is the count of the simulation, cycle for cycle, for random designs."""
    design = draw(seed)
    due = link_cycles(times_of(design), LinkFormat.of(design), clocks_per_bit, UART.line)
    assert abs(simulated_link_cycles(design, clocks_per_bit) - due) <= Fraction(1, 2)


@pytest.mark.parametrize("make", [slow_answers, wide_words])
def test_slow_answers_and_wide_words(make):
    """Words that come slower than the line sends them, and words of two bytes, are counted, too."""
    design = make()
    due = link_cycles(times_of(design), LinkFormat.of(design), 8, UART.line)
    assert abs(simulated_link_cycles(design, 8) - due) <= (0 if make is wide_words else 8)


def test_the_facts():
    """Rates and times follow from the cycles; what is not known is None."""
    form = LinkFormat(28, IntFormat(8, signed=False), 10, 20)
    times = StepTimes(128, 162, 172)
    found = latency_facts(times, form, 48.0, 3_000_000, UART.line)
    assert found == {
        "steps_per_second": 375_000.0,
        "first_answer_word_cycles": 162,
        "answer_latency_cycles": 172,
        "answer_latency_us": round(172 / 48, 4),
        # 33 bytes there, 36 back, 16 cycles a bit.
        "link_latency_us": round((69 * 160 - 8 + 56 + 27 + 162) / 48, 2),
    }
    unknown = latency_facts(StepTimes(None, 162, 172), form, None, None, UART.line)
    assert unknown["steps_per_second"] is unknown["answer_latency_us"] is unknown["link_latency_us"] is None
    assert unknown["answer_latency_cycles"] == 172
    assert latency_facts(None, form, 48.0, 3_000_000, UART.line) == dict.fromkeys(LATENCY_KEYS)
