"""Training of any cell: both stages, the network in the user's units, resuming, options."""

import time
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from array_tasks import arrays

from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import FormatError, ToolError, TrainingError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.files.checkpoint import load_any, save_any
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.ir.serial import network_digest
from qornn_hw.training import stack_stages, train
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
    # Blocks of 16 units mix more than those of 2.
    units = {"hidden": 16} if cell == "hadamard" else {}
    checkpoint = train(config_of(file, cell=cell, **units), quiet=True)
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


def test_the_network_has_the_widths_of_the_options(file):
    """Every width is another one, and each is found in the operations."""
    widths = {"bits": 3, "output_bits": 5, "state_bits": 9, "gate_bits": 7, "index_bits": 6, "value_bits": 13}
    options = widths | {"multiplier_bits": 11, "input_bits": 10, "float_epochs": 1, "epochs": 1}
    network = train(config_of(file, **options), quiet=True).network
    (layer,) = network.layers
    terms = [t for group in layer.groups for row in group.rows for t in row.terms]
    operations = {op.name: op for group in layer.groups for op in group.tail if hasattr(op, "name")}
    assert {term.bits for term in terms} == {3}
    assert network.readout.logits.terms[0].bits == 5
    assert network.input.format.bits == 10
    assert layer.states[0].format.bits == 9
    assert operations["layer0.z_index"].format.bits == 6
    assert operations["layer0.q"].format.bits == 13
    factors = [f.multiplier for op in operations.values() for f in getattr(op, "factors", ())]
    assert max(int(np.abs(f).max()) for f in factors).bit_length() == 11
    gate = operations["layer0.z"]
    assert (gate.entries + gate.offset).max() == 2**7 - 1


def optimizer_of(file, **options):
    """Return the groups of the integers' stage by the names of their parameters."""
    config = config_of(file, **options)
    task = config.task()
    module = stack_stages.make_stack(config, task)
    found = []

    class Listener:
        device = torch.device("cpu")
        seconds, curve = 0.0, ()

        def run(self, stage, prepare=None):
            found.append((stage, module.training))
            prepare and prepare()

    stack_stages.run_stack_stages(config, task, module, Listener())
    (stage, _) = found[-1]
    names = {id(p): name for name, p in module.named_parameters()}
    groups = {
        names[id(p)]: group for o in stage.optimizers for group in o.param_groups for p in group["params"]
    }
    return module, stage, groups


def test_every_parameter_is_trained_on_the_integers(file):
    """Fields, steps, V and its step, each once, with the stage's rate."""
    module, _, groups = optimizer_of(file, learning_rate=1e-2, quantized_rate=0.25, layers=2)
    assert set(groups) == {name for name, _ in module.named_parameters()}
    assert {group["rate"] for group in groups.values()} == {1e-2 * 0.25}


def test_only_weights_decay(file):
    """Matrices do, also one with a single column; biases and steps do not."""
    _, _, groups = optimizer_of(file, weight_decay=0.5)
    decayed = {name.rpartition(".")[2] for name, group in groups.items() if group["weight_decay"]}
    assert decayed == {"weight_ih", "weight_hh", "output_weight"}
    assert {group["weight_decay"] for group in groups.values()} == {0.0, 0.5}


def test_a_linear_layer_s_matrix_has_a_rate_of_its_own(file):
    """It is a small part of the others'."""
    _, _, groups = optimizer_of(
        file, cell="linear", recurrent_rate=0.02, learning_rate=1e-2, quantized_rate=1.0
    )
    rates = {name.rpartition(".")[2]: group["rate"] for name, group in groups.items()}
    assert rates["weight_hh"] == rates["bias"] == pytest.approx(2e-4)
    assert rates["weight_ih"] == rates["output_weight"] == pytest.approx(1e-2)


def test_dropout_is_that_of_the_training_only(file):
    """A training pass differs from pass to pass, a measuring one does not."""
    module, _, _ = optimizer_of(file, dropout=0.5)
    x = torch.randn(3, 5, 2)
    module.train()
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])
    plain, _, _ = optimizer_of(file)
    plain.train()
    assert torch.equal(plain(x)[0], plain(x)[0])


