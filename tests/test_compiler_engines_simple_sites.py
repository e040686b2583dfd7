"""Planted faults of the simple engine are where they change results."""

import pytest

from qornn_hw.cells.elman_network import Activation
from qornn_hw.compiler.design import compile_schedule
from qornn_hw.compiler.engines import engine_named
from qornn_hw.errors import MismatchError
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.faults import inject_faults
from qornn_hw.sim.stimuli import random_network, random_sequences

NAMES = {"recurrent_weight", "input_weight", "output_weight", "bias", "output_bias", "initial_state"}
NAMES |= {"multiplier", "digit", "rounding"}


@pytest.mark.parametrize(
    "activation", [Activation.RELU, pytest.param(Activation.TANH, marks=pytest.mark.slow)]
)
def test_every_fault_is_seen(activation):
    """One of each number of the network, of the digits' alignment, and of the rounding."""
    network = random_network(seed=1, hidden_size=5, input_size=3, output_size=3, activation=activation)
    design = compile_schedule(engine_named("simple").usual_schedule(network, None))
    sequences = random_sequences(network, batch=2, steps=5, seed=1)
    simulate_core_in_python(design, sequences)
    faults = inject_faults(design, sequences)
    assert {fault.name for fault in faults} == NAMES
    for fault in faults:
        with pytest.raises(MismatchError):
            simulate_core_in_python(fault.design, sequences)
