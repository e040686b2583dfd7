"""What a board runs: a file, random sequences, or the test set; the counts that cannot be."""

from pathlib import Path

import numpy as np
import pytest
from networks import make_network

from qornn_hw.api.network import Network, load
from qornn_hw.api.run_inputs import RANDOM_STEPS, run_inputs
from qornn_hw.errors import DataError, FormatError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.sim.stimuli import random_sequences

NETWORK = make_network(n=4, m=3, p=2, seed=5)
NET = Network(Checkpoint(NETWORK))
MODELS = Path(__file__).parents[1] / "models"


def test_random_sequences():
    """Random sequences are those of the seed, the first of them."""
    given = run_inputs(NET, random=3, steps=4, seed=7)
    assert np.array_equal(given.sequences, random_sequences(NETWORK, batch=3, steps=4, seed=7))
    assert len(run_inputs(NET, random=3, limit=2).sequences) == 2
    assert len(run_inputs(NET, random=1).sequences[0]) == RANDOM_STEPS
    assert (given.score, given.clipped, given.clipped_text) == (None, None, None)


def test_a_file(tmp_path):
    """Integers are the network's own; real numbers go through its scales, and what is clipped is counted."""
    x = np.stack(random_sequences(NETWORK, batch=2, steps=4, seed=1))
    np.save(tmp_path / "integers.npy", x)
    assert np.array_equal(run_inputs(NET, inputs=tmp_path / "integers.npy").sequences, x)
    real = x * NETWORK.scales.input_steps(3)
    real[0, 0, 1] = 1e6
    np.save(tmp_path / "real.npy", real)
    given = run_inputs(NET, inputs=tmp_path / "real.npy", limit=1)
    assert np.array_equal(given.sequences[0][1:], x[0, 1:])
    assert given.clipped == [0, 1, 0] and "1 of 12 input entries" in given.clipped_text
    with pytest.raises(DataError, match="no such file"):
        run_inputs(NET, inputs=tmp_path / "none.npy")


def test_the_test_set():
    """The sequences of the task, whose answers have the metrics that the model file records."""
    net = load(MODELS / "copy.npz")
    given = run_inputs(net, limit=4)
    assert len(given.sequences) == 4 and given.score is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit must be at least 1, not 0"),
        ({"random": 0}, "random must be 1 to 1000000, not 0"),
        ({"random": 1, "steps": 0}, "steps must be 1 to 1000000, not 0"),
        ({"random": 10**4, "steps": 10**4}, "random times steps must be at most 1000000"),
        ({"random": 1, "seed": -1}, "seed must be 0 or more, not -1"),
        ({"random": 1, "inputs": Path("x.npy")}, "inputs and random must not come together"),
        ({}, "the network must name a task to have a test set of its own"),
    ],
)
def test_what_cannot_be(options, message):
    """Counts that cannot be, two kinds at once, and a network without a task."""
    with pytest.raises(FormatError, match=f"^{message}"):
        run_inputs(NET, **options)
