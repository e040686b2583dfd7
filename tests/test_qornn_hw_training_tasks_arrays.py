"""A user's own arrays as a task."""

import re

import numpy as np
import pytest

from qornn_hw.errors import CheckpointError, DataError, FormatError
from qornn_hw.evaluate import evaluate
from qornn_hw.exporting import export
from qornn_hw.network import InputKind, OutputMode
from qornn_hw.training.tasks import ArraysTask, make_task

RNG = np.random.default_rng(0)


def vectors(**changes):
    """Return arrays of vectors with a class each."""
    arrays = {
        "inputs_train": RNG.normal(size=(40, 6, 3)),
        "targets_train": np.arange(40) % 4,
        "inputs_test": RNG.normal(size=(10, 6, 3)),
        "targets_test": np.arange(10) % 4,
    }
    return {k: v for k, v in (arrays | changes).items() if v is not None}


def indices(**changes):
    """Return arrays of indices with a class after each step."""
    arrays = {
        "inputs_train": np.arange(60).reshape(20, 3) % 7,
        "targets_train": np.arange(60).reshape(20, 3) % 5,
        "inputs_test": np.arange(12).reshape(4, 3) % 7,
        "targets_test": np.arange(12).reshape(4, 3) % 5,
    }
    return {k: v for k, v in (arrays | changes).items() if v is not None}


