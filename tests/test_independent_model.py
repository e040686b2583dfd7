"""The model written from the documents alone agrees with the integer models, and tells faults."""

import numpy as np
import pytest
from independent_model import Model, read
from random_operations import draw_inputs, draw_network

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.files.checkpoint import Checkpoint, NetworkCheckpoint, save_checkpoint, save_network
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.kinds import InputKind
from qornn_hw.sim.stimuli import random_network, random_sequences

STEPS = 12


@pytest.mark.parametrize("seed", range(150))
def test_random_networks(tmp_path, seed):
    """150 networks of files of version 2: every state, logit and class of a sequence is the same."""
    network = draw_network([77, seed])
    save_network(tmp_path / "a.npz", NetworkCheckpoint(network))
    model = Model(*read(tmp_path / "a.npz"))
    inputs = draw_inputs(network, STEPS, seed)
    run = Interpreter(network).run(inputs)
    found = model.run(inputs[0].tolist())
    assert [logits for logits, _ in found] == run.logits[0].tolist()
    assert [k for _, k in found] == run.classes[0].tolist()
    for name, states in run.states.items():
        assert model.values[name] == states[0, -1].tolist()


@pytest.mark.parametrize("kind", list(InputKind))
@pytest.mark.parametrize("activation", list(Activation))
def test_elman_networks(tmp_path, activation, kind):
    """Files of version 1: every state and logit of two sequences is the same."""
    network = random_network(
        seed=5, hidden_size=6, input_size=4, output_size=3, activation=activation, input_kind=kind
    )
    save_checkpoint(tmp_path / "a.npz", Checkpoint(network))
    model = Model(*read(tmp_path / "a.npz"))
    sequences = random_sequences(network, batch=2, steps=STEPS, seed=6)
    trace = IntegerModel(network).run(np.stack(sequences))
    for b, x in enumerate(sequences):
        assert [logits for logits, _ in model.run(x.tolist())] == trace.logits[b].tolist()
        model.reset()
        for t, one in enumerate(x.tolist()):
            model.step(one, answered=False)
            assert model.values["g"] == trace.states[b, t].tolist()


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_integer_is_seen(tmp_path, seed):
    """A bias of the logits that is larger by one gives other logits."""
    network = draw_network([77, seed])
    save_network(tmp_path / "a.npz", NetworkCheckpoint(network))
    entry, arrays = read(tmp_path / "a.npz")
    arrays[f"{network.readout.logits.name}.bias"][0] += 1
    inputs = draw_inputs(network, STEPS, seed)
    wanted = Interpreter(network).run(inputs).logits[0].tolist()
    assert [logits for logits, _ in Model(entry, arrays).run(inputs[0].tolist())] != wanted