def test_label_smoothing_is_part_of_the_loss(file):
    """The loss of a training batch is torch's with label_smoothing."""
    module, stage, _ = optimizer_of(file, label_smoothing=0.3)
    x, y = torch.randn(4, 5, 2), torch.tensor([0, 1, 1, 0])
    module.train()
    loss = stage.objective(module, x, y, None, None)[0]
    expected = torch.nn.functional.cross_entropy(module(x, last_only=True)[0], y, label_smoothing=0.3)
    torch.testing.assert_close(loss, expected)


def test_memory_is_where_gates_begin(file):
    """A longer memory gives larger biases of z."""
    biases = [optimizer_of(file, memory=m)[0].stack().cells[0].bias_ih[10:20].mean() for m in (3.0, 300.0)]
    assert biases[1] > biases[0] + 2


@pytest.mark.parametrize(
    ("answers", "options", "message"),
    [
        ("class", {"cell": "rnn", "memory": 5.0}, "memory must be 0 for cell rnn"),
        ("class", {"cell": "gru", "block": 8}, "block must be 0 for cell gru, which has no blocks, not 8"),
        (
            "class",
            {"cell": "hadamard", "block": 4},
            "block must be a power of two from 2 to 2, which divides 10",
        ),
        ("series", {"label_smoothing": 0.1}, "label_smoothing must be 0 for values and for one output"),
        ("class", {"label_smoothing": 0.1, "one_output": True}, "label_smoothing must be 0"),
        ("class", {"output_kind": "argmax", "one_output": True}, "output_kind must be logits or both"),
        ("class", {"multiplier_bits": 16}, "multiplier_bits must be 4 to 15, not 16"),
        ("class", {"bits": 4.0}, "bits must be an integer, not 4.0"),
        ("class", {"epochs": 1.5}, "epochs must be an integer, not 1.5"),
        ("class", {"epochs": 0, "float_epochs": 0}, "epochs must be at least 1 where no other stage has any"),
    ],
)
def test_an_option_without_effect_is_refused(tmp_path, answers, options, message):
    """One line names the option, before anything is trained."""
    np.savez(tmp_path / "mine.npz", **arrays(answers, False))
    with pytest.raises(FormatError, match=f"^{message}"):
        train(config_of(tmp_path / "mine.npz", **options), quiet=True)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("gru", {"value_bits": 24}),
        ("min_gru", {"value_bits": 32}),
        ("lstm", {"value_bits": 32, "state_bits": 16}),
    ],
)
def test_many_bits_are_no_reason_to_lose_a_training(file, cell, options):
    """A unit is as fine as the factors allow, and no finer."""
    checkpoint = train(config_of(file, cell=cell, float_epochs=2, epochs=1, **options), quiet=True)
    assert checkpoint.metrics["integer"]["accuracy"] > 0.3


def test_sequences_of_one_step_are_trained(tmp_path):
    """Samples of the states are few and small."""
    data = arrays("class", False)
    short = {k: v[:, :1] if k.startswith("inputs") else v for k, v in data.items()}
    np.savez(tmp_path / "short.npz", **short)
    checkpoint = train(config_of(tmp_path / "short.npz", hidden=3, epochs=1), quiet=True)
    assert checkpoint.metrics["integer"]["accuracy"] > 0.7


def test_integers_that_cannot_be_are_told_as_a_training_s_end(file, monkeypatch):
    """A network that has no integers raises a TrainingError, with what is wrong."""

    def refuse(*_, **__):
        raise FormatError("layer0.q: a factor must be at most 7")

    monkeypatch.setattr(stack_stages, "quantize_stack", refuse)
    with pytest.raises(
        TrainingError, match=r"^the trained network must have integers of its widths, but layer0"
    ):
        train(config_of(file, float_epochs=1, epochs=1), quiet=True)


@pytest.mark.parametrize("cell", ["leaky", "fastrnn"])
def test_a_cell_can_be_made_faster(cell):
    """Whatever the leak, a quarter of the steps leaves it between 0 and 1."""
    for seed in range(50):
        made = CELLS[cell].start(2, 16, np.random.default_rng(seed), 3.0).slowed(0.25)
        kept = made.leak if cell == "leaky" else np.array([made.beta])
        assert np.all((kept >= 0) & (kept < 1))
