"""Simulations of the Python API: what is played, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from networks import make_network

from qornn_hw.api.design import compile
from qornn_hw.api.network import Network
from qornn_hw.api.simulation import stimuli
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.sim.stimuli import random_sequences

NETWORK = make_network(n=4, m=3, p=2, seed=5)
DEFAULTS = {"integers": False, "counts": (3, 16), "sequences": None, "steps": None, "seed": 0}


def played(inputs=None, **options):
    """Return what is played with some options."""
    return stimuli(NETWORK, inputs, **(DEFAULTS | options))


def test_what_is_played():
    """Random sequences by default; real inputs as integers; the network's own integers as they are."""
    assert np.array_equal(played(), random_sequences(NETWORK, batch=3, steps=16, seed=0))
    assert np.array_equal(
        played(sequences=2, steps=5, seed=7), random_sequences(NETWORK, batch=2, steps=5, seed=7)
    )
    x = np.stack(random_sequences(NETWORK, batch=2, steps=4, seed=1))
    steps = NETWORK.scales.input_steps(3)
    assert np.array_equal(played(x * steps), x)
    assert np.array_equal(played(list(x), integers=True), x)
    assert len(played(list(x), integers=True, sequences=1)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequences": 0}, "sequences must be 1 to 1000000, not 0"),
        ({"steps": 0}, "steps must be 1 to 1000000, not 0"),
        ({"seed": -1}, "seed must be 0 or more, not -1"),
        (
            {"sequences": 10**4, "steps": 10**4},
            "sequences times steps must be at most 1000000",
        ),
        ({"inputs": np.zeros((1, 2, 3)), "steps": 2}, "steps must come without `inputs`, whose sequences"),
        ({"through": "walls"}, "through must be core, pins or netlist, not 'walls'"),
        (
            {"through": "pins", "idle": "random"},
            "idle and back_pressure must go with `through` core",
        ),
    ],
)
def test_what_is_refused(options, message):
    """Counts, and options that go with others only, are refused before anything is compiled."""
    with pytest.raises(FormatError, match=f"^{message}"):
        compile(Network(Checkpoint(NETWORK)), None).simulate(**options)


@pytest.mark.parametrize("through", ["core", "pins"])
def test_a_wrong_bit_is_found(through):
    """Hardware with one wrong bit of a bias is found, through the core's ports and through the pins."""
    design = compile(Network(Checkpoint(NETWORK)), None)
    assert design.simulate(sequences=1, steps=5, through=through).mismatches == 0
    memory = design.core.memory("constants")
    wrong_memory = memory.with_words(word ^ (1 << 4) for word in memory.words)
    wrong = replace(design, core=design.core.with_memory(wrong_memory))
    with pytest.raises(MismatchError, match="sequence 0, step 0"):
        wrong.simulate(sequences=1, steps=5, through=through)
