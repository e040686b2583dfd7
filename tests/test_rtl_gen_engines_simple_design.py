"""Elman networks drawn at random on the simple engine, in the benches that all engines share."""

import random

import pytest
from random_designs import draw

from qornn_hw.compiler.design import compile_schedule
from qornn_hw.compiler.engines import engine_named
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.core_simulation import simulate_core
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.stimuli import random_sequences

FEW, MANY = 4, 100


@pytest.mark.parametrize(
    "seed", [s if s < FEW else pytest.param(s, marks=pytest.mark.slow) for s in range(MANY)]
)
def test_any_elman_network(seed):
    """Every unit and every answer is right, without pauses and with, and a step takes its cycles."""
    network = draw(seed, units=12 if seed % 4 else 24).network
    design = compile_schedule(engine_named("simple").usual_schedule(network, None))
    sequences = random_sequences(network, batch=2, steps=4, seed=seed)
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step
    idle, back_pressure = random.Random(seed).choices(PATTERNS, k=2)
    simulate_core_in_python(design, sequences, idle=idle, back_pressure=back_pressure, reset_after=2)


def test_as_verilog(tmp_path):
    """In a simulator of Verilog, with a reset in the middle of a step."""
    network = draw(5, units=12).network
    design = compile_schedule(engine_named("simple").usual_schedule(network, None))
    sequences = random_sequences(network, batch=2, steps=4, seed=0)
    result = simulate_core(design, sequences, reset_after=1)
    assert result.integers_compared > 0 and result.mismatches == 0