@pytest.fixture
def saved(tmp_path):
    """Write arrays to a file and return its path."""

    def save(arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz"

    return save


def test_interfaces():
    """Kind and size of inputs and outputs come from the arrays."""
    task = ArraysTask.from_arrays(**vectors())
    assert (task.input_kind, task.inputs, task.outputs) == (InputKind.VECTOR, 3, 4)
    assert (task.output_mode, task.metric, task.larger_is_better) == (OutputMode.LAST_STEP, "accuracy", True)
    task = ArraysTask.from_arrays(**indices())
    assert (task.input_kind, task.inputs, task.outputs) == (InputKind.ONE_HOT, 7, 5)
    assert task.output_mode is OutputMode.EVERY_STEP
    values = {"targets_train": RNG.normal(size=(40, 2)), "targets_test": np.zeros((10, 2))}
    task = ArraysTask.from_arrays(**vectors(**values))
    assert (task.outputs, task.metric, task.larger_is_better) == (2, "mse", False)
    assert task.output_mode is OutputMode.LAST_STEP


@pytest.mark.parametrize("bits", [2, 8, 16])
def test_signed_vectors(bits):
    """The scale is the smallest that no training input leaves; test inputs beyond it saturate."""
    arrays = vectors()
    arrays["inputs_train"][0, 0, 0] = -9.0
    arrays["inputs_test"][0, 0, 0] = 1e9
    task = ArraysTask.from_arrays(**arrays, input_bits=bits)
    assert task.input_signed and task.input_bits == bits
    top = 1 << (bits - 1)
    assert task.input_scale == pytest.approx(max(9.0 / top, arrays["inputs_train"].max() / (top - 1)))
    examples = task.test()
    assert examples.inputs[0, 0, 0] == top - 1
    error = np.abs(examples.inputs * task.input_scale - arrays["inputs_test"])[1:]
    assert error.max() <= task.input_scale / 2 * 1.0001


def test_unsigned_and_integer_vectors():
    """Inputs of 0 and above are unsigned, and integers that fill the format come through as they are."""
    whole = RNG.integers(0, 16, (40, 6, 3)).astype(np.uint8)
    whole[0, 0, 0] = 15
    task = ArraysTask.from_arrays(**vectors(inputs_train=whole, inputs_test=whole[:10]), input_bits=4)
    assert not task.input_signed and task.input_scale == 1.0
    np.testing.assert_array_equal(task.test().inputs, whole[:10])


def test_splits():
    """Without validation arrays the last tenth of training is it; with them all training ones are trained."""
    arrays = vectors()
    task = ArraysTask.from_arrays(**arrays)
    assert task.batches_per_epoch(6) == 6 and len(task.validation().inputs) == 4
    assert task.validation().targets.tolist() == arrays["targets_train"][36:].tolist()
    seen = np.concatenate([task.training_batch(i, 6, 2).inputs for i in range(6)])
    assert len(np.unique(seen, axis=0)) == 36
    own = {"inputs_validation": arrays["inputs_test"], "targets_validation": arrays["targets_test"]}
    task = ArraysTask.from_arrays(**arrays, **own)
    assert task.batches_per_epoch(40) == 1 and len(task.validation().inputs) == 10
    np.testing.assert_array_equal(
        task.training_batch(5, 8, 1).inputs,
        ArraysTask.from_arrays(**arrays, **own).training_batch(5, 8, 1).inputs,
    )
    assert task.test(3).inputs.shape == (3, 6, 3)


def test_metrics():
    """Accuracies and errors of known answers, and what is got blindly."""
    task = ArraysTask.from_arrays(**indices())
    targets = task.test().targets
    logits = np.eye(5)[targets]
    logits[0, 0] = 0
    logits[0, 0, (targets[0, 0] + 1) % 5] = 1
    assert task.metrics(task.totals(logits, targets), 4) == {"accuracy": float(f"{11 / 12:.6g}")}
    assert task.blind() == 3 / 12
    values = {"targets_train": np.ones((40, 2)), "targets_test": np.tile([1.0, 3.0], (10, 1))}
    task = ArraysTask.from_arrays(**vectors(**values))
    assert task.blind() == 2.0
    assert task.metrics(task.totals(np.ones((10, 1, 2)), task.test().targets), 10) == {"mse": 2.0}
    task = ArraysTask.from_arrays(**vectors())
    logits = np.eye(4)[task.test().targets][:, None]
    assert task.totals(logits, task.test().targets) == {"accuracy": 10}


@pytest.mark.parametrize("arrays", [vectors(), indices()])
def test_a_file_and_a_checkpoint(saved, arrays):
    """A network of a file's task is measured with the file again, and no path is in its description."""
    path = saved(arrays)
    task = ArraysTask(path, input_bits=6)
    assert "mine" not in str(task.description())
    made = make_task(task.description(), path, 6)
    assert made.description() == task.description()
    np.testing.assert_array_equal(made.test().inputs, task.test().inputs)
    rng = np.random.default_rng(0)
    inputs = task.test().inputs
    checkpoint = export(
        np.eye(5),
        rng.normal(size=(5, task.inputs)),
        rng.normal(size=(task.outputs, 5)),
        activation="relu",
        calibration_inputs=inputs * task.input_scale if inputs.ndim == 3 else inputs,
        output_mode=str(task.output_mode),
        input_bits=6 if inputs.ndim == 3 else None,
        input_signed=task.input_signed if inputs.ndim == 3 else None,
        input_scale=task.input_scale if inputs.ndim == 3 else None,
        task=task.description(),
    )
    result = evaluate(checkpoint, path)
    assert result["sequences"] == len(inputs) and 0 <= result["integer"]["accuracy"] <= 1
    assert "blind_accuracy" in result
    with pytest.raises(
        DataError, match=r"^the arrays task needs its data: pass the .npz file with inputs_train"
    ):
        evaluate(checkpoint)


def test_other_data_than_the_checkpoints(saved):
    """Data of another shape than those that the network was trained on are refused."""
    description = ArraysTask.from_arrays(**vectors()).description()
    with pytest.raises(DataError, match=r"inputs_train must have shape \(count, steps, 3\), not \(20, 3\)$"):
        make_task(description, saved(indices()))
    more = vectors(targets_test=np.arange(10))
    with pytest.raises(DataError, match=r"targets_test must be of 4 classes, not of 10$"):
        make_task(description, saved(more))
    description = ArraysTask.from_arrays(**indices()).description()
    with pytest.raises(DataError, match=r"inputs_test must hold indices below 7, not 8$"):
        make_task(description, saved(indices(inputs_test=np.full((4, 3), 8))))


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"targets_test": None},
            "targets_test is missing; pass the .npz file with inputs_train, targets_train",
        ),
        ({"input_test": np.zeros(3)}, "input_test is not known; the arrays are inputs_train, targets_train"),
        ({"inputs_validation": np.ones((3, 6, 3))}, "targets_validation is missing; pass the .npz"),
        (
            {"inputs_train": np.zeros((40, 6))},
            "inputs_train must be real numbers (count, steps, m) or integers",
        ),
        (
            {"inputs_train": np.zeros((40, 0, 3))},
            "inputs_train must be real numbers (count, steps, m) or integers",
        ),
        ({"inputs_train": np.zeros((40, 6, 3))}, "inputs_train must not be zero throughout"),
        (
            {"inputs_test": np.full((10, 6, 3), np.nan)},
            "inputs_test must be finite, not nan at [0, 0, 0] (180 such entries)",
        ),
        (
            {"inputs_test": np.ones((10, 6, 2))},
            "inputs_test must have shape (count, steps, 3), not (10, 6, 2)",
        ),
        ({"inputs_test": np.array([["a"]])}, "inputs_test must hold numbers, not <U1"),
        (
            {"targets_train": np.arange(39)},
            "targets_train of classes must have shape (40,) or (40, 6), not (39,)",
        ),
        ({"targets_train": np.arange(40) - 1}, "targets_train must hold classes from 0, not -1 at [0]"),
        ({"targets_train": np.full(40, 1 << 20)}, "targets_train must hold classes below 65536, not 1048576"),
        ({"targets_train": np.ones(40)}, "targets_train of real values must have shape (40, p), not (40,)"),
        (
            {"targets_train": np.full((40, 2), np.inf)},
            "targets_train must be finite, not inf at [0, 0] (80 such entries)",
        ),
        (
            {"targets_test": np.zeros((10, 4))},
            "targets_test must be classes (count,), as in training, not floating-point values (count, p)",
        ),
    ],
)
def test_bad_arrays(saved, changes, message):
    """What an array must be, what it is, and where, in one line, from a file and from Python."""
    arrays = vectors(**changes)
    path = saved(arrays)
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {message}')}"):
        ArraysTask(path)
    if set(arrays) >= set(vectors()) and "input_test" not in arrays:
        with pytest.raises(DataError, match=f"^{re.escape(message)}"):
            ArraysTask.from_arrays(**arrays)


