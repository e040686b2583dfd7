"""Whole training runs, small ones: they learn, they repeat, they are taken up again bit for bit."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from qornn_hw.errors import CheckpointError, DataError, FormatError, OutputError, ToolError, TrainingError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.files.checkpoint import load_checkpoint, save_checkpoint
from qornn_hw.tasks import CopyTask
from qornn_hw.training import (
    AddingConfig,
    CopyConfig,
    MnistConfig,
    initialization,
    run_file,
    stages,
    train,
    trainer,
)
from qornn_hw.training.task_configs import ArraysConfig, CharactersConfig, PermutedMnistConfig

WEIGHTS = ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias")


def text(folder):
    """Write a text to train on, and return its folder."""
    letters = np.random.default_rng(0).choice(list("abcdefgh \n"), 6000)
    (folder / "input.txt").write_text("".join(letters))
    return folder


def ragged(folder):
    """Write arrays with sequences of different lengths and values after each step, and return the file."""
    rng = np.random.default_rng(0)
    file = folder / "ragged.npz"
    x = rng.normal(size=(100, 7, 2)) * [300.0, 0.1]
    sets = {"train": slice(0, 80), "test": slice(80, 100)}
    found = {}
    for name, chosen in sets.items():
        found[f"inputs_{name}"] = x[chosen]
        found[f"targets_{name}"] = np.cumsum(x[chosen], axis=1)
        found[f"lengths_{name}"] = rng.integers(1, 8, len(x[chosen]))
    np.savez(file, **found)
    return file


def rows_config(**options):
    """Return a configuration of MNIST by rows without moved images: the bars' classes are their places."""
    return MnistConfig(**({"augment": 0} | options))


def assert_same(first, second):
    """All integers and all float weights of two checkpoints are equal, and so is what was measured."""
    for name in WEIGHTS:
        np.testing.assert_array_equal(getattr(first.network, name), getattr(second.network, name))
        np.testing.assert_array_equal(first.float_weights[name], second.float_weights[name])
    assert first.network.scales == second.network.scales
    assert first.metrics == second.metrics


def test_copy_learns():
    """A short run learns to recall most of a short copy task in integers."""
    config = CopyConfig(
        blank=2,
        hidden=32,
        bits=8,
        iterations=250,
        finetune_iterations=50,
        batch=32,
        learning_rate_recurrent=3e-4,
    )
    checkpoint = train(config, quiet=True)
    found = checkpoint.metrics["integer"]
    assert found["recall_accuracy"] > 0.5
    assert found["cross_entropy"] < 0.75 * checkpoint.metrics["blind_cross_entropy"]
    assert checkpoint.task == {"name": "copy", "blank": 2}
    assert checkpoint.provenance["command"].startswith("qornn-hw train copy ")
    curve = checkpoint.provenance["curve"]
    assert curve[-1]["stage"] == "copy, rounded states" and curve[-1]["iteration"] == 50
    assert curve[-1]["loss"] < curve[0]["loss"]


@pytest.mark.parametrize("activation", ["identity", "modrelu", "tanh"])
def test_copy_repeats(tmp_path, activation):
    """The same configuration gives the same integers, and evaluation of the file finds its metrics."""
    config = CopyConfig(
        blank=3, hidden=8, iterations=6, finetune_iterations=3, batch=8, activation=activation, seed=5
    )
    first, second = (train(config, quiet=True) for _ in range(2))
    assert_same(first, second)
    save_checkpoint(tmp_path / "a.pt", first)
    loaded = load_checkpoint(tmp_path / "a.pt")
    assert loaded.metrics == evaluate(loaded) == first.metrics


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "activation, method, state_bits",
    [("relu", "free", 10), ("tanh", "bjorck", 10), ("modrelu", "bjorck", 12), ("modrelu", "projunn", 12)],
)
def test_mnist_learns(bars, activation, method, state_bits):
    """Images whose class is the height of a bright row are told apart in integers."""
    config = rows_config(
        data=str(bars),
        hidden=24,
        state_bits=state_bits,
        activation=activation,
        method=method,
        epochs=14,
        finetune_epochs=2,
        batch=32,
    )
    checkpoint = train(config, quiet=True)
    assert checkpoint.metrics["integer"]["accuracy"] > 0.6
    assert checkpoint.metrics == evaluate(checkpoint, bars)
    assert str(bars) not in str(checkpoint.provenance)
    assert checkpoint.network.weight_bits.recurrent == 4
    assert not checkpoint.network.input_format.signed
    assert checkpoint.provenance["float_weights"] == "latent" and "float" not in checkpoint.metrics


