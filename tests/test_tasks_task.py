"""What all tasks promise: reproducible batches, disjoint sets, descriptions, and metrics without padding."""

import numpy as np
import pytest

from qornn_hw.tasks import AddingTask, CopyTask, make_task
from qornn_hw.tasks.task import Examples

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
    """A task made from the description is equal."""
    made = make_task(task.description())
    assert type(made) is type(task) and made.description() == task.description()
    np.testing.assert_array_equal(made.test(2).inputs, task.test(2).inputs)


RAGGED = np.array([3, 1, 3, 2])


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 2)], ids=["class", "classes", "series"])
def test_examples_of_one_length(shape):
    """Each sequence is in one group of its length, without its padding."""
    inputs = np.arange(12).reshape(4, 3)
    targets = np.arange(np.prod(shape)).reshape(shape)
    examples = Examples(inputs, targets.astype(float) if len(shape) == 3 else targets, lengths=RAGGED)
    seen = []
    for chosen, part in examples.of_one_length():
        assert part.lengths is None and part.inputs.shape == (len(chosen), RAGGED[chosen[0]])
        for i, row, target in zip(chosen, part.inputs, part.targets, strict=True):
            np.testing.assert_array_equal(row, inputs[i, : RAGGED[i]])
            np.testing.assert_array_equal(target, targets[i][: RAGGED[i]] if len(shape) > 1 else targets[i])
            seen.append(int(i))
    assert sorted(seen) == [0, 1, 2, 3]


def test_examples_without_lengths():
    """Sequences of full length are one group."""
    examples = Examples(np.zeros((2, 3), int), np.zeros(2, int))
    ((chosen, part),) = examples.of_one_length()
    assert chosen.tolist() == [0, 1] and part is examples


def test_metrics_from_single_sequences():
    """Answers sequence by sequence give the same metrics as one array."""
    task, rng = CopyTask(3), np.random.default_rng(0)
    examples = task.test(6)
    logits = rng.normal(size=(6, 23, 9))
    wanted = task.metrics(task.totals(logits, examples.targets), 6)
    assert task.measured(list(logits), examples) == wanted
    assert task.metrics(task.totals_of(logits, examples), 6) == wanted
