"""The generated tasks: copy and adding."""

import re

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.network import InputKind, OutputMode
from qornn_hw.requantize import calibration_inputs
from qornn_hw.training.tasks import (
    AddingTask,
    CopyTask,
    adding,
    arrays,
    characters,
    copy,
    make_task,
    mnist,
    speech,
)
from qornn_hw.training.tasks.measures import generator

TASKS = [CopyTask(5), AddingTask(9)]


@pytest.mark.parametrize("task", TASKS)
def test_batches_are_functions_of_their_arguments(task):
    """The same index, count and seed give the same batch; another index or seed another one."""
    first = task.training_batch(3, 7, 11)
    np.random.seed(1)
    np.random.random(5)
    again = task.training_batch(3, 7, 11)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.targets, again.targets)
    for other in (task.training_batch(4, 7, 11), task.training_batch(3, 7, 12)):
        assert not np.array_equal(first.inputs, other.inputs)
    assert first.inputs.dtype == np.int64 and len(first.inputs) == len(first.targets) == 7
    assert not first.continues and task.batches_per_epoch(7) is None


@pytest.mark.parametrize("task", TASKS)
def test_sets_are_apart(task):
    """Validation, test and training are different, and always the same; a limit takes the first ones."""
    parts = [task.validation().inputs, task.test().inputs, task.training_batch(0, 200, 0).inputs]
    for i, one in enumerate(parts):
        for other in parts[i + 1 :]:
            assert not np.array_equal(one[:200], other[:200])
    np.testing.assert_array_equal(task.test(3).inputs, task.test().inputs[:3])
    np.testing.assert_array_equal(task.test(3).targets, task.test().targets[:3])
    np.testing.assert_array_equal(task.validation().inputs, task.validation().inputs)


@pytest.mark.parametrize("task", TASKS)
def test_a_description_makes_the_task(task):
    """A task made of the description is the same one."""
    made = make_task(task.description())
    assert type(made) is type(task) and made.description() == task.description()
    np.testing.assert_array_equal(made.test(2).inputs, task.test(2).inputs)


def test_copy_interface_and_metrics():
    """The perfect answer has the best metrics, and one wrong symbol costs its share of each."""
    task = CopyTask(6)
    assert (task.input_kind, task.inputs, task.outputs) == (InputKind.ONE_HOT, 10, 9)
    assert task.output_mode is OutputMode.EVERY_STEP
    targets = task.test(4).targets
    logits = 100.0 * np.eye(9)[targets]
    assert task.metrics(task.totals(logits, targets), 4) == {
        "cross_entropy": 0.0,
        "recall_accuracy": 1.0,
        "sequence_accuracy": 1.0,
        "blank_accuracy": 1.0,
    }
    logits[0, -1] = logits[1, 0] = 0.0
    logits[0, -1, 0] = logits[1, 0, 8] = 100.0
    found = task.metrics(task.totals(logits, targets), 4)
    assert found["recall_accuracy"] == 39 / 40 and found["sequence_accuracy"] == 3 / 4
    assert found["blank_accuracy"] == 63 / 64
    assert found["cross_entropy"] == pytest.approx(200 / 104, rel=1e-5)


def test_adding_sequences():
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


def test_adding_curriculum():
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
def test_adding_blind(bits):
    """The blind error is the variance of the sum of two numbers of the grid."""
    task = AddingTask(4, input_bits=bits)
    grid = np.arange(1 << bits) / (1 << bits)
    assert task.blind() == pytest.approx(np.add.outer(grid, grid).var(), rel=1e-12)
    assert task.test().targets.var() == pytest.approx(task.blind(), rel=0.1)


def test_adding_metric():
    """The mean squared error of known answers, and a finite one of answers that are not."""
    task = AddingTask(4)
    targets = np.array([[1.0], [0.5]])
    logits = np.array([[[1.5]], [[0.5]]])
    assert task.metrics(task.totals(logits, targets), 2) == {"mse": 0.125}
    assert task.metrics(task.totals(logits * np.inf, targets), 2) == {"mse": 1e9}


@pytest.mark.parametrize(
    "kind, arguments, message",
    [
        (CopyTask, {"blank": 0}, "blank must be 1 to 1000000, not 0"),
        (CopyTask, {"blank": "5"}, "blank must be 1 to 1000000, not '5'"),
        (AddingTask, {"steps": 1}, "steps must be 2 to 1000000, not 1"),
        (AddingTask, {"steps": True}, "steps must be 2 to 1000000, not True"),
        (AddingTask, {"steps": 4, "input_bits": 17}, "input_bits must be 1 to 16, not 17"),
        (AddingTask, {"steps": 4, "curriculum": -1}, "curriculum must be 0 to 10000000, not -1"),
    ],
)
def test_bad_arguments(kind, arguments, message):
    """An argument that cannot be is named."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        kind(**arguments)


def test_generators_differ_by_every_word():
    """Lists of one length have generators of their own; zeros at the end count for nothing."""
    lists = ((1, 0), (0, 1), (1, 1), (2, 0), (1, 2), (1, 1 << 32))
    assert len({generator(*words).integers(1 << 60) for words in lists}) == len(lists)
    assert generator(2, 0).integers(1 << 60) == generator(2).integers(1 << 60)


def test_generators_of_the_tasks_differ_by_their_first_word():
    """No two sets, orders or changes of all tasks begin with the same word."""
    words = [
        *(copy._TRAINING, copy._VALIDATION_SEED[0], copy._TEST_SEED[0]),
        *(adding._TRAINING, adding._VALIDATION_SEED[0], adding._TEST_SEED[0]),
        *(mnist._ORDER, mnist._SHIFT, speech._ORDER, speech._CHANGE, characters._START, arrays._ORDER),
    ]
    assert len(set(words)) == len(words) and max(words) < 1 << 32