def test_ptq_rounds_after_training(bars):
    """With ptq no weight is quantized in training, and the float column is the network that was trained."""
    config = rows_config(data=str(bars), hidden=16, method="ptq", bits=3, float_epochs=3, epochs=3, batch=32)
    checkpoint = train(config, quiet=True)
    assert {point["stage"] for point in checkpoint.provenance["curve"]} == {"mnist, real weights"}
    assert checkpoint.provenance["float_weights"] == "fitted"
    w = checkpoint.float_weights["recurrent_weight"]
    assert np.abs(w @ w.T - np.eye(16)).max() < 1e-4
    assert checkpoint.metrics["float"]["accuracy"] > checkpoint.metrics["integer"]["accuracy"] - 0.05


def test_adding_starts_linear():
    """With a linear start the states begin at it, and the checkpoint has them as its initial state."""
    config = AddingConfig(
        steps=20, hidden=12, iterations=4, finetune_iterations=2, linear_start=2.0, bfloat16=False
    )
    checkpoint = train(config, quiet=True)
    start = checkpoint.network.initial_state * checkpoint.network.scales.state
    np.testing.assert_allclose(start, 2.0, atol=0.1)
    assert checkpoint.metrics["blind_mse"] == pytest.approx(1 / 6, rel=1e-2)


class Killed(BaseException):
    """What ends the run in the middle."""


