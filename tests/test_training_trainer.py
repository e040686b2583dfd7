"""The loop that every training shares: what it trains, when, by what it chooses, and what it never sees."""

import numpy as np
import pytest
import torch

from qornn_hw.cells.elman_network import Activation
from qornn_hw.errors import OutputError, TrainingError
from qornn_hw.tasks import AddingTask, CopyTask
from qornn_hw.training import AddingConfig, CopyConfig, cells, run, run_file, stages, train, trainer
from qornn_hw.training.recurrence import Grid, recur

SMALL = {"blank": 3, "hidden": 8, "batch": 8}
ADDING = {"steps": 5, "hidden": 6, "batch": 4, "bfloat16": False}


@pytest.fixture
def unmeasured(monkeypatch):
    """Runs whose checkpoints are not measured."""
    monkeypatch.setattr(run, "evaluate", lambda *_: {})


@pytest.fixture
def states(monkeypatch):
    """The network's state after each stage: what its best weights are put back to."""
    found = []
    original = trainer.Trainer.run

    def watched(self, *arguments):
        original(self, *arguments)
        found.append({k: v.clone() for k, v in self.cell.state_dict().items() if torch.is_tensor(v)})

    monkeypatch.setattr(trainer.Trainer, "run", watched)
    return found


def test_training_sees_no_test_data(unmeasured, monkeypatch):
    """Neither training, nor validation, nor calibration asks for the test set."""

    def refuse(*_):
        raise AssertionError("the test set")

    monkeypatch.setattr(CopyTask, "test", refuse)
    monkeypatch.setattr(AddingTask, "test", refuse)
    train(CopyConfig(**SMALL, iterations=4, finetune_iterations=2), quiet=True)
    train(AddingConfig(**ADDING, float_iterations=2, iterations=2, finetune_iterations=2), quiet=True)


def test_stages_have_batches_of_their_own(unmeasured, monkeypatch):
    """Different stages use different batches."""
    seen = []
    original = AddingTask.training_batch

    def watched(self, index, count, seed):
        seen.append(index)
        return original(self, index, count, seed)

    monkeypatch.setattr(AddingTask, "training_batch", watched)
    train(
        AddingConfig(**ADDING, curriculum=0, float_iterations=5, iterations=6, finetune_iterations=4),
        quiet=True,
    )
    batches = [index for index in seen if index > 0]
    # The very first one, of index 0, is also what calibrates.
    assert len(batches) == len(set(batches)) == 5 + 6 + 4 - 1


def test_held_weights_stay(unmeasured, states, monkeypatch):
    """From ``hold`` on W and U are frozen and V is trained; in the last copy stage W is frozen."""
    monkeypatch.setattr(trainer, "score", lambda *_: next(better))
    better = iter(range(1000, 0, -1))
    common = SMALL | {"hold": 0.5, "seed": 2}
    train(CopyConfig(**common, iterations=20, finetune_iterations=10), quiet=True)
    whole, tuned = states
    points = []
    rates = trainer.Trainer._set_rates

    def watched(self, stage, iteration):
        rates(self, stage, iteration)
        if iteration == 10:
            points.append({k: v.clone() for k, v in self.cell.state_dict().items() if torch.is_tensor(v)})

    monkeypatch.setattr(trainer.Trainer, "_set_rates", watched)
    train(CopyConfig(**common, iterations=20, finetune_iterations=0), quiet=True)
    for name in ("recurrent_weight", "input_weight"):
        assert torch.equal(points[0][name], whole[name])
    assert not torch.equal(points[0]["output_weight"], whole["output_weight"])
    assert torch.equal(tuned["recurrent_weight"], whole["recurrent_weight"])
    assert not torch.equal(tuned["input_weight"], whole["input_weight"])


def test_best_network_of_a_stage_goes_on(unmeasured, states, monkeypatch):
    """The weights at the best validation are those that a stage ends with."""
    scores = iter([3.0, 1.0, 2.0] + [9.0] * 17)
    at_best = []

    def score(cell, *_):
        value = next(scores)
        if value == 1.0:
            at_best.append(cell.output_weight.detach().clone())
        return value

    monkeypatch.setattr(trainer, "score", score)
    train(AddingConfig(**ADDING, iterations=20, finetune_iterations=0), quiet=True)
    assert torch.equal(states[0]["output_weight"], at_best[0])


def test_patience_counts_on_after_a_resume(unmeasured, tmp_path, monkeypatch):
    """Validations without an improvement before an interruption count for the patience."""
    monkeypatch.setattr(trainer, "score", lambda *_: 0.5)
    monkeypatch.setattr(run_file.RunFile, "due", property(lambda self: True))
    config = AddingConfig(**ADDING, iterations=200, finetune_iterations=0, patience=3)
    rates = trainer.Trainer._set_rates

    def stop(self, stage, iteration):
        if iteration == 35:
            raise KeyboardInterrupt
        rates(self, stage, iteration)

    monkeypatch.setattr(trainer.Trainer, "_set_rates", stop)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "model.pt", quiet=True)
    monkeypatch.setattr(trainer.Trainer, "_set_rates", rates)
    found = train(config, tmp_path / "model.pt", resume=True, quiet=True)
    assert found.provenance["curve"][-1]["iteration"] == 40


