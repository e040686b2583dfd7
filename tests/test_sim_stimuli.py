"""Random networks and sequences."""

import numpy as np
import pytest

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, InputKind
from qornn_hw.sim.pauses import PATTERNS, pauses
from qornn_hw.sim.stimuli import corner_sequences, is_lively, random_network, random_sequences


@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("hidden_size", [1, 3, 64])
def test_random_networks_are_lively(hidden_size, activation, input_kind):
    """Whatever the activation, states move and do not all sit at an end of their range."""
    for bits in (1, 2, 8):
        network = random_network(
            seed=1,
            hidden_size=hidden_size,
            input_size=10,
            output_size=3,
            activation=activation,
            weight_bits=bits,
            input_kind=input_kind,
        )
        assert is_lively(network)
        states = (
            IntegerModel(network).run(np.stack(random_sequences(network, batch=4, steps=9, seed=7))).states
        )
        assert len(np.unique(states)) >= 4
        assert np.mean(np.abs(states) == network.state_format.max) < 0.8


def test_same_seed_same_network():
    """A seed names one network and one set of sequences."""
    one, two, other = (random_network(seed=s, hidden_size=4, input_size=3, output_size=2) for s in (5, 5, 6))
    assert np.array_equal(one.recurrent_weight, two.recurrent_weight)
    assert not np.array_equal(one.recurrent_weight, other.recurrent_weight)
    a, b = (random_sequences(one, batch=1, steps=5, seed=2)[0] for _ in range(2))
    assert np.array_equal(a, b)


@pytest.mark.parametrize("input_kind", list(InputKind))
def test_corner_sequences_reach_both_ends(input_kind):
    """The corners hold the smallest and the largest input, and all of them are valid inputs."""
    network = random_network(seed=1, hidden_size=4, input_size=5, output_size=2, input_kind=input_kind)
    corners = corner_sequences(network, steps=3)
    form = network.input_format
    assert set(np.unique(corners["all_min"])) == {form.min}
    assert set(np.unique(corners["all_max"])) == {form.max}
    assert set(np.unique(corners["alternating"])) == {form.min, form.max}
    for sequence in corners.values():
        IntegerModel(network).check_inputs(sequence[np.newaxis])


def test_pauses_follow_their_pattern():
    """Pattern none never pauses, periodic goes on every fourth cycle, random repeats with its seed."""
    none, periodic = pauses("none", 0), pauses("periodic", 0)
    assert not any(none() for _ in range(20))
    assert [periodic() for _ in range(8)] == [True, True, True, False] * 2
    runs = []
    for _ in range(2):
        pause = pauses("random", 3)
        runs.append([pause() for _ in range(500)])
    assert runs[0] == runs[1]
    assert 100 < sum(runs[0]) < 450
    assert PATTERNS == ("none", "periodic", "random")
    with pytest.raises(ValueError, match=r"^a pattern must be one of none, periodic, random, not 'often'$"):
        pauses("often", 0)
