"""Evaluation: task definitions, metrics of the three rungs, data errors, and what info says."""

import gzip
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from data_sets import write_idx, write_mnist

from qornn_hw.errors import CheckpointError, DataError, FormatError
from qornn_hw.evaluation.evaluate import evaluate, info
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.quantization.quantize import export
from qornn_hw.tasks import TASKS, copy, mnist


def copy_checkpoint(task=None, outputs=9, **options):
    """Return an untrained network of the copy task's shape; each is made once."""
    made = _copy_checkpoint(outputs, tuple(options.items()))
    return made if task is None else replace(made, task=task)


@cache
def _copy_checkpoint(outputs, options):
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    inputs, _ = copy.sequences(rng, 5, 6)
    return export(
        w,
        rng.normal(size=(8, 10)),
        rng.normal(size=(outputs, 8)),
        activation="identity",
        calibration_inputs=inputs,
        task={"name": "copy", "blank": 6},
        **dict(options),
    )


def mnist_checkpoint(**options):
    """Return an untrained network of the MNIST task's shape; each is made once."""
    return _mnist_checkpoint(tuple(options.items()))


@cache
def _mnist_checkpoint(options):
    rng = np.random.default_rng(0)
    return export(
        np.linalg.qr(rng.normal(size=(8, 8)))[0],
        rng.normal(size=(8, 28)),
        rng.normal(size=(10, 8)),
        activation="relu",
        calibration_inputs=rng.random((5, 28, 28)),
        input="vector",
        output_mode="last_step",
        task={"name": "mnist", "order": "rows"},
        **({"input_bits": 4, "input_scale": 1 / 16} | dict(options)),
    )


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """A folder with 300 training and 100 test images of noise."""
    monkeypatch.setattr(mnist, "COUNTS", {"train": 300, "test": 100})
    write_mnist(tmp_path)
    return tmp_path


def test_copy_sequences():
    """Ten symbols, T0 blanks, the marker, nine blanks; the targets are the symbols from the marker on."""
    inputs, targets = copy.sequences(np.random.default_rng(0), 50, 7)
    assert inputs.shape == targets.shape == (50, 27)
    assert set(np.unique(inputs[:, :10])) == set(range(1, 9))
    assert np.all(inputs[:, 10:17] == 0) and np.all(inputs[:, 17] == 9) and np.all(inputs[:, 18:] == 0)
    assert np.all(targets[:, :17] == 0)
    np.testing.assert_array_equal(targets[:, 17:], inputs[:, :10])
    assert copy.blind_baseline(1000) == pytest.approx(0.020387, abs=1e-6)


def test_copy_metrics_of_a_blind_network():
    """A network that always says blank has the metrics that can be worked out by hand."""
    plain = copy_checkpoint()
    network = export(
        np.eye(8),
        np.eye(8, 10),
        np.zeros((9, 8)),
        activation="identity",
        calibration_inputs=copy.sequences(np.random.default_rng(0), 5, 6)[0],
        output_bias=np.eye(9)[0] * 0.5,
        state_bits=12,
        task=plain.task,
    )
    result = evaluate(network)
    step = network.network.scales.output
    bias = round(0.5 / step) * step
    blank, other = np.log(np.exp(bias) + 8) - bias, np.log(np.exp(bias) + 8)
    assert result["sequences"] == 1000
    for rung in ("float", "fake_quantized", "integer"):
        assert result[rung]["recall_accuracy"] == result[rung]["sequence_accuracy"] == 0
        assert result[rung]["blank_accuracy"] == 1
        assert result[rung]["cross_entropy"] == pytest.approx((16 * blank + 10 * other) / 26, abs=1e-3)


def test_evaluation_repeats_exactly():
    """Two evaluations give the same numbers, and a limit takes the first sequences only."""
    checkpoint = copy_checkpoint()
    first = evaluate(checkpoint, limit=150)
    assert first == evaluate(checkpoint, limit=150)
    assert first["sequences"] == 150
    assert first["blind_cross_entropy"] == float(f"{copy.blind_baseline(6):.6g}")
    assert list(first) == ["task", "sequences", "blind_cross_entropy", "float", "fake_quantized", "integer"]


def test_limit_is_positive():
    """A limit below 1 is refused."""
    with pytest.raises(FormatError, match=r"^limit must be at least 1, not 0$"):
        evaluate(copy_checkpoint(), limit=0)


def test_float_column_needs_float_weights():
    """Without float weights there is no float column."""
    checkpoint = copy_checkpoint()
    result = evaluate(Checkpoint(checkpoint.network, task=checkpoint.task), limit=10)
    assert "float" not in result and "integer" in result


