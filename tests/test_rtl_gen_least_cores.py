"""Cores at the small ends of their sizes: the shortest period, readout weights of one bit."""

import pytest

from qornn_hw.cells.elman_network import InputKind, WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import random_network, random_sequences


def check(network, **chain):
    """Compare a core with the model and its steps with the schedule; return the schedule."""
    design = compile_network(network, **chain)
    result = simulate_core_in_python(design, random_sequences(network, batch=3, steps=8, seed=0))
    assert result.cycles_per_step == design.schedule.cycles_per_step
    return design.schedule


def test_the_shortest_period():
    """Three rows on a chain of four cycles: the sequencer's five set the period."""
    network = random_network(
        seed=1,
        hidden_size=2,
        input_size=4,
        output_size=1,
        weight_bits=WeightBits(1, 2, 1),
        input_kind=InputKind.ONE_HOT,
    )
    assert check(network, columns_per_element=2, elements=1).timing.joint_period == 5


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_readout_weights_of_one_bit(lanes):
    """-1 and +1 are numbers of two bits in a readout's memory."""
    network = random_network(
        seed=1, hidden_size=6, input_size=2, output_size=3, weight_bits=WeightBits(4, 4, 1)
    )
    s = check(network, columns_per_element=2, elements=4, readout_lanes=lanes)
    assert s.placement.readout_weight_bits == 2


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_symbols_of_the_dsp_engine_end_with_their_rows(outputs):
    """6, 7 and 8 rows: the count of rows goes on behind the last one, the memory's address does not."""
    network = random_network(
        seed=1, hidden_size=5, input_size=4, output_size=outputs, input_kind=InputKind.ONE_HOT
    )
    check(network, elements=2, engine="dsp")