@pytest.mark.parametrize("method", ["bjorck", "projunn"])
def test_infinite_gradient_keeps_the_best_network(states, monkeypatch, method):
    """A gradient that is not finite ends the run before it reaches a weight."""
    config = CopyConfig(**SMALL, iterations=100, finetune_iterations=0, method=method)
    objective = stages._linear_copy
    calls = {"count": 0}

    def failing(cell, *arguments):
        loss, shown, state = objective(cell, *arguments)
        calls["count"] += 1
        if calls["count"] == 51:
            cell.input_weight.register_hook(lambda g: g * float("inf"))
        return loss, shown, state

    monkeypatch.setattr(stages, "_linear_copy", failing)
    with pytest.raises(TrainingError, match=r"the gradient must be finite, but is (inf|nan) in iteration 51"):
        train(config, quiet=True)


def test_failure_before_the_first_validation_keeps_what_was(monkeypatch):
    """A stage that fails at once leaves the network of the stage before it."""
    good = train(CopyConfig(**SMALL, iterations=20, finetune_iterations=0), quiet=True)
    config = CopyConfig(**SMALL, iterations=20, finetune_iterations=20)
    objective = stages._linear_copy
    calls = {"count": 0}

    def failing(*arguments):
        loss, shown, state = objective(*arguments)
        calls["count"] += 1
        return (loss * float("nan") if calls["count"] == 21 else loss), shown, state

    monkeypatch.setattr(stages, "_linear_copy", failing)
    with pytest.raises(
        TrainingError, match="the loss must be finite, but is nan in iteration 1 of"
    ) as caught:
        train(config, quiet=True)
    kept = caught.value.checkpoint
    np.testing.assert_array_equal(kept.float_weights["output_weight"], good.float_weights["output_weight"])


def test_bfloat16_is_for_training_only(unmeasured, monkeypatch):
    """Products are in bfloat16 in training, not in validation, not where states are rounded."""
    seen = set()

    def watched(*arguments, **options):
        seen.add((torch.is_grad_enabled(), options["grid"] is not None, options["bfloat16"]))
        return recur(*arguments, **options)

    monkeypatch.setattr(cells, "recur", watched)
    train(AddingConfig(**(ADDING | {"bfloat16": True}), iterations=3, finetune_iterations=3), quiet=True)
    assert seen == {(True, False, True), (False, False, False), (True, True, False), (False, True, False)}


@pytest.mark.parametrize("rounding, wanted", [("half_up", [-1, 0, 1, 2, 3]), ("half_even", [-2, 0, 0, 2, 2])])
def test_ties_of_the_grid(rounding, wanted):
    """States half way between two steps go up, or to the even one."""
    ties = torch.tensor([[-1.5, -0.5, 0.5, 1.5, 2.5]]) * 0.25
    eye = torch.eye(5)
    grid = Grid(0.25, 8, trainer_rounding(rounding))
    found = recur(
        Activation.IDENTITY, eye, torch.zeros(5, 1), torch.zeros(5), torch.zeros(1, 1, 1), ties, grid=grid
    )
    assert (found[0, 0] / 0.25).tolist() == wanted


def trainer_rounding(name):
    """Return the tie rule of that name."""
    from qornn_hw.ir.formats import Rounding

    return Rounding(name)


def test_curve_has_the_matrix(unmeasured):
    """Every validation records the orthogonality of W, before and after quantization."""
    found = train(CopyConfig(**SMALL, iterations=40, finetune_iterations=0), quiet=True)
    points = [p for p in found.provenance["curve"] if "cross_entropy" in p]
    assert len(points) == 20
    for point in points:
        assert point["residual"] < 1e-4
        assert 0.5 < point["singular_min"] <= point["singular_max"] < 1.5


def test_run_stays_until_the_checkpoint_is_safe(tmp_path, monkeypatch):
    """If the checkpoint cannot be written, the run can be resumed."""
    from qornn_hw.cli import train as train_command
    from qornn_hw.files import checkpoint

    monkeypatch.setattr(run_file.RunFile, "due", property(lambda self: True))
    config = CopyConfig(**SMALL, iterations=5, finetune_iterations=0)
    out = tmp_path / "model.npz"

    def full(*_):
        raise OutputError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_checkpoint", full)
        with pytest.raises(OutputError):
            train_command.train_to_file(config, out, False)
    assert (tmp_path / "model.run").exists() and not out.exists()
    train_command.train_to_file(config, out, True)
    assert out.exists() and not (tmp_path / "model.run").exists()
