"""Training of any cell: both stages, the network in the user's units, resuming, options."""

import time
from dataclasses import fields, replace

import numpy as np
import pytest
from array_tasks import arrays

from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import FormatError, ToolError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.files.checkpoint import load_any, save_any
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.ir.serial import network_digest
from qornn_hw.training import train
from qornn_hw.training.command_line import command_line
from qornn_hw.training.stack_configs import (
    STACK_CONFIGS,
    ArraysStackConfig,
    CharactersStackConfig,
    MnistStackConfig,
)
from qornn_hw.training.task_configs import CONFIGS


def config_of(file, **options):
    """Return a short training of a small network."""
    short = {"cell": "gru", "hidden": 10, "batch": 30, "float_epochs": 20, "epochs": 6, "learning_rate": 1e-2}
    return ArraysStackConfig(task_file=str(file), **short | options)


@pytest.fixture
def file(tmp_path):
    """Write data with classes."""
    np.savez(tmp_path / "mine.npz", **arrays("class", True))
    return tmp_path / "mine.npz"


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_learns(file, cell):
    """The integers of every cell learn most of the task, from sequences of different lengths."""
    checkpoint = train(config_of(file, cell=cell), quiet=True)
    assert isinstance(checkpoint, NetworkCheckpoint)
    blind = checkpoint.metrics["blind_accuracy"]
    assert checkpoint.metrics["integer"]["accuracy"] > 0.3 + 0.7 * blind


@pytest.mark.parametrize("answers", ["classes", "values", "series"])
def test_each_form_of_targets_learns(tmp_path, answers):
    """Values come out in the user's units, with their offset; inputs have theirs."""
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays(answers, False))
    checkpoint = train(config_of(file, hidden=12, layers=2), quiet=True)
    found, blind = checkpoint.metrics["integer"], checkpoint.metrics
    if answers == "classes":
        assert found["accuracy"] > 0.4 + 0.6 * blind["blind_accuracy"]
    else:
        assert found["mse"] < 0.3 * blind["blind_mse"]
    assert checkpoint.metrics == evaluate(checkpoint, file)
    assert checkpoint.network.input.offset[1] == pytest.approx(290.0, abs=1.0)
    assert len(checkpoint.network.layers) == 2


def test_rounding_in_the_loop_makes_two_bits_usable(file):
    """At 2 bits, training with rounded weights beats rounding a trained network."""
    options = {"bits": 2, "hidden": 10, "float_epochs": 20}
    rounded_after = train(config_of(file, epochs=0, **options), quiet=True)
    in_the_loop = train(config_of(file, epochs=15, **options), quiet=True)
    one, other = (net.metrics["integer"]["accuracy"] for net in (rounded_after, in_the_loop))
    assert other > one


def test_the_network_of_the_integers_stage_is_no_worse_than_its_start(file):
    """With a learning rate that ruins everything, the rounded network is kept."""
    ruined = train(config_of(file, quantized_rate=100.0, epochs=2), quiet=True)
    rounded = train(config_of(file, epochs=0), quiet=True)
    one, other = (net.metrics["integer"]["accuracy"] for net in (ruined, rounded))
    assert one > other - 0.05


@pytest.mark.parametrize("stage", ["real", "integers"])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(file, tmp_path, monkeypatch, stage):
    """The resumed network is that of the whole run, integer for integer."""
    config = config_of(file, float_epochs=4, epochs=4, checkpoint_minutes=1e-6)
    whole = train(config, quiet=True)
    stop_at = 20 if stage == "real" else 60
    count = 0
    batch = "qornn_hw.tasks.ArraysTask.training_batch"
    from qornn_hw.tasks import ArraysTask

    original = ArraysTask.training_batch

    def interrupted(self, index, size, seed):
        nonlocal count
        count += size == 30
        if count == stop_at:
            raise KeyboardInterrupt
        time.sleep(0)
        return original(self, index, size, seed)

    out = tmp_path / "model.npz"
    with monkeypatch.context() as patch:
        patch.setattr(batch, interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, out, quiet=True)
    resumed = train(config, out, resume=True, quiet=True)
    assert network_digest(resumed.network) == network_digest(whole.network)