RESUMED = [
    (
        "copy, identity",
        lambda bars: CopyConfig(blank=9, hidden=8, batch=8, iterations=30, finetune_iterations=20),
    ),
    (
        "copy, projunn",
        lambda bars: CopyConfig(
            blank=3,
            hidden=8,
            batch=8,
            iterations=30,
            finetune_iterations=20,
            activation="modrelu",
            method="projunn",
        ),
    ),
    (
        "mnist",
        lambda bars: rows_config(
            data=str(bars),
            hidden=8,
            batch=80,
            float_epochs=2,
            epochs=2,
            finetune_epochs=1,
            method="bjorck",
            augment=1,
        ),
    ),
    (
        "characters",
        lambda bars: CharactersConfig(
            data=str(text(bars)), hidden=6, window=20, batch=8, float_epochs=1, epochs=2, finetune_epochs=1
        ),
    ),
    (
        "adding, linear start, by row",
        lambda bars: AddingConfig(
            steps=6,
            hidden=6,
            batch=8,
            iterations=30,
            finetune_iterations=20,
            linear_start=2.0,
            per_row=True,
            method="penalty",
            rounding="half_even",
        ),
    ),
    (
        "arrays of different lengths",
        lambda bars: ArraysConfig(
            task_file=str(ragged(bars)),
            hidden=6,
            batch=20,
            float_epochs=6,
            epochs=4,
            finetune_epochs=3,
            patience=3,
        ),
    ),
    (
        "pmnist",
        lambda bars: PermutedMnistConfig(
            data=str(bars), hidden=6, batch=440, float_epochs=1, epochs=2, finetune_epochs=1
        ),
    ),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name, config", RESUMED)
def test_resumed_run_is_the_uninterrupted_one(tmp_path, monkeypatch, bars, name, config):
    """A run interrupted at random iterations ends with the same weights, bit for bit."""
    config = config(bars)
    wanted = train(config, quiet=True)
    out = tmp_path / "model.pt"
    rng = np.random.default_rng(len(name))
    iterate = trainer.Trainer._set_rates
    state = {"left": 0}

    def interrupted(self, stage, iteration):
        state["left"] -= 1
        if state["left"] == 0:
            raise Killed
        iterate(self, stage, iteration)

    monkeypatch.setattr(trainer.Trainer, "_set_rates", interrupted)
    # Saved at random iterations, so that what came after is lost and done again.
    monkeypatch.setattr(run_file.RunFile, "due", property(lambda self: bool(rng.random() < 0.3)))
    kills, found = 0, None
    while found is None:
        state["left"] = int(rng.integers(2, 25 if name != "pmnist" else 6))
        try:
            found = train(config, out, resume=(tmp_path / "model.run").exists(), quiet=True)
        except Killed:
            kills += 1
    assert kills >= 1
    assert_same(found, wanted)
    assert [(p["stage"], p["iteration"], p["loss"]) for p in found.provenance["curve"]] == [
        (p["stage"], p["iteration"], p["loss"]) for p in wanted.provenance["curve"]
    ]


def test_killed_process_is_resumed(tmp_path):
    """A run killed by SIGKILL is resumed, and gives the same integers as an uninterrupted run."""
    command = [
        *(
            sys.executable,
            "-m",
            "qornn_hw",
            "train",
            "copy",
            "--blank",
            "60",
            "--hidden",
            "24",
            "--batch",
            "32",
        ),
        *("--iterations", "400", "--finetune-iterations", "100", "--checkpoint-minutes", "0.0001"),
    ]
    subprocess.run([*command, "-o", tmp_path / "whole.npz"], check=True, capture_output=True)
    out, saved = tmp_path / "cut.npz", tmp_path / "cut.run"
    process = subprocess.Popen([*command, "-o", out], stderr=subprocess.DEVNULL)
    while not saved.exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert saved.exists() and not out.exists()
    subprocess.run([*command, "-o", out, "--resume"], check=True, capture_output=True)
    assert_same(load_checkpoint(out), load_checkpoint(tmp_path / "whole.npz"))
    assert not saved.exists()


def test_resume_of_another_run_is_refused(tmp_path, monkeypatch):
    """A run is resumed with its own options only; the message names an option that differs."""
    out = tmp_path / "model.pt"
    config = CopyConfig(blank=3, hidden=8, batch=8, iterations=6, finetune_iterations=0)
    with pytest.raises(CheckpointError, match=r"model\.run: no saved run to resume"):
        train(config, out, resume=True, quiet=True)
    monkeypatch.setattr(run_file.RunFile, "due", property(lambda self: True))
    train(config, out, quiet=True)
    other = CopyConfig(blank=3, hidden=8, batch=8, iterations=6, finetune_iterations=0, seed=1)
    with pytest.raises(CheckpointError, match="`seed` must be as in the run that is resumed, 0, not 1"):
        train(other, out, resume=True, quiet=True)
    path = tmp_path / "model.run"
    state = torch.load(path, weights_only=True)
    for damaged in ({**state, "config": []}, {k: v for k, v in state.items() if k != "best"}):
        torch.save(damaged, path)
        with pytest.raises(CheckpointError, match="qornn-hw train saved, but parts of it are missing"):
            train(config, out, resume=True, quiet=True)
    torch.save(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="must be a run that qornn-hw train saved"):
        train(config, out, resume=True, quiet=True)


@pytest.mark.parametrize("changed", [3, 230, 399])
def test_resume_with_other_data_is_refused(changed, tmp_path, monkeypatch):
    """A single changed label is detected, in any training sequence."""
    rng = np.random.default_rng(0)
    arrays = {
        "inputs_train": rng.integers(0, 4, (400, 5)),
        "targets_train": rng.integers(0, 2, 400),
        "inputs_test": rng.integers(0, 4, (10, 5)),
        "targets_test": rng.integers(0, 2, 10),
    }
    np.savez(tmp_path / "one.npz", **arrays)
    arrays["targets_train"][changed] ^= 1
    np.savez(tmp_path / "other.npz", **arrays)

    def config(name):
        return ArraysConfig(
            task_file=str(tmp_path / name), hidden=4, batch=50, epochs=2, float_epochs=0, finetune_epochs=0
        )

    monkeypatch.setattr(run_file.RunFile, "due", property(lambda self: True))
    train(config("one.npz"), tmp_path / "model.pt", quiet=True)
    with pytest.raises(CheckpointError, match="must have the data of its start, not other data"):
        train(config("other.npz"), tmp_path / "model.pt", resume=True, quiet=True)


def test_weights_that_diverge_are_told(tmp_path):
    """Non-finite weights end the run; the message has the iteration and what to do."""
    config = CopyConfig(
        blank=3, hidden=4, batch=8, iterations=30, finetune_iterations=0, learning_rate_recurrent=1e30,
        learning_rate_input=1e30,
    )  # fmt: skip
    with pytest.raises(TrainingError, match=r"must be finite, but .* in iteration \d+ of .*; lower the"):
        train(config, tmp_path / "model.pt", quiet=True)


def test_nan_keeps_the_best_network(tmp_path, monkeypatch):
    """A non-finite loss ends the run with an error that has the best network so far."""
    config = CopyConfig(blank=3, hidden=8, batch=8, iterations=100, finetune_iterations=0)
    objective = stages._linear_copy
    calls = {"count": 0}

    def failing(*arguments):
        loss, shown, state = objective(*arguments)
        calls["count"] += 1
        return (loss * float("nan") if calls["count"] == 51 else loss), shown, state

    monkeypatch.setattr(stages, "_linear_copy", failing)
    with pytest.raises(
        TrainingError, match=r"the loss must be finite, but is nan in iteration 51 of"
    ) as caught:
        train(config, tmp_path / "model.pt", quiet=True)
    kept = caught.value.checkpoint
    best = min(p["cross_entropy"] for p in kept.provenance["curve"] if "cross_entropy" in p)
    assert kept.metrics["fake_quantized"]["cross_entropy"] == pytest.approx(best, rel=0.1)


def test_patience_ends_a_stage(monkeypatch):
    """A stage ends after so many validations without a better one."""
    monkeypatch.setattr(trainer, "score", lambda *_: 0.5)
    config = AddingConfig(
        steps=5, hidden=4, batch=4, iterations=200, finetune_iterations=0, patience=2, bfloat16=False
    )
    # A validation every ten iterations, the first is the best.
    assert train(config, quiet=True).provenance["curve"][-1]["iteration"] == 30


def test_full_disk_ends_no_training(tmp_path, monkeypatch, capsys):
    """A run that cannot be saved says so once and goes on; the file saved before stays whole."""
    monkeypatch.setattr(run_file.RunFile, "due", property(lambda self: True))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trainer.torch, "save", full)
    config = CopyConfig(blank=3, hidden=8, batch=8, iterations=5, finetune_iterations=0)
    train(config, tmp_path / "model.pt", quiet=True)
    lines = capsys.readouterr().err.splitlines()
    reason = "the run cannot be saved to be resumed: No space left on device; training goes on"
    assert lines == [f"{tmp_path / 'model.run'}: {reason}"]
    assert list(tmp_path.iterdir()) == []


