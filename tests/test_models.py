"""The models in models/: both files hold the same, and they do what their recorded metrics say."""

import numpy as np
import pytest
from data_sets import data_dir
from plans import planned
from shipped_models import ELMAN, GATED, MODELS

from qornn_hw.boards.registry import find_board
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.compiler.design import compile_schedule
from qornn_hw.compiler.engines import engines
from qornn_hw.compiler.engines.tile.transform import transformed_rows
from qornn_hw.evaluation.evaluate import RUNGS, evaluate
from qornn_hw.files.checkpoint import load_any, load_checkpoint
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.ops import HadamardTerm, Term
from qornn_hw.ir.serial import network_digest
from qornn_hw.quantization.float_model import RealNetwork, latent_weights
from qornn_hw.sim.core_simulation import simulate_core
from qornn_hw.sim.stimuli import random_sequences
from qornn_hw.tasks.gestures import write_gestures

ON_THE_ICEBREAKER = ("copy", "mnist_rows", "mnist_rows_tanh", "speech")


def test_the_models_are_there():
    """The models that the documentation names exist."""
    assert {"copy_256", "pmnist", "pmnist_8", *ON_THE_ICEBREAKER} == set(ELMAN)


@pytest.mark.parametrize("stem", ELMAN)
def test_both_files_of_an_elman_network_hold_the_same(stem):
    """.pt and .npz of a model are equal in every integer, float weight and record."""
    pt, npz = load_checkpoint(MODELS / f"{stem}.pt"), load_checkpoint(MODELS / f"{stem}.npz")
    assert (pt.task, pt.metrics, pt.provenance) == (npz.task, npz.metrics, npz.provenance)
    for name in ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias", "multiplier"):
        np.testing.assert_array_equal(getattr(pt.network, name), getattr(npz.network, name))
    assert pt.network.scales == npz.network.scales
    for name, array in pt.float_weights.items():
        np.testing.assert_array_equal(array, npz.float_weights[name])


@pytest.mark.parametrize("stem", [*ELMAN, *GATED])
def test_command_is_recorded(stem):
    """Each model says by which command it was trained, without the paths of a machine, and in the README."""
    provenance = load_any(MODELS / f"{stem}.npz").provenance
    # A model that the command line wrote has what was typed as its command.
    command = provenance.get("options", provenance["command"])
    assert command.startswith("qornn-hw train ")
    assert "/" not in command
    assert command.replace("-o model.pt", f"-o {stem}.pt") in (MODELS / "README.md").read_text()


@pytest.mark.parametrize("stem", ELMAN)
def test_latent_weights_are_no_float_network(stem):
    """Every model was trained with quantized weights, so none has a float network to compare with."""
    checkpoint = load_checkpoint(MODELS / f"{stem}.npz")
    assert checkpoint.float_weights is not None
    assert RealNetwork.trained(checkpoint) is None


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


@pytest.mark.parametrize(
    "stem, sequences, wanted",
    [
        ("mnist_rows", 10000, 0.975),
        ("mnist_rows_tanh", 10000, 0.8),
        pytest.param("pmnist", 10000, 0.89, marks=pytest.mark.slow),
        pytest.param("pmnist_8", 10000, 0.96, marks=pytest.mark.slow),
        ("speech", 300, 0.92),
    ],
)
def test_accuracy_of_classifiers(stem, sequences, wanted, capsys):
    """Each classifier has its recorded accuracy on the whole test set; without data, it must run."""
    checkpoint = load_checkpoint(MODELS / f"{stem}.npz")
    assert checkpoint.metrics["integer"]["accuracy"] >= wanted
    assert checkpoint.metrics["sequences"] == sequences
    folder = data_dir()
    if folder is None:
        with capsys.disabled():
            print(f"\n{stem}: no data (set QORNN_DATA); only checked that the model runs, not its accuracy")
        net = checkpoint.network
        inputs = np.random.default_rng(0).integers(0, net.input_format.max + 1, (10, 28, net.input_size))
        assert len(np.unique(IntegerModel(net).run(inputs).logits)) > 10
        return
    # The integers alone of the long ones, whose other rungs take minutes.
    rungs = ("integer",) if stem.startswith("pmnist") else RUNGS
    found = evaluate(checkpoint, folder, rungs=rungs)
    assert found["integer"] == checkpoint.metrics["integer"]
    # The float weights behind the roundings of a training are those of no float network.
    reported = set(rungs) - ({"float"} if latent_weights(checkpoint) else set())
    assert set(RUNGS) & found.keys() == reported
    for rung in reported - {"integer"}:
        assert found[rung]["accuracy"] == pytest.approx(checkpoint.metrics[rung]["accuracy"], abs=1e-3)


@pytest.mark.parametrize("stem", ON_THE_ICEBREAKER)
def test_fits_the_icebreaker(stem):
    """The planner finds room on the iCEBreaker, as the documentation says."""
    board = find_board("icebreaker")
    assert (
        planned(
            load_checkpoint(MODELS / f"{stem}.npz").network,
            board.for_core,
            name=board.name,
            family=board.family,
        ).lanes
        >= 8
    )