@pytest.mark.parametrize(
    "provenance, shown",
    [
        ({}, True),
        ({"float_weights": "fitted", "method": "bjorck"}, True),
        ({"float_weights": "latent"}, False),
        ({"float_weights": "latent", "method": "ptq"}, False),
        ({"method": "ptq"}, True),
        ({"method": "bjorck"}, False),
        ({"method": "free"}, False),
    ],
)
def test_float_column_is_of_a_fitted_network(provenance, shown):
    """Latent weights of a training are no float network, also in files from before the entry."""
    checkpoint = replace(copy_checkpoint(), provenance=provenance)
    measured = evaluate(checkpoint, limit=10)
    assert ("float" in measured) is shown
    recorded = replace(checkpoint, metrics=measured | {"float": {"recall_accuracy": 0.5}})
    assert ("float" in info(recorded)["metrics"]) is shown
    assert info(recorded)["metrics"]["integer"] == measured["integer"]


def test_mnist_metrics(small_mnist):
    """The folder is found under both of its names, and all rungs are measured on the test images."""
    result = evaluate(mnist_checkpoint(), small_mnist)
    assert result["sequences"] == 100
    assert 0 <= result["integer"]["accuracy"] < 0.4
    (small_mnist / "up").mkdir()
    (small_mnist / "up" / "mnist").symlink_to(small_mnist)
    assert evaluate(mnist_checkpoint(), small_mnist / "up") == result


def test_mnist_pixels():
    """A pixel keeps its highest bits."""
    image = np.array([[0, 15, 16, 255]], dtype=np.uint8)
    assert mnist.quantize_pixels(image, 4).tolist() == [[0, 0, 1, 15]]
    assert mnist.quantize_pixels(image, 8).tolist() == [[0, 15, 16, 255]]
    assert mnist.quantize_pixels(image, 1).tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda p: p.unlink(), "no such file; put the four MNIST files (*-ubyte.gz) there, or pass another"),
        (
            lambda p: p.write_bytes(b"hello"),
            "must be a gzip file: Not a gzipped file (b'he'); fetch it again",
        ),
        (lambda p: p.write_bytes(p.read_bytes()[:-20]), "must be a gzip file: Compressed file ended before"),
        (
            lambda p: p.write_bytes(gzip.compress(b"hello")),
            "must begin with the IDX header of bytes of rank 1, not b'hello'",
        ),
        (lambda p: write_idx(p, np.zeros(99, np.uint8)), "must hold (100,) bytes, not (99,) (99 bytes)"),
    ],
)
def test_mnist_data_errors(small_mnist, damage, message):
    """Absent or damaged data are named in one line."""
    path = small_mnist / "t10k-labels-idx1-ubyte.gz"
    damage(path)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {message}')}"):
        evaluate(mnist_checkpoint(), small_mnist)


def test_mnist_without_folder():
    """Without a data folder the error says which option to pass."""
    message = "the mnist task needs its data: pass as data the folder with the four MNIST files"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        evaluate(mnist_checkpoint())


def test_mnist_in_no_folder(tmp_path):
    """A folder that is not there is named."""
    message = f"{tmp_path / 'no'}: no such folder; pass as data the folder with the four MNIST files"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        evaluate(mnist_checkpoint(), tmp_path / "no")


@pytest.mark.parametrize("checkpoint", [mnist_checkpoint(), copy_checkpoint(task={"name": "other"})])
def test_refused_before_anything_is_computed(tmp_path, monkeypatch, checkpoint):
    """Absent data and an unknown task are reported before any computation."""

    def fail(*_):
        raise AssertionError("computed too early")

    for name in ("RealNetwork", "dequantized", "interpreter_of", "run_real"):
        monkeypatch.setattr(f"qornn_hw.evaluation.evaluate.{name}", fail)
    with pytest.raises((CheckpointError, DataError)):
        evaluate(checkpoint, tmp_path)


def test_the_scale_of_a_full_scale_of_one(small_mnist):
    """A network whose largest pixel stands for 1 instead of 15/16 is accepted, too."""
    assert evaluate(mnist_checkpoint(input_scale=1 / 15), small_mnist)["sequences"] == 100


def test_metrics_do_not_depend_on_the_batches(monkeypatch):
    """The metrics do not depend on the batch size."""
    checkpoint = copy_checkpoint()
    wanted = evaluate(checkpoint, limit=130)
    monkeypatch.setattr("qornn_hw.evaluation.evaluate._NUMBERS", 26 * 17 * 7)
    assert evaluate(checkpoint, limit=130) == wanted


