"""Cores whose requantizer shifts by little or nothing, against the integer model."""

import numpy as np
import pytest
from networks import make_network

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import random_sequences

CHAINS = {
    "lut": {"columns_per_element": 2, "elements": 2},
    "dsp": {"elements": 3, "engine": "dsp"},
}


def network(shift, rounding, multiplier, activation):
    """Return a network whose states stay small: W turns and halves them, so that every sum may be a tie."""
    return make_network(
        n=3,
        m=2,
        activation=activation,
        recurrent_weight=np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]]),
        input_weight=np.array([[1, 0], [0, -1], [1, 1]]),
        weight_bits=WeightBits(2, 2, 4),
        input_format=IntFormat(4, signed=True),
        input_shift=0,
        bias=np.array([1, -1, 0]),
        multiplier=np.array(multiplier),
        shift=shift,
        rounding=rounding,
        initial_state=np.array([5, -6, 7]),
    )


@pytest.mark.sampled(16)
@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("activation", [Activation.IDENTITY, Activation.RELU])
@pytest.mark.parametrize("multiplier", [[1, 1, 1], [1, 2, 3]])
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_states_and_answers_are_those_of_the_model(shift, rounding, multiplier, activation, chain):
    """Ties and saturated states among them, M shared as a constant or one for each unit."""
    net = network(shift, rounding, multiplier, activation)
    sequences = random_sequences(net, batch=3, steps=12, seed=shift)
    simulate_core_in_python(compile_network(net, **CHAINS[chain]), sequences)


def test_the_tie_rule_shows_in_these_networks():
    """At a shift of 1 every odd sum is a tie: the two rules give different states."""
    states = []
    for rounding in Rounding:
        net = network(1, rounding, [1, 1, 1], Activation.IDENTITY)
        sequences = random_sequences(net, batch=3, steps=12, seed=1)
        states.append(IntegerModel(net).run(np.stack(sequences)).states)
    assert np.any(states[0] != states[1])