# The shipped networks of gated cells: sequences of the test, and the least accuracy of the integers.
GATED_ACCURACY = {
    "gestures_gru": (1000, 0.99),
    "mnist_rows_gru": (10000, 0.985),
    "pmnist_hadamard": (10000, 0.965),
    "smnist_gru": (10000, 0.97),
    "smnist_hadamard": (10000, 0.98),
    "speech_gru": (300, 0.97),
    "speech_two_layers": (300, 0.97),
}


def test_the_gated_models_are_there():
    """Each gated model has a row of the table above."""
    assert set(GATED) == set(GATED_ACCURACY)


@pytest.mark.parametrize("stem", GATED)
def test_both_files_of_a_gated_network_hold_the_same(stem):
    """.pt and .npz of a model are equal in every integer and record."""
    pt, npz = load_any(MODELS / f"{stem}.pt"), load_any(MODELS / f"{stem}.npz")
    assert network_digest(pt.network) == network_digest(npz.network)
    assert (pt.task, pt.metrics, pt.provenance) == (npz.task, npz.metrics, npz.provenance)


@pytest.mark.parametrize("stem", GATED)
def test_accuracy_of_gated_classifiers(stem):
    """The recorded accuracy is what the documentation says, of 4-bit weights; signs have one bit."""
    checkpoint = load_any(MODELS / f"{stem}.npz")
    sequences, least = GATED_ACCURACY[stem]
    assert checkpoint.metrics["sequences"] == sequences
    assert checkpoint.metrics["integer"]["accuracy"] >= least
    terms = [t for layer in checkpoint.network.layers for g in layer.groups for r in g.rows for t in r.terms]
    assert {term.bits for term in terms if isinstance(term, Term)} == {4}
    assert all(term.bits == 1 for term in terms if isinstance(term, HadamardTerm))


@pytest.mark.parametrize(
    "stem",
    [
        "mnist_rows_gru",
        "speech_gru",
        "speech_two_layers",
        pytest.param("pmnist_hadamard", marks=pytest.mark.slow),
        pytest.param("smnist_gru", marks=pytest.mark.slow),
        pytest.param("smnist_hadamard", marks=pytest.mark.slow),
    ],
)
def test_gated_accuracy_is_measured_again(stem, capsys):
    """On the whole test set the integers have exactly the recorded accuracy; without data, the model runs."""
    checkpoint = load_any(MODELS / f"{stem}.npz")
    folder = data_dir()
    if folder is None:
        with capsys.disabled():
            print(f"\n{stem}: no data (set QORNN_DATA); only checked that the model runs, not its accuracy")
        x = np.random.default_rng(0).integers(0, 16, (3, 28, checkpoint.network.input.size))
        assert len(np.unique(Interpreter(checkpoint.network).run(x).logits)) > 10
        return
    assert evaluate(checkpoint, folder)["integer"] == checkpoint.metrics["integer"]


def test_gestures_are_recognized_again(tmp_path):
    """The data of the gestures come from a seed, so they are measured without any download."""
    write_gestures(tmp_path / "gestures.npz", 3000, 1000, 0, 3)
    checkpoint = load_any(MODELS / "gestures_gru.npz")
    assert evaluate(checkpoint, tmp_path / "gestures.npz")["integer"] == checkpoint.metrics["integer"]


@pytest.mark.parametrize("stem", GATED)
def test_a_gated_network_fits_a_small_board(stem):
    """The planner finds lanes for it, or transforms that need few."""
    board = find_board("icebreaker")
    network = load_any(MODELS / f"{stem}.npz").network
    found = planned(network, board.for_core, name=board.name, family=board.family)
    assert found.lanes >= 16 or (transformed_rows(network) and found.schedule.cycles_per_step < 660)


@pytest.mark.slow
@pytest.mark.parametrize("stem", GATED)
def test_gated_hardware_computes_the_same(stem):
    """The Verilog of the iCEBreaker's design gives every integer of random sequences, in Icarus."""
    network = load_any(MODELS / f"{stem}.npz").network
    board = find_board("icebreaker")
    design = planned(network, board.for_core, name=board.name, family=board.family)
    found = simulate_core(design, random_sequences(network, batch=3, steps=9, seed=0))
    assert found.mismatches == 0


def test_files_are_small():
    """No model file has a megabyte."""
    assert all(path.stat().st_size < 1_000_000 for path in MODELS.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("stem", ELMAN)
def test_hardware_computes_the_same(stem):
    """The core's Verilog gives every integer of five random sequences, as `qornn-hw sim` runs them."""
    network = load_checkpoint(MODELS / f"{stem}.npz").network
    design = compile_schedule(engines()[0].usual_schedule(network, 32))
    found = simulate_core(design, random_sequences(network, batch=5, steps=28, seed=0))
    assert found.mismatches == 0
    assert found.integers_compared >= 5 * 28 * network.hidden_size
