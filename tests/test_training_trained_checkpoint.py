"""The checkpoint of a network in training computes what the network computes, and records its origin."""

import numpy as np
import pytest
import torch

from qornn_hw.training import AddingConfig, CopyConfig
from qornn_hw.training.initialization import make_cell
from qornn_hw.training.trained_checkpoint import trained_checkpoint
from qornn_hw.training.trainer import Trainer

CONFIGS = [
    AddingConfig(steps=5, hidden=6, activation="tanh", first_matrix="haar", linear_start=0.0),
    AddingConfig(steps=5, hidden=6),
    CopyConfig(blank=3, hidden=6),
]


def checkpoint_of(config):
    """Return the initial network of a configuration, and its checkpoint."""
    torch.manual_seed(0)
    task = config.task()
    cell = make_cell(config, task)
    return cell, trained_checkpoint(cell, config, task, Trainer(cell, task, config, True, None))


@pytest.mark.parametrize("config", CONFIGS, ids=["tanh", "relu", "identity"])
def test_integers_are_those_of_the_quantized_weights(config):
    """W and V are the quantized weights over their steps, and the float weights are those before."""
    cell, checkpoint = checkpoint_of(config)
    q = cell.quantized()
    for name, values, step in (
        ("recurrent_weight", q.recurrent, q.steps[0]),
        ("output_weight", q.output, q.steps[2]),
    ):
        wanted = np.rint((values / step).detach().double().numpy())
        np.testing.assert_array_equal(getattr(checkpoint.network, name), wanted)
    np.testing.assert_array_equal(checkpoint.float_weights["recurrent_weight"], q.plain.detach().numpy())


@pytest.mark.parametrize("config", CONFIGS, ids=["tanh", "relu", "identity"])
def test_scales_are_those_of_the_task(config):
    """Input and output are in the user's units, and the task is recorded."""
    _, checkpoint = checkpoint_of(config)
    task = config.task()
    scales = checkpoint.network.scales
    assert (scales.input, scales.input_offset) == (task.input_scale, task.input_offset)
    assert checkpoint.task == task.description() and checkpoint.metrics == {}


def test_provenance():
    """Command, method and seed are recorded; weights behind a rounding are latent, others fitted."""
    _, checkpoint = checkpoint_of(CopyConfig(blank=3, hidden=6, seed=4))
    found = checkpoint.provenance
    assert found["command"] == "qornn-hw train copy --blank 3 --hidden 6 --seed 4 -o model.pt"
    assert (found["method"], found["seed"], found["float_weights"]) == ("bjorck", 4, "latent")
    _, after = checkpoint_of(CopyConfig(blank=3, hidden=6, method="ptq"))
    assert after.provenance["float_weights"] == "fitted"