def test_a_language_model_carries_its_states(tmp_path):
    """Windows of a text follow each other; inputs are indices."""
    (tmp_path / "input.txt").write_text("abcd" * 3000)
    config = CharactersStackConfig(
        data=str(tmp_path), cell="gru", hidden=8, window=20, batch=10, float_epochs=6, epochs=2
    )
    checkpoint = train(config, quiet=True)
    assert checkpoint.network.input.one_hot
    assert checkpoint.metrics["integer"]["bits_per_character"] < 0.5


def test_the_provenance_repeats_the_run(file):
    """The command has every option that is not its default."""
    checkpoint = train(config_of(file, float_epochs=1, epochs=1, layers=2, gate_bits=6), quiet=True)
    assert checkpoint.provenance["command"] == (
        "qornn-hw train arrays --batch 30 --cell gru --epochs 1 --float-epochs 1 --gate-bits 6 --hidden 10 "
        "--layers 2 --learning-rate 0.01 --task-file mine.npz -o model.pt"
    )


def test_a_trained_network_is_saved_and_loaded(file, tmp_path):
    """The file of version 2 holds network, task and metrics."""
    checkpoint = train(config_of(file, float_epochs=1, epochs=1), quiet=True)
    save_any(tmp_path / "model.npz", checkpoint)
    loaded = load_any(tmp_path / "model.npz")
    assert network_digest(loaded.network) == network_digest(checkpoint.network)
    assert loaded.metrics == checkpoint.metrics


def test_a_gpu_is_refused(file):
    """Cells are trained on the processor."""
    with pytest.raises(ToolError, match=r"^device"):
        train(config_of(file), quiet=True, device="cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "elman"}, "cell must be one of gru, lstm"),
        ({"layers": 0}, "layers must be 1 to 16, not 0"),
        ({"gate_bits": 1}, "gate_bits must be 2 to 17, not 1"),
        ({"dropout": 1.0}, "dropout must be 0 to 0.9, not 1.0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, not 0.0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    """One line names the option and its range."""
    with pytest.raises(FormatError, match=f"^{message}"):
        MnistStackConfig(data="x", **options)


def test_every_configuration_belongs_to_a_command():
    """A command of `qornn-hw train` that has cells trains the same task with them."""
    commands = {config.command: config for config in CONFIGS}
    for command, config in STACK_CONFIGS.items():
        assert config.command == command
        options = [{f.name: f.default for f in fields(one)} for one in (config, commands[command])]
        shared = ("data", "task_file", "order", "window", "bands", "input_bits", "one_output")
        assert [name in options[0] for name in shared] == [name in options[1] for name in shared]


def test_the_command_trains_a_cell(file, tmp_path, run):
    """`qornn-hw train arrays --cell lstm` writes a model of version 2."""
    out = tmp_path / "model.npz"
    short = ("--hidden", 4, "--float-epochs", 1, "--epochs", 1)
    code, _, error = run("train", "arrays", "--task-file", file, "--cell", "lstm", *short, "-o", out)
    assert code == 0, error
    checkpoint = load_any(out)
    assert isinstance(checkpoint, NetworkCheckpoint)
    assert checkpoint.provenance["options"].startswith("qornn-hw train arrays --cell lstm")
    assert len(checkpoint.network.layers[0].states) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cell", "gru", "--method", "free"), "--method must be left out for --cell gru"),
        (("--layers", "2"), "--layers must be left out for --cell elman"),
        (("--cell", "transformer"), "cell must be one of"),
    ],
)
def test_an_option_of_the_other_kind_is_refused(file, run, words, message):
    """No option is ignored in silence."""
    code, _, error = run("train", "arrays", "--task-file", file, *words, "-o", file.with_suffix(".out.npz"))
    assert code == 2
    assert message in error
    assert not file.with_suffix(".out.npz").exists()


@pytest.mark.parametrize("cell", CELLS)
def test_the_command_line_of_a_configuration_names_its_cell(file, cell):
    """Each cell is part of the command, because the command's own default is an Elman layer."""
    assert f"--cell {cell} " in command_line(replace(config_of(file), cell=cell))