def test_no_place_to_save_is_found_at_once(tmp_path):
    """A path that cannot be written is refused before the training."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"file/model\.run must be writable"):
        train(CopyConfig(blank=3, iterations=10**7), tmp_path / "file" / "model.pt", quiet=True)


def test_mnist_progress_of_one_epoch(bars, capsys):
    """The validation is "-" until it is known, and the last line of a stage has it."""
    train(rows_config(data=str(bars), hidden=4, float_epochs=0, epochs=1, finetune_epochs=1, batch=220))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", loss ")[0] for line in lines] == [
        "mnist, quantized weights 4/4 epoch 1/1",
        "mnist, rounded states 4/4 epoch 1/1",
    ]
    for line in lines:
        assert re.search(r", accuracy (0\.\d+|0), 0 s left$", line)


def test_mnist_without_data(tmp_path):
    """A run without data fails at once, not after the training."""
    with pytest.raises(DataError, match=r"no such file; put the four MNIST files"):
        train(rows_config(data=str(tmp_path)), quiet=True)


def test_device_that_is_not_there_is_refused(monkeypatch):
    """A missing GPU and an unknown device name are refused before any work."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ToolError, match=r"^device cuda must be a GPU that torch can use.* device out$"):
        train(CopyConfig(), quiet=True, device="cuda")
    with pytest.raises(FormatError, match=r"^device must be cpu or cuda, not 'tpu'$"):
        train(CopyConfig(), quiet=True, device="tpu")


def test_torch_settings_are_put_back():
    """A run leaves torch's threads as it found them."""
    before = torch.get_num_threads()
    train(CopyConfig(blank=1, hidden=4, batch=4, iterations=1, finetune_iterations=0), quiet=True)
    assert torch.get_num_threads() == before


