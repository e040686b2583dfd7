"""The models in models/: both files hold the same, and they do what their recorded metrics say."""

from pathlib import Path

import numpy as np
import pytest
from data_sets import data_dir

from qornn_hw.checkpoint import load_checkpoint
from qornn_hw.evaluate import evaluate, info
from qornn_hw.integer_model import IntegerModel

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"
STEMS = sorted(path.stem for path in MODELS.glob("*.npz"))


def test_the_models_are_there():
    """The models that the documentation names exist."""
    assert {"copy", "mnist_rows", "mnist_rows_tanh"} <= set(STEMS)


@pytest.mark.parametrize("stem", STEMS)
def test_both_files_hold_the_same(stem):
    """.pt and .npz of a model are equal in every integer, float weight and record."""
    pt, npz = load_checkpoint(MODELS / f"{stem}.pt"), load_checkpoint(MODELS / f"{stem}.npz")
    assert (pt.task, pt.metrics, pt.provenance) == (npz.task, npz.metrics, npz.provenance)
    for name in ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias", "multiplier"):
        np.testing.assert_array_equal(getattr(pt.network, name), getattr(npz.network, name))
    assert pt.network.scales == npz.network.scales
    for name, array in pt.float_weights.items():
        np.testing.assert_array_equal(array, npz.float_weights[name])


@pytest.mark.parametrize("stem", STEMS)
def test_command_is_recorded(stem):
    """Each model says by which command it was trained, without the paths of a machine, and in the README."""
    provenance = load_checkpoint(MODELS / f"{stem}.npz").provenance
    assert provenance["command"].startswith("qornn-hw train ")
    assert "/" not in provenance["command"]
    assert provenance["command"].replace("-o model.pt", f"-o {stem}.pt") in (MODELS / "README.md").read_text()


def test_copy_is_solved_in_integers():
    """The copy model recalls every symbol, and evaluation gives the recorded integers exactly."""
    checkpoint = load_checkpoint(MODELS / "copy.npz")
    found = evaluate(checkpoint, rungs=("integer",))
    assert found["integer"] == checkpoint.metrics["integer"]
    assert found["sequences"] == checkpoint.metrics["sequences"] == 1000
    assert found["integer"]["recall_accuracy"] >= 0.999
    assert found["integer"]["cross_entropy"] < 1e-3 * found["blind_cross_entropy"]


def test_copy_real_rungs():
    """The rungs before the integers are near what was recorded, on a few sequences."""
    checkpoint = load_checkpoint(MODELS / "copy.npz")
    found = evaluate(checkpoint, limit=50, rungs=("fake_quantized",))
    assert found["fake_quantized"]["recall_accuracy"] == pytest.approx(
        checkpoint.metrics["fake_quantized"]["recall_accuracy"], abs=0.01
    )


@pytest.mark.parametrize("stem, wanted", [("mnist_rows", 0.965), ("mnist_rows_tanh", 0.8)])
def test_mnist_metrics(stem, wanted, capsys):
    """The MNIST models have their recorded accuracy on all test images; without data, they must run."""
    checkpoint = load_checkpoint(MODELS / f"{stem}.npz")
    assert checkpoint.metrics["integer"]["accuracy"] >= wanted
    assert checkpoint.metrics["sequences"] == 10000
    folder = data_dir()
    if folder is None:
        with capsys.disabled():
            print(f"\n{stem}: no data (set QORNN_DATA); only checked that the model runs, not its accuracy")
        pixels = np.random.default_rng(0).integers(0, 16, (10, 28, 28))
        assert len(np.unique(IntegerModel(checkpoint.network).run(pixels).logits)) > 10
        return
    found = evaluate(checkpoint, folder)
    assert found["integer"] == checkpoint.metrics["integer"]
    for rung in ("float", "fake_quantized"):
        assert found[rung]["accuracy"] == pytest.approx(checkpoint.metrics[rung]["accuracy"], abs=1e-3)


def test_sizes_suit_the_smallest_board():
    """Weights and tables of each model fit the 120 kbit of block memory of an iCE40UP5K."""
    for stem in STEMS:
        assert info(load_checkpoint(MODELS / f"{stem}.npz"))["memory_bits"]["total"] <= 120 * 1024