def test_negative_indices(saved):
    """An index below 0 is named with its place."""
    with pytest.raises(DataError, match=r"inputs_test must hold indices from 0, not -1 at \[0, 0\]$"):
        ArraysTask(saved(indices(inputs_test=np.full((4, 3), -1))))


def test_bad_files(tmp_path):
    """What is no .npz file of plain arrays is refused in one line."""
    path = tmp_path / "mine.npz"
    with pytest.raises(DataError, match=r"mine.npz: no such file; pass the .npz file with inputs_train"):
        ArraysTask(path)
    np.savez(path, **vectors())
    content = path.read_bytes()
    for damaged in (b"", b"hello", content[:-300], content[:200]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"mine.npz: must be a .npz file of plain arrays: "):
            ArraysTask(path)
    np.savez(path, **vectors(inputs_train=np.array([{}], dtype=object)))
    with pytest.raises(DataError, match=r"mine.npz: must be a .npz file of plain arrays: Object arrays"):
        ArraysTask(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"mine.npz: must be a .npz file of several arrays, not one array"):
        ArraysTask(path)
    with pytest.raises(DataError, match=r"must be a .npz file of plain arrays: .*[Dd]irectory"):
        ArraysTask(tmp_path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"input": "hot"}, "task.input must be one of one_hot, vector, not 'hot'"),
        ({"answers": 3}, "task.answers must be one of class, classes, values, not 3"),
        ({"inputs": 0}, "task.inputs must be 1 to 65536, not 0"),
        ({"outputs": "4"}, "task.outputs must be 1 to 65536, not '4'"),
        ({"input_scale": 0}, "task.input_scale must be positive and finite, not 0"),
        ({"input_signed": 1}, "task.input_signed must be true or false, not 1"),
    ],
)
def test_bad_descriptions(changes, message):
    """A checkpoint's description that cannot be is refused before the data are looked for."""
    description = ArraysTask.from_arrays(**vectors()).description() | changes
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        make_task(description, load=False)


def test_bad_bits():
    """Bits that cannot be are refused."""
    with pytest.raises(FormatError, match=r"^input_bits must be 1 to 16, not 17$"):
        ArraysTask.from_arrays(**vectors(), input_bits=17)
    with pytest.raises(
        FormatError, match=r"^input_bits must be at least 2 for inputs that are negative, not 1$"
    ):
        ArraysTask.from_arrays(**vectors(), input_bits=1)
    one = {k: v[:1] for k, v in vectors().items()}
    with pytest.raises(DataError, match=r"^inputs_train must hold at least 2 sequences, not 1$"):
        ArraysTask.from_arrays(**one).load()