def test_own_arrays(tmp_path):
    """Own arrays, real vectors with real targets, are trained, saved and evaluated."""
    rng = np.random.default_rng(0)
    x = rng.random((300, 5, 2))
    y = x.sum(axis=(1, 2))[:, None] / 5
    arrays = {
        "inputs_train": x[:250],
        "targets_train": y[:250],
        "inputs_test": x[250:],
        "targets_test": y[250:],
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    config = ArraysConfig(
        task_file=str(tmp_path / "mine.npz"),
        hidden=12,
        bits=6,
        batch=25,
        epochs=30,
        learning_rate_input=1e-2,
        learning_rate_output=1e-2,
    )
    checkpoint = train(config, quiet=True)
    assert checkpoint.metrics == evaluate(checkpoint, tmp_path / "mine.npz")
    assert checkpoint.metrics["integer"]["mse"] < 0.6 * checkpoint.metrics["blind_mse"]
    assert "--task-file mine.npz" in checkpoint.provenance["command"]


def test_rounding_the_states_makes_nothing_worse():
    """If the last stage makes the network worse, its weights at the start are kept."""
    common = {"blank": 3, "hidden": 16, "batch": 16, "iterations": 60, "seed": 4}
    before = train(CopyConfig(**common, finetune_iterations=0), quiet=True)
    after = train(CopyConfig(**common, finetune_iterations=30, finetune_rate=1e4), quiet=True)
    for name in ("recurrent_weight", "input_weight", "output_weight"):
        # W goes through Björck once more, whose products may be added up in another order.
        np.testing.assert_allclose(after.float_weights[name], before.float_weights[name], rtol=0, atol=1e-6)


def test_warm_start(tmp_path):
    """A run begins with the real weights of a checkpoint, and says so; another shape is refused."""
    common = {"blank": 3, "batch": 8, "iterations": 20, "finetune_iterations": 0}
    first = train(CopyConfig(hidden=8, **common), quiet=True)
    save_checkpoint(tmp_path / "first.pt", first)
    start = str(tmp_path / "first.pt")
    config = CopyConfig(hidden=8, warm_start=start, **common | {"iterations": 1, "learning_rate_input": 1e-9})
    second = train(config, quiet=True)
    np.testing.assert_allclose(
        second.float_weights["input_weight"], first.float_weights["input_weight"], atol=1e-6
    )
    assert "--warm-start first.pt " in second.provenance["command"]
    assert second.provenance["warm_start"]["command"] == first.provenance["command"]
    with pytest.raises(CheckpointError, match=r"float\.recurrent_weight must have shape \(9, 9\)"):
        train(CopyConfig(hidden=9, warm_start=start, **common), quiet=True)


@pytest.mark.parametrize("per_row", [True, False])
def test_warm_start_from_rounded_rows_keeps_the_integers(tmp_path, per_row):
    """W is not rounded again with equal bits and no stage of real weights; otherwise it is."""
    common = {"blank": 3, "hidden": 12, "batch": 8, "per_row": per_row, "orthogonal_rounding": True}
    options = common | {"bits": 3, "finetune_iterations": 0}
    first = train(CopyConfig(**options, iterations=60, learning_rate_recurrent=5e-2), quiet=True)
    start = str(tmp_path / "first.pt")
    save_checkpoint(tmp_path / "first.pt", first)
    still = {"iterations": 1, "learning_rate_recurrent": 1e-9, "warm_start": start}
    second = train(CopyConfig(**options | still), quiet=True)
    np.testing.assert_array_equal(second.network.recurrent_weight, first.network.recurrent_weight)
    for changed in ({"bits": 4}, {"float_iterations": 1}):
        other = train(CopyConfig(**options | still | changed), quiet=True)
        assert (other.network.recurrent_weight != first.network.recurrent_weight).any()


def test_warm_start_with_a_method_that_changes_w_rounds_anew(tmp_path):
    """The integers of a W that Björck's iteration changes are not kept."""
    options = {"blank": 3, "hidden": 24, "batch": 8, "bits": 3, "per_row": True, "orthogonal_rounding": True}
    config = CopyConfig(
        **options, method="free", iterations=200, learning_rate_recurrent=5e-2, finetune_iterations=0
    )
    first = train(config, quiet=True)
    save_checkpoint(tmp_path / "first.pt", first)
    start = {"warm_start": str(tmp_path / "first.pt")}
    for method, held in (("free", True), ("bjorck", False)):
        cell = initialization.make_cell(CopyConfig(**options | start, method=method), CopyTask(3))
        assert (cell.held_step is not None) == held
