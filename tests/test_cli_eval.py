"""The command eval: on a user's own data and on the task's test set."""

import json
import sys

import numpy as np
import pytest

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cli import main as cli
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.evaluation.own_data import evaluate_data, read_data
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qornn_hw.quantization.float_model import RealNetwork, dequantized_inputs, run_real
from qornn_hw.quantization.quantize import export

RNG = np.random.default_rng(0)


X = RNG.uniform(-1, 1, (30, 8, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model of no task, and data with the float network's classes as targets."""
    checkpoint = export(
        RNG.normal(size=(8, 8)) * 0.3,
        RNG.normal(size=(8, 3)),
        RNG.normal(size=(4, 8)),
        activation="tanh",
        calibration_inputs=X,
        weight_bits=8,
    )
    save_checkpoint(tmp_path / "m.npz", checkpoint)
    targets = run_real(RealNetwork.trained(checkpoint), X)[1].argmax(-1)
    np.savez(tmp_path / "d.npz", inputs=X, targets=targets)
    np.save(tmp_path / "x.npy", X)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """A function that runs the command line and returns exit code, output and error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["qornn-hw", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return call


def test_eval_of_a_network_without_a_task(folder, run):
    """Accuracy of each rung and the quality, on the user's own real numbers."""
    code, out, _ = run("eval", "m.npz", "--data", "d.npz", "--json", "--html", "e.html")
    value = json.loads(out)
    assert code == 0
    assert value["float"] == {"accuracy": 1}
    network = load_checkpoint("m.npz").network
    logits = IntegerModel(network).run(quantize_inputs(network, X).integers).logits
    targets = np.load("d.npz")["targets"]
    assert value["integer"]["accuracy"] == pytest.approx((logits.argmax(-1) == targets).mean())
    assert value["quality"]["agreement"] == value["integer"]["accuracy"]
    assert "accuracy 1" in (folder / "e.html").read_text()
    text = run("eval", "m.npz", "--data", "d.npz")[1]
    assert "understood 30 sequences of 8 steps of 3 inputs" in text and "integer.accuracy" in text


def test_eval_without_targets_reports_quality_alone(folder, run):
    """No target, no accuracy: the quality is all there is."""
    value = json.loads(run("eval", "m.npz", "--data", "x.npy", "--json")[1])
    assert list(value) == ["sequences", "quality"]


def test_eval_takes_the_networks_integers(folder, run):
    """Integers in a file are the network's own: they give what their real numbers give."""
    network = load_checkpoint("m.npz").network
    integers = quantize_inputs(network, X).integers
    np.save("i.npy", integers)
    np.save("r.npy", dequantized_inputs(network, integers))
    first, second = (json.loads(run("eval", "m.npz", "--data", f, "--json")[1]) for f in ("i.npy", "r.npy"))
    assert first == second


def test_eval_of_latent_weights_compares_with_quantized_weights(folder, run):
    """Without a float network there is no float column, and the reference is named."""
    checkpoint = load_checkpoint("m.npz")
    save_checkpoint("bare.npz", Checkpoint(checkpoint.network))
    value = json.loads(run("eval", "bare.npz", "--data", "d.npz", "--json")[1])
    assert "float" not in value and value["integer"]["accuracy"] > 0.9
    assert value["quality"]["reference"] == "network of quantized weights and real states"
    assert value["quality"]["agreement"] > 0.9


def test_scores_of_the_rungs(folder):
    """fake_quantized is the network of quantized weights on the integers' inputs, in real numbers."""
    checkpoint = load_checkpoint("m.npz")
    data = read_data(checkpoint, folder / "d.npz", limit=7)
    found, quality = evaluate_data(checkpoint, data)
    assert found["sequences"] == quality.sequences == 7
    assert set(found) == {"sequences", "float", "fake_quantized", "integer", "quality"}
    assert 0.9 < found["fake_quantized"]["accuracy"] <= 1


def test_eval_of_a_task_writes_a_page(run, tmp_path):
    """With --html the quality on the task's test set is measured, too."""
    checkpoint = export(
        np.eye(6) * 0.9,
        RNG.normal(size=(6, 10)),
        RNG.normal(size=(9, 6)),
        activation="tanh",
        calibration_inputs=RNG.integers(0, 10, (20, 26)),
        weight_bits=8,
        task={"name": "copy", "blank": 6},
    )
    save_checkpoint(tmp_path / "copy.npz", checkpoint)
    words = ("eval", tmp_path / "copy.npz", "--limit", 20, "--html", tmp_path / "c.html", "--json")
    code, out, _ = run(*words)
    value = json.loads(out)
    assert code == 0 and value["task"] == "copy" and value["quality"]["answers"] == 20 * 26
    assert "copy.npz on the test set of copy" in (tmp_path / "c.html").read_text()
