"""The stages of a training: their learning rates, their loss, and the rounding of W before them."""

import numpy as np
import pytest
import torch

from qornn_hw.cells.elman_network import Activation
from qornn_hw.training import AddingConfig, CopyConfig, objectives, stages, train, trainer
from qornn_hw.training.cells import QORNN
from qornn_hw.training.penalty import orthogonality_penalty


def test_orthogonal_rounding():
    """The rows of the integers are closer to orthogonal with orthogonal_rounding than without."""
    options = {"blank": 3, "hidden": 12, "bits": 3, "batch": 8, "float_iterations": 5, "per_row": True}
    config = CopyConfig(**options, orthogonal_rounding=True, iterations=20, finetune_iterations=5)
    found = train(config, quiet=True)
    q = found.network.recurrent_weight.astype(float)
    gram = q @ q.T
    lengths = np.sqrt(np.diag(gram))
    error = np.linalg.norm(gram / lengths / lengths[:, None] - np.eye(12))
    plain = train(CopyConfig(**options, iterations=20, finetune_iterations=5), quiet=True)
    q = plain.network.recurrent_weight.astype(float)
    gram = q @ q.T
    lengths = np.sqrt(np.diag(gram))
    assert error < 0.9 * np.linalg.norm(gram / lengths / lengths[:, None] - np.eye(12))


def test_rates_of_the_stages(monkeypatch):
    """The factors of a stage multiply its learning rates; W has one more in the quantized stage."""
    seen = {}

    def note(self, stage, prepare=None):
        groups = [group for optimizer in stage.optimizers for group in optimizer.param_groups]
        seen[stage.title.split(", ")[1]] = [group["rate"] for group in groups]

    monkeypatch.setattr(trainer.Trainer, "run", note)
    rates = {"learning_rate_recurrent": 1.0, "learning_rate_input": 2.0, "learning_rate_output": 4.0}
    factors = {"quantized_rate": 0.5, "quantized_recurrent_rate": 0.25, "finetune_rate": 0.125}
    counts = {"float_iterations": 1, "iterations": 1, "finetune_iterations": 1}
    options = {"steps": 4, "hidden": 4, "curriculum": 0, "train_recurrent": True}
    train(AddingConfig(**options, **rates, **factors, **counts), quiet=True)
    assert seen == {
        "real weights": [1.0, 2.0, 4.0],
        "quantized weights": [0.125, 1.0, 2.0],
        "rounded states": [0.125, 0.25, 0.5],
    }


def test_penalty_is_part_of_the_loss():
    """The penalty method adds its weight times the penalty of the quantized W."""
    torch.manual_seed(0)
    config = AddingConfig(steps=5, hidden=6, batch=4, method="penalty", penalty=0.7)
    task = config.task()
    cell = QORNN(2, 6, 1, Activation.RELU, 5, 8)
    examples = task.training_batch(0, 4, 0)
    x = objectives.real_inputs(task, examples.inputs)
    targets = torch.from_numpy(examples.targets)
    with torch.no_grad():
        loss, shown, _ = stages._objective(config, task, cell)(cell, x, targets, None)
        plain, _, _ = objectives.answers_loss(task)(cell, x, targets, None)
        penalty = orthogonality_penalty(cell.quantized().recurrent)
    assert float(loss) == pytest.approx(float(plain + 0.7 * penalty), rel=1e-6)
    assert shown["penalty"] == pytest.approx(float(penalty))


def test_stages_of_a_run(monkeypatch):
    """A stage without iterations is left out, and only the last one starts with its own network."""
    seen = []
    monkeypatch.setattr(
        trainer.Trainer, "run", lambda self, stage, prepare=None: seen.append((stage.title, stage.keep_start))
    )
    for counts in ((1, 1, 1), (0, 1, 0)):
        names = dict(zip(("float_iterations", "iterations", "finetune_iterations"), counts, strict=True))
        train(AddingConfig(steps=4, hidden=4, curriculum=0, **names), quiet=True)
    assert seen == [
        ("adding, real weights", False),
        ("adding, quantized weights", False),
        ("adding, rounded states", True),
        ("adding, quantized weights", False),
    ]
