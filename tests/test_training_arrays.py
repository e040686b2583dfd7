"""Trainings on a user's own arrays: each form of targets, sequences of different lengths, any units."""

import numpy as np
import pytest
import torch
from array_tasks import arrays

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation
from qornn_hw.evaluation.evaluate import evaluate, measure, task_of
from qornn_hw.tasks import ArraysTask
from qornn_hw.training import objectives, train
from qornn_hw.training.cells import QORNN
from qornn_hw.training.command_line import command_line
from qornn_hw.training.task_configs import ArraysConfig


def config_of(file, **options):
    """Return a short training of a small network."""
    short = {
        "hidden": 12, "bits": 6, "batch": 30, "float_epochs": 25, "epochs": 6, "finetune_epochs": 3,
        "activation": "tanh",
    }  # fmt: skip
    return ArraysConfig(task_file=str(file), **short | options)


@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("answers", ["class", "classes", "values", "series"])
def test_arrays_learn(tmp_path, answers, lengths):
    """The integers learn most of the task in any units."""
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays(answers, lengths))
    checkpoint = train(config_of(file), quiet=True)
    found, blind = checkpoint.metrics["integer"], checkpoint.metrics
    if answers in ("class", "classes"):
        assert found["accuracy"] > 0.4 + 0.6 * blind["blind_accuracy"]
    else:
        assert found["mse"] < 0.4 * blind["blind_mse"]
    assert checkpoint.metrics == evaluate(checkpoint, file)
    scales = checkpoint.network.scales
    assert len(scales.input) == 2 and scales.input_offset[0] == 0.0
    assert scales.input_offset[1] == pytest.approx(290.0, abs=1.0)


def test_one_output_learns_a_threshold(tmp_path):
    """With one output, the hardware's integer is above 0 for class 1."""
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays("class", False))
    checkpoint = train(config_of(file, one_output=True, output_kind="logits"), quiet=True)
    assert checkpoint.network.output_size == 1
    test = task_of(checkpoint, file).test()
    answers = IntegerModel(checkpoint.network).answers(test.inputs)[:, 0, 0]
    accuracy = ((answers > 0) == test.targets).mean()
    assert checkpoint.metrics["integer"]["accuracy"] == pytest.approx(accuracy)
    assert accuracy > 0.4 + 0.6 * checkpoint.metrics["blind_accuracy"]


def test_argmax_of_one_output_is_refused(tmp_path):
    """The index of the largest of one output says nothing."""
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays("class", False))
    with pytest.raises(ValueError, match=r"^output_kind must be logits or both for one output, not argmax"):
        train(config_of(file, one_output=True, output_kind="argmax"), quiet=True)


@pytest.mark.parametrize("answers", ["class", "classes", "values", "series"])
def test_loss_and_score_see_no_padding(answers):
    """Loss, gradient and validation of padded sequences are the same whatever the padding holds."""
    task = ArraysTask.from_arrays(**arrays(answers, True))
    task.load()
    torch.manual_seed(0)
    cell = QORNN(2, 5, task.outputs, Activation(config_of("x").activation), 6, 8, method="free")
    examples = task.training_batch(0, 20, 0)
    behind = np.arange(examples.inputs.shape[1]) >= examples.lengths[:, None]
    found = []
    for filler in (0, 77):
        inputs = examples.inputs.copy()
        inputs[behind] = filler
        x = objectives.real_inputs(task, inputs)
        targets, lengths = torch.from_numpy(examples.targets), torch.from_numpy(examples.lengths)
        cell.zero_grad()
        loss, _, _ = objectives.answers_loss(task)(cell, x, targets, None, lengths)
        loss.backward()
        gradient = cell.recurrent_weight.grad.clone()
        padded = type(examples)(inputs, examples.targets, lengths=examples.lengths)
        found.append((float(loss.detach()), gradient, objectives.score(cell, task, padded, 5)))
    assert found[0][0] == found[1][0] and found[0][2] == found[1][2]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-8)


def test_default_lengths_of_the_stages(tmp_path):
    """Without epochs a stage has its default steps, and at least its default epochs; given epochs count."""
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays("class", False))
    config = config_of(file, float_epochs=None, epochs=None, finetune_epochs=None)
    task = config.task()
    # 270 training sequences, 9 batches.
    assert config.stages(task) == (2007, 1206, 603)
    assert "epochs" not in command_line(config)
    one = config_of(file, float_epochs=None, epochs=None, finetune_epochs=0, batch=1)
    assert one.stages(task) == (2700, 1620, 0)
    assert config_of(file, batch=5000).stages(task) == (25, 6, 3)


def test_measure_takes_padded_sequences(tmp_path):
    """The integer model is run on each sequence without its padding."""
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays("series", True))
    checkpoint = train(config_of(file, float_epochs=1, epochs=1, finetune_epochs=0), quiet=True)
    task, net = task_of(checkpoint, file), checkpoint.network
    test = task.test()
    model = IntegerModel(net)
    alone = [
        np.square(model.answers(x[None, :n])[0] * net.scales.output - y[:n]).mean()
        for x, y, n in zip(test.inputs, test.targets, test.lengths, strict=True)
    ]
    found = measure(task, test, lambda x: model.answers(x) * net.scales.output, net.hidden_size)
    assert found["mse"] == pytest.approx(np.mean(alone), rel=1e-5)
