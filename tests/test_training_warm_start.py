"""Trainings that begin with the weights of a checkpoint: what they keep, what they change, what they say."""

import numpy as np
import pytest
import torch

from qornn_hw.cli.main import app
from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import load_checkpoint, save_checkpoint
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quantize import export
from qornn_hw.training import initialization, train, warm_start
from qornn_hw.training.task_configs import ArraysConfig, CopyConfig

RNG = np.random.default_rng(0)
N, M, P = 6, 3, 4


@pytest.fixture
def own(tmp_path):
    """A network of one's own, exported, and a file with data whose channels differ; W is not orthogonal."""
    x = RNG.normal(size=(80, 7, M)) * [500.0, 0.3, 5.0] + [0.0, 290.0, 0.0]
    y = RNG.integers(0, P, 80)
    file = tmp_path / "mine.npz"
    np.savez(file, inputs_train=x[:60], targets_train=y[:60], inputs_test=x[60:], targets_test=y[60:])
    w = RNG.normal(size=(N, N)) * 0.3
    u = RNG.normal(size=(N, M)) / [500.0, 0.3, 5.0]
    checkpoint = export(
        w, u, RNG.normal(size=(P, N)),
        activation="tanh", bias=-u @ [0.0, 290.0, 0.0], output_bias=RNG.normal(size=P),
        calibration_inputs=x[:60], weight_bits=5, state_bits=9, input_bits=16, output_mode="last_step",
        output_kind="logits",
    )  # fmt: skip
    path = tmp_path / "own.pt"
    save_checkpoint(path, checkpoint)
    return path, file, checkpoint


def test_settings_of_an_exported_network(own):
    """All options come from the network, and the method is free where no training made it."""
    path, file, _ = own
    config = warm_start.warm_config(ArraysConfig, path, task_file=str(file))
    wanted = {
        "hidden": N, "bits": 5, "output_bits": 5, "state_bits": 9, "input_bits": 16, "activation": "tanh",
        "method": "free", "per_row": False, "norm_preserving": True, "output_kind": "logits",
    }  # fmt: skip
    assert {name: getattr(config, name) for name in wanted} == wanted
    assert config.warm_start == str(path)


def test_what_is_asked_for_wins(own):
    """Given options replace the checkpoint's, and each is reported as a change."""
    path, file, checkpoint = own
    config = warm_start.warm_config(ArraysConfig, path, task_file=str(file), bits=3, method="bjorck")
    assert (config.bits, config.method, config.state_bits) == (3, "bjorck", 9)
    assert warm_start.changes(config, checkpoint) == [
        "bits 5 becomes 3",
        "method free becomes bjorck, which makes W orthogonal",
    ]
    kept = warm_start.warm_config(ArraysConfig, path, task_file=str(file))
    assert warm_start.changes(kept, checkpoint) == []


def test_settings_of_a_training(tmp_path):
    """Method, norm and steps by row of a training are kept, but for an activation that cannot have them."""
    config = CopyConfig(
        blank=2, hidden=5, batch=4, iterations=2, finetune_iterations=0, activation="modrelu",
        method="projunn", norm_preserving=True, per_row=True, bits=5,
    )  # fmt: skip
    path = tmp_path / "first.pt"
    save_checkpoint(path, train(config, quiet=True))
    found = warm_start.warm_config(CopyConfig, path, blank=2)
    for name in ("hidden", "bits", "activation", "method", "norm_preserving", "per_row"):
        assert getattr(found, name) == getattr(config, name)
    assert not warm_start.warm_config(CopyConfig, path, blank=2, activation="tanh").per_row
    with pytest.raises(FormatError, match=r"^per_row must be off for tanh"):
        warm_start.warm_config(CopyConfig, path, blank=2, activation="tanh", per_row=True)


def test_weights_are_those_of_the_network(own):
    """The trained network begins as the float network of the checkpoint, in real units, offsets included."""
    path, file, checkpoint = own
    config = warm_start.warm_config(ArraysConfig, path, task_file=str(file), bits=8)
    task = config.task()
    task.load()
    cell = initialization.make_cell(config, task)
    cell.round_weights = False
    x = task.test().inputs
    with torch.no_grad():
        found, _ = cell(torch.from_numpy(x).float() * task.training_scale, last_only=True)
    real = x * np.asarray(task.input_scale) + np.asarray(task.input_offset)
    wanted = run_real(RealNetwork.trained(checkpoint), real)[1][:, 0]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3, atol=1e-3)


def test_grid_of_the_input_is_kept(own):
    """Inputs have the checkpoint's scales, also where the new data would have chosen others."""
    path, file, checkpoint = own
    task = warm_start.warm_config(ArraysConfig, path, task_file=str(file)).task()
    scales = checkpoint.network.scales
    assert task.input_scale == scales.input and task.input_offset == scales.input_offset
    chosen = warm_start.warm_config(ArraysConfig, path, task_file=str(file), input_bits=8).task()
    assert chosen.input_bits == 8 and chosen.input_offset[1] == pytest.approx(290.0, abs=0.5)


def test_network_without_float_weights(own):
    """If a checkpoint has integers only, these stand for its weights."""
    _, _, checkpoint = own
    bare = type(checkpoint)(network=checkpoint.network)
    found = warm_start.weights_of(bare)
    step = checkpoint.network.scales.accumulator / checkpoint.network.scales.state
    np.testing.assert_allclose(found["recurrent_weight"], checkpoint.network.recurrent_weight * step)


def test_initial_state_is_kept(tmp_path):
    """An initial state that is not learned is kept."""
    w = np.eye(4) * 0.5
    first = export(
        w, RNG.normal(size=(4, 10)), RNG.normal(size=(9, 4)), activation="relu",
        calibration_inputs=RNG.integers(0, 10, (5, 6)), initial_state=np.array([1.0, 0.0, 2.0, 0.5]),
    )  # fmt: skip
    path = tmp_path / "first.pt"
    save_checkpoint(path, first)
    config = warm_start.warm_config(CopyConfig, path, blank=2, batch=4, iterations=1, finetune_iterations=0)
    second = train(config, quiet=True)
    np.testing.assert_allclose(second.float_weights["initial_state"], [1.0, 0.0, 2.0, 0.5])
    start = second.network.initial_state * second.network.scales.state
    np.testing.assert_allclose(start, [1.0, 0.0, 2.0, 0.5], atol=0.05)


def test_command_keeps_what_is_not_typed(own, capsys, tmp_path):
    """The command line passes its options on, and reports the changes to the checkpoint."""
    path, file, _ = own
    words = [
        "train", "arrays", "--task-file", str(file), "--warm-start", str(path), "--bits", "6",
        "--batch", "30", "--float-epochs", "0", "--epochs", "1", "--finetune-epochs", "0",
        "-o", str(tmp_path / "out.pt"),
    ]  # fmt: skip
    app(words, standalone_mode=False)
    captured = capsys.readouterr()
    assert f"warm start from {path}: bits 5 becomes 6" in captured.err.splitlines()
    net = load_checkpoint(tmp_path / "out.pt").network
    assert (net.weight_bits.recurrent, net.weight_bits.output, net.state_bits) == (6, 5, 9)
    assert (str(net.activation), net.input_format.bits, str(net.output_kind)) == ("tanh", 16, "logits")
    lines = captured.out.splitlines()
    assert lines[0].startswith("test of arrays: 20 sequences; without any input: accuracy ")
    assert lines[-1] == f"wrote {tmp_path / 'out.pt'}"
