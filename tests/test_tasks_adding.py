"""The adding task: its sequences, its curriculum and its metric."""

import re

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.quantization.requantize import calibration_inputs
from qornn_hw.tasks import AddingTask


def test_sequences():
    """One marker in each half, and the target is the exact sum of the two marked numbers."""
    task = AddingTask(9)
    examples = task.test()
    assert examples.inputs.shape == (2000, 9, 2) and examples.targets.shape == (2000, 1)
    numbers, markers = examples.inputs[..., 0], examples.inputs[..., 1]
    assert set(np.unique(markers)) == {0, 255} and numbers.min() == 0 and numbers.max() == 255
    assert np.all((markers[:, :4] > 0).sum(axis=1) == 1) and np.all((markers[:, 4:] > 0).sum(axis=1) == 1)
    assert set(np.flatnonzero(markers.any(axis=0))) == set(range(9))
    np.testing.assert_array_equal(examples.targets[:, 0], (numbers * (markers > 0)).sum(axis=1) / 256)
    assert task.input_scale == 1 / 256 and (task.input_bits, task.input_signed) == (8, False)


def test_curriculum():
    """Training sequences grow from 10 steps to all of them and stay; the other sets are of all steps."""
    task = AddingTask(200, curriculum=100)
    steps = [task.training_batch(i, 3, 0).inputs.shape[1] for i in range(103)]
    assert steps[0] == 10 and steps[50] == 44 and steps[99] == 194 and steps[100:] == [200] * 3
    assert steps == sorted(steps)
    assert task.validation().inputs.shape[1] == task.test().inputs.shape[1] == 200
    numbers, markers = (task.training_batch(0, 3, 0).inputs[..., i] for i in (0, 1))
    assert np.all((markers[:, :5] > 0).sum(axis=1) == 1) and np.all((markers[:, 5:] > 0).sum(axis=1) == 1)
    wanted = (numbers * (markers > 0)).sum(axis=1) / 256
    np.testing.assert_array_equal(task.training_batch(0, 3, 0).targets[:, 0], wanted)
    # The range of the states is that of whole sequences.
    assert calibration_inputs(task, 8).shape[1] == 200
    assert AddingTask(5, curriculum=100).steps_of_batch(0) == 5
    assert task.description() == AddingTask(200).description()


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_blind(bits):
    """The blind error is the variance of the sum of two numbers of the grid."""
    task = AddingTask(4, input_bits=bits)
    grid = np.arange(1 << bits) / (1 << bits)
    assert task.blind() == pytest.approx(np.add.outer(grid, grid).var(), rel=1e-12)
    assert task.test().targets.var() == pytest.approx(task.blind(), rel=0.1)


def test_metric():
    """The mean squared error of known answers, and a finite one of answers that are not."""
    task = AddingTask(4)
    targets = np.array([[1.0], [0.5]])
    logits = np.array([[[1.5]], [[0.5]]])
    assert task.metrics(task.totals(logits, targets), 2) == {"mse": 0.125}
    assert task.metrics(task.totals(logits * np.inf, targets), 2) == {"mse": 1e9}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"steps": 1}, "steps must be 2 to 1000000, not 1"),
        ({"steps": True}, "steps must be 2 to 1000000, not True"),
        ({"steps": 4, "input_bits": 17}, "input_bits must be 1 to 16, not 17"),
        ({"steps": 4, "curriculum": -1}, "curriculum must be 0 to 10000000, not -1"),
    ],
)
def test_bad_arguments(arguments, message):
    """An argument out of range is named with its range."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        AddingTask(**arguments)
