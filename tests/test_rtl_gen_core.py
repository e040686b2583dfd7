"""The core in Amaranth's simulator against the integer model."""

import pytest

from qornn_hw.design import compile_network
from qornn_hw.fixed import Rounding
from qornn_hw.network import Activation, InputKind, OutputMode, WeightBits
from sim import core_simulation
from sim.amaranth_bench import simulate_core_in_python
from sim.stimuli import corner_sequences, random_network, random_sequences


def check(columns=2, elements=2, **settings):
    """Simulate a random network and return the result with the design."""
    sizes = {"hidden_size": 5, "input_size": 3, "output_size": 3}
    network = random_network(**{"seed": 1, **sizes, **settings})
    design = compile_network(network, columns_per_element=columns, elements=elements)
    sequences = [
        *random_sequences(network, batch=1, steps=6, seed=1),
        *corner_sequences(network, steps=2).values(),
    ]
    return simulate_core_in_python(design, sequences), design


@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize("activation", list(Activation))
def test_every_activation_and_input(activation, input_kind, output_mode):
    """All integers are right, and a step takes the cycles of the schedule."""
    result, design = check(activation=activation, input_kind=input_kind, output_mode=output_mode)
    assert result.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width_of_weights(bits, rounding):
    """W, U and V have their own widths, at both roundings."""
    check(weight_bits=WeightBits(bits, 9 - bits, 1 + bits % 8), rounding=rounding)


@pytest.mark.parametrize("state_bits", [4, 8, 12, 16])
@pytest.mark.parametrize("shared_multiplier", [False, True])
def test_every_width_of_states(state_bits, shared_multiplier):
    """Narrow and wide states, one multiplier for all units or one each."""
    check(state_bits=state_bits, shared_multiplier=shared_multiplier, weight_bits=8)


@pytest.mark.parametrize(
    ("hidden_size", "columns", "elements"),
    [(1, 1, 1), (1, 1, 2), (1, 4, 2), (7, 3, 1), (7, 3, 2), (7, 3, 4), (7, 1, 10), (16, 4, 5), (17, 8, 2)],
)
def test_every_shape_of_chain(hidden_size, columns, elements):
    """One pass or many, lanes that divide the columns or not."""
    result, design = check(hidden_size=hidden_size, columns=columns, elements=elements)
    assert result.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.parametrize("input_kind", list(InputKind))
def test_without_first_the_state_goes_on(monkeypatch, input_kind):
    """Sequences whose first word is not marked go on from the state before, across `last`."""
    plain = core_simulation.input_words
    monkeypatch.setattr(
        core_simulation, "input_words", lambda *a: [(data, 0, last) for data, _, last in plain(*a)]
    )
    check(input_kind=input_kind)


def test_answers_of_one_word():
    """One logit and nothing else is an answer too."""
    for mode in OutputMode:
        check(output_size=1, output_mode=mode)
