"""Designs drawn at random from all that a schedule can be, against the integer model."""

import random

import pytest

from qornn_hw.design import Design, compile_network
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.fixed import IntFormat, Rounding
from qornn_hw.network import Activation, InputKind, OutputKind, OutputMode, WeightBits
from qornn_hw.schedule import Schedule
from sim.amaranth_bench import simulate_core_in_python
from sim.pauses import PATTERNS
from sim.stimuli import random_network, random_sequences

# Further ones by hand: pytest -m slow tests/test_rtl_gen_random_designs.py
FEW, MANY = 24, 400


def draw(seed: int) -> Design:
    """Return a design; sizes and lanes that leave no room for each other are drawn again."""
    choose = random.Random(seed)
    while True:
        try:
            network = random_network(
                seed=seed,
                hidden_size=choose.choice((1, 2, 3, choose.randint(4, 16), choose.randint(17, 64))),
                input_size=choose.choice((1, 1, choose.randint(2, 6))),
                output_size=choose.randint(1, 8),
                activation=choose.choice(list(Activation)),
                input_kind=choose.choice(list(InputKind)),
                input_format=IntFormat(choose.randint(1, 8), signed=choose.random() < 0.5),
                weight_bits=WeightBits(*(choose.randint(1, 8) for _ in range(3))),
                state_bits=choose.randint(4, 16),
                shared_multiplier=choose.random() < 0.5,
                rounding=choose.choice(list(Rounding)),
                output_mode=choose.choice(list(OutputMode)),
                output_kind=choose.choice(list(OutputKind)),
            )
            columns = choose.choice((1, 2, 2, 3, 4, 4, 8))
            options = {
                "readout_lanes": choose.choice((0, choose.randint(1, network.output_size))),
                "input_lanes": int(
                    choose.random() < 0.7 and network.vector_input and network.input_size == 1
                ),
                "memory_register": choose.random() < 0.3,
            }
            if choose.random() < 0.2:
                words = network.hidden_size + network.input_size
                return compile_network(
                    network,
                    elements=choose.randint(1, min(8, words)),
                    engine=Engine.DSP,
                    store=choose.choice(list(WeightStore)),
                )
            words = Schedule(network, columns, 1, **options).words
            elements = -(-words // choose.randint(1, min(6, words)))
            return compile_network(
                network,
                columns_per_element=columns,
                elements=elements,
                spram_elements=choose.choice((0, 0, choose.randint(0, elements))),
                answer_registers=choose.random() < 0.2,
                **options,
            )
        except ValueError:  # a FormatError, or the shape leaves no room for a lively network
            continue


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
