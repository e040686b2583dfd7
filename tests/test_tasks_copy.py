"""The copy task: its sequences, its interface and its metrics."""

import numpy as np
import pytest

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.errors import FormatError
from qornn_hw.tasks import CopyTask, copy


def test_sequences():
    """Ten symbols, the blanks, a marker and nine blanks; the targets are blank, then the ten symbols."""
    inputs, targets = copy.sequences(np.random.default_rng(0), 500, 6)
    assert inputs.shape == targets.shape == (500, 26)
    assert set(np.unique(inputs[:, :10])) == set(range(1, 9))
    assert not inputs[:, 10:16].any() and (inputs[:, 16] == 9).all() and not inputs[:, 17:].any()
    assert not targets[:, :16].any()
    np.testing.assert_array_equal(targets[:, 16:], inputs[:, :10])


def test_interface_and_metrics():
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


@pytest.mark.parametrize("blank", [1, 100, 1000])
def test_blind(blank):
    """The blind answer has blank right and guesses the ten symbols among eight."""
    task = CopyTask(blank)
    assert task.blind() == pytest.approx(10 * np.log(8) / (blank + 20))
    targets = task.test(20).targets
    logits = np.full((*targets.shape, 9), -1e9)
    logits[:, :-10, 0], logits[:, -10:, 1:] = 0.0, 0.0
    found = task.metrics(task.totals(logits, targets), 20)
    assert found["cross_entropy"] == pytest.approx(task.blind(), rel=1e-5)


@pytest.mark.parametrize("blank", [0, -1, 10**6 + 1, "5", 2.0, True])
def test_bad_arguments(blank):
    """A number of blanks that is not an integer from 1 to a million is refused."""
    with pytest.raises(FormatError, match=f"^blank must be 1 to 1000000, not {blank!r}$"):
        CopyTask(blank)
