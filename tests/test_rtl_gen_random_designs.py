"""Designs drawn at random from all that a schedule can be, against the integer model."""

import random

import pytest
from random_designs import draw

from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.stimuli import random_sequences

# Further ones by hand: pytest -m slow tests/test_rtl_gen_random_designs.py
FEW, MANY = 24, 400


@pytest.mark.parametrize(
    "seed", [s if s < FEW else pytest.param(s, marks=pytest.mark.slow) for s in range(MANY)]
)
def test_any_design_computes_the_integers_of_the_model(seed):
    """Every unit and every answer is right, without pauses and with, and a step takes its cycles."""
    design = draw(seed)
    sequences = random_sequences(design.network, batch=3, steps=4, seed=seed)
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step in (None, design.schedule.cycles_per_step)
    idle, back_pressure = random.Random(seed).choices(PATTERNS, k=2)
    simulate_core_in_python(design, sequences, idle=idle, back_pressure=back_pressure, reset_after=2)
