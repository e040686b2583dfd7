"""Losses and metrics equal their formulas in NumPy, for classes and values, padded and not."""

import numpy as np
import pytest
import torch

from qornn_hw.tasks import AddingTask, ArraysTask, CopyTask
from qornn_hw.training.objectives import answers, answers_loss, last_only, real_inputs, score


class Fixed(torch.nn.Module):
    """A network whose logits are a fixed function of its inputs: the inputs times a matrix."""

    def __init__(self, inputs, outputs):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(inputs, outputs, generator=generator))

    def forward(self, x, state, last_only=False):
        """Return the logits, and the number of steps as the state."""
        vectors = torch.nn.functional.one_hot(x, len(self.weight)).float() if x.ndim == 2 else x
        logits = vectors @ self.weight
        return (logits[:, -1] if last_only else logits), x.shape[1]


def arrays_task(**arrays):
    """Return a loaded arrays task whose training and test set are equal."""
    both = {f"{name}_{part}": value for name, value in arrays.items() for part in ("train", "test")}
    task = ArraysTask.from_arrays(**both)
    task.load()
    return task


def test_answers_of_padded_sequences():
    """The answer after the last step is taken at the end of each sequence, or at the end of the batch."""
    cell, x = Fixed(2, 3), torch.randn(3, 5, 2)
    every, state = answers(cell, x, False, None)
    assert every.shape == (3, 5, 3) and state == 5
    assert torch.equal(answers(cell, x, True, None)[0], every[:, -1])
    found = answers(cell, x, True, torch.tensor([1, 5, 3]))[0]
    assert torch.equal(found, torch.stack([every[0, 0], every[1, 4], every[2, 2]]))


def test_loss_of_the_copy_task():
    """It is the mean cross-entropy over all steps, multiplied by (blank + 20) / 10."""
    task = CopyTask(4)
    examples = task.training_batch(0, 6, 0)
    cell, x, targets = Fixed(10, 9), torch.from_numpy(examples.inputs), torch.from_numpy(examples.targets)
    assert not last_only(task)
    loss, shown, _ = answers_loss(task)(cell, x, targets, None)
    logits = cell(x, None)[0].detach().double().numpy()
    right = np.take_along_axis(logits, examples.targets[..., None], axis=-1)[..., 0]
    entropy = (np.log(np.exp(logits).sum(axis=-1)) - right).mean()
    assert float(loss.detach()) == pytest.approx(entropy * 24 / 10, rel=1e-5) and shown == {}


def test_loss_of_values():
    """It is the squared error of the values in units of output_scale, at the last step."""
    task = AddingTask(6)
    examples = task.training_batch(0, 5, 0)
    cell, x = Fixed(2, 1), real_inputs(task, examples.inputs)
    assert last_only(task) and x.dtype == torch.float32
    loss, _, _ = answers_loss(task)(cell, x, torch.from_numpy(examples.targets), None)
    wanted = (examples.targets - task.output_offset) / task.output_scale
    error = (cell(x, None)[0][:, -1].detach().numpy() - wanted) ** 2
    assert float(loss.detach()) == pytest.approx(error.mean(), rel=1e-5)


def test_padding_does_not_count():
    """Other inputs and targets behind the ends of the sequences change neither loss nor score."""
    rng = np.random.default_rng(1)
    inputs, lengths = rng.integers(0, 4, (20, 6)), rng.integers(1, 7, 20)
    targets = rng.integers(0, 3, (20, 6))
    inputs[0, 0], targets[0, 0] = 3, 2
    padding = np.arange(6) >= lengths[:, None]
    found = []
    for other in (0, 1):
        x, y = np.where(padding, other, inputs), np.where(padding, other, targets)
        task = arrays_task(inputs=x, targets=y, lengths=lengths)
        cell, part = Fixed(4, 3), task.test()
        batch = [torch.from_numpy(a) for a in (part.inputs, part.targets, part.lengths)]
        loss, _, _ = answers_loss(task)(cell, batch[0], batch[1], None, batch[2])
        found.append((float(loss.detach()), score(cell, task, part, 8)))
    assert found[0] == found[1]


@pytest.mark.parametrize("hidden", [1, 10**9])
def test_score_does_not_depend_on_the_batch_size(hidden):
    """The score of a test set is the task's metric over all sequences, whether in one batch or one by one."""
    task = CopyTask(3)
    examples, cell = task.test(7), Fixed(10, 9)
    logits = cell(torch.from_numpy(examples.inputs), None)[0].detach().double().numpy()
    metrics = task.metrics(task.totals(logits, examples.targets), 7)
    assert score(cell, task, examples, hidden) == pytest.approx(metrics[task.metric], rel=1e-6)
    assert cell.training