def test_adding_metrics():
    """A network is measured on the adding task by its squared error; one of another shape is refused."""
    rng = np.random.default_rng(0)
    task = {"name": "adding", "steps": 6}
    network = export(
        np.eye(2),
        np.eye(2),
        np.zeros((1, 2)),
        activation="identity",
        output_bias=np.ones(1),
        calibration_inputs=rng.random((20, 6, 2)),
        input_bits=8,
        input_scale=1 / 256,
        input_signed=False,
        output_mode="last_step",
        weight_bits=8,
        state_bits=16,
        task=task,
    )
    result = evaluate(network)
    assert (result["sequences"], result["blind_mse"]) == (2000, 0.166664)
    assert result["integer"]["mse"] == pytest.approx(0.1667, abs=0.01)
    with pytest.raises(
        CheckpointError, match=r"^a network of the adding task must have 2 vector inputs and 1"
    ):
        evaluate(copy_checkpoint(task=task))


def test_rungs_are_chosen():
    """Only the rungs that are asked for are measured."""
    result = evaluate(copy_checkpoint(), limit=2, rungs=("integer",))
    assert list(result) == ["task", "sequences", "blind_cross_entropy", "integer"]


def test_mnist_in_an_empty_folder(tmp_path):
    """A folder without the files is named."""
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path))}.*: no such file; put the four MNIST"):
        evaluate(mnist_checkpoint(), tmp_path)


@pytest.mark.parametrize(
    "checkpoint, message",
    [
        (
            copy_checkpoint(task={}),
            (
                f"task.name must be one of {', '.join(sorted(TASKS))}, not None; for other data "
                "the task is {}, and calls of the network compute the answers"
            ),
        ),
        (
            copy_checkpoint(task={"name": "copy"}),
            "task.blank of the copy task is missing",
        ),
        (
            copy_checkpoint(task={"name": "copy", "blank": 5}, outputs=3),
            (
                "a network of the copy task must have 10 one_hot inputs and 9 outputs, "
                "not 10 one_hot inputs and 3 outputs"
            ),
        ),
        (
            copy_checkpoint(output_mode="last_step"),
            "network.output_mode of the copy task must be every_step, not last_step",
        ),
        (
            mnist_checkpoint(input_bits=9),
            "network.input_format of the mnist task must have 1 to 8 bits, not 9",
        ),
        (
            mnist_checkpoint(input_signed=True),
            "network.input_format of the mnist task must be unsigned with 4 bits, not signed with 4",
        ),
        (
            copy_checkpoint(task={"name": "mnist", "order": "columns"}),
            "task.order must be one of rows, pixels, permuted, not 'columns'",
        ),
        (
            copy_checkpoint(task={"name": "mnist", "order": "rows", "colour": 1}),
            "task.colour is not known of the mnist task; it has order, augment",
        ),
        (
            copy_checkpoint(task={"name": ["mnist"]}),
            (
                f"task.name must be one of {', '.join(sorted(TASKS))}, not ['mnist']; for other data "
                "the task is {}, and calls of the network compute the answers"
            ),
        ),
        (
            mnist_checkpoint(input_scale=1 / 255),
            (
                "network.scales.input of the mnist task must be 0.0625, not 0.00392157; "
                "export with input_scale=0.0625"
            ),
        ),
        (
            copy_checkpoint(task={"name": "mnist", "order": "rows"}),
            (
                "a network of the mnist task must have 28 vector inputs and 10 outputs, "
                "not 10 one_hot inputs and 9 outputs"
            ),
        ),
    ],
)
def test_evaluate_errors(checkpoint, message):
    """A checkpoint that does not fit its task is refused in one line."""
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        evaluate(checkpoint)


def test_info():
    """Shapes, memory, proven widths and orthogonality are those of the network."""
    made = copy_checkpoint(weight_bits=5)
    found = info(replace(made, metrics=made.metrics | {"x": 1}, provenance={"command": "c"}))
    assert (found["hidden_size"], found["input_size"], found["output_size"]) == (8, 10, 9)
    assert found["memory_bits"] == {
        "recurrent": 320,
        "input": 400,
        "output": 360,
        "table": 0,
        "total": 1080,
    }
    assert found["accumulator_bits"] >= max(found["state_accumulator_bits"], found["output_accumulator_bits"])
    assert 0 < found["orthogonality"]["error"] < 0.5
    assert found["macs_per_step"] == 8 * 8 + 9 * 8
    assert found["metrics"]["x"] == 1 and found["metrics"]["quality"]["shapes"]["outputs"] == 9
    assert found["provenance"]["command"] == "c"
