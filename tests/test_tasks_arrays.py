"""A user's own arrays as a task."""

import re

import numpy as np
import pytest

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.errors import CheckpointError, DataError, FormatError
from qornn_hw.evaluation.evaluate import evaluate, measure
from qornn_hw.quantization.quantize import export
from qornn_hw.tasks import ArraysTask, make_task

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
    """The scale is the smallest without clipped training inputs; larger test inputs saturate."""
    arrays = vectors()
    arrays["inputs_train"][0, 0] = -9.0
    arrays["inputs_test"][0, 0, 0] = 1e9
    task = ArraysTask.from_arrays(**arrays, input_bits=bits)
    assert task.input_signed and task.input_bits == bits
    top = 1 << (bits - 1)
    assert task.input_scale == pytest.approx(max(9.0 / top, arrays["inputs_train"].max() / (top - 1)))
    examples = task.test()
    assert examples.inputs[0, 0, 0] == top - 1
    error = np.abs(examples.inputs * task.input_scale - arrays["inputs_test"])[1:]
    assert error.max() <= task.input_scale / 2 * 1.0001
    assert task.clipped == {"train": 0, "validation": 0, "test": 1}
    assert task.clipped_inputs() == 1
    assert task.clipped_text() == [
        "1 of 180 input entries of the test sequences lie outside the input's grid and are clipped"
    ]


def test_unsigned_and_integer_vectors():
    """Inputs of 0 and above are unsigned, and integers that fill the format come through as they are."""
    whole = RNG.integers(0, 16, (40, 6, 3)).astype(np.uint8)
    whole[0, 0, 0] = 15
    task = ArraysTask.from_arrays(**vectors(inputs_train=whole, inputs_test=whole[:10]), input_bits=4)
    assert not task.input_signed and task.input_scale == 1.0
    np.testing.assert_array_equal(task.test().inputs, whole[:10])


def test_splits():
    """Without validation arrays every tenth training sequence validates; with them all are trained."""
    arrays = vectors()
    task = ArraysTask.from_arrays(**arrays)
    assert task.batches_per_epoch(6) == 6 and len(task.validation().inputs) == 4
    assert task.validation().targets.tolist() == arrays["targets_train"][9::10].tolist()
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
    """Accuracies and errors of known answers, and of the blind answer, are right."""
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
        (
            {"targets_train": np.ones(40)},
            (
                "targets_train of real values must have shape (40, p), or (40, 6, p) for values after each "
                "step, not (40,)"
            ),
        ),
        (
            {"targets_train": np.ones((40, 5, 2))},
            "targets_train of real values must have shape (40, p), or (40, 6, p)",
        ),
        (
            {"lengths_train": np.ones(40)},
            "lengths_train must be 40 integers, not float64 of shape (40,)",
        ),
        ({"lengths_train": np.arange(40) % 7}, "lengths_train must be 1 to 6, not 0 at [0]"),
        ({"lengths_test": np.full(10, 7)}, "lengths_test must be 1 to 6, not 7 at [0]"),
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
    """The message has what the array must be, what it is, and where, from a file and from Python."""
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
    """A file that is not a .npz file of plain arrays is refused in one line."""
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
    with pytest.raises(
        DataError, match=r"mine.npz: must be a .npz file of plain arrays: array 'inputs_train' holds pickled"
    ):
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
        ({"answers": 3}, "task.answers must be one of class, classes, values, series, not 3"),
        ({"inputs": 0}, "task.inputs must be 1 to 65536, not 0"),
        ({"outputs": "4"}, "task.outputs must be 1 to 65536, not '4'"),
        ({"input_scale": 0}, "task.input_scale must be positive and finite, not 0"),
        (
            {"input_scale": [1.0, 2.0]},
            "task.input_scale must be one number or one for each of the 3 inputs, not 2",
        ),
        ({"input_scale": [1.0, 2.0, -1.0]}, "task.input_scale must be positive and finite, not -1.0"),
        ({"input_offset": float("inf")}, "task.input_offset must be finite, not inf"),
        ({"input_signed": 1}, "task.input_signed must be true or false, not 1"),
    ],
)
def test_bad_descriptions(changes, message):
    """An invalid description in a checkpoint is refused before the data are read."""
    description = ArraysTask.from_arrays(**vectors()).description() | changes
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        make_task(description, load=False)


LENGTHS = np.array([6, 1, 3, 3, 6, 2, 4, 5, 6, 1])


def ragged(targets, **changes):
    """Return padded arrays whose steps behind the ends hold what must not matter."""
    lengths = {"lengths_train": np.tile(LENGTHS, 4), "lengths_test": LENGTHS}
    arrays = vectors(targets_train=np.tile(targets, (4, *[1] * (targets.ndim - 1))), targets_test=targets)
    for split in ("train", "test"):
        behind = np.arange(6) >= lengths[f"lengths_{split}"][:, None]
        arrays[f"inputs_{split}"][behind] = np.nan
        if arrays[f"targets_{split}"].ndim > 1 and arrays[f"targets_{split}"].shape[1] == 6:
            arrays[f"targets_{split}"][behind] = -1
    return arrays | lengths | changes


def test_padding_is_no_part_of_the_data():
    """NaN and class -1 after the ends are taken, and change neither scales, nor sizes, nor inputs."""
    task = ArraysTask.from_arrays(**ragged(np.arange(60).reshape(10, 6) % 4))
    assert (task.outputs, task.answers) == (4, "classes")
    test = task.test()
    np.testing.assert_array_equal(test.lengths, LENGTHS)
    behind = np.arange(6) >= LENGTHS[:, None]
    assert not test.inputs[behind].any() and not test.targets[behind].any()
    # A batch is as long as its longest sequence.
    short = vectors(lengths_train=np.full(40, 2))
    batch = ArraysTask.from_arrays(**short).training_batch(0, 5, 0)
    assert batch.inputs.shape == (5, 2, 3) and batch.lengths.tolist() == [2] * 5


def test_lists_of_sequences_are_padded():
    """Lists of arrays of different lengths are the padded arrays with their lengths."""
    arrays = ragged(np.arange(60).reshape(10, 6) % 4)
    padded = ArraysTask.from_arrays(**arrays)
    lists = dict(arrays)
    for split in ("train", "test"):
        steps = lists.pop(f"lengths_{split}")
        for kind in ("inputs", "targets"):
            whole = arrays[f"{kind}_{split}"]
            lists[f"{kind}_{split}"] = [one[:n] for one, n in zip(whole, steps, strict=True)]
    listed = ArraysTask.from_arrays(**lists)
    assert listed.description() == padded.description()
    for name in ("inputs", "targets", "lengths"):
        np.testing.assert_array_equal(getattr(listed.test(), name), getattr(padded.test(), name))


@pytest.mark.parametrize("answers", ["class", "classes", "values", "series"])
def test_metrics_of_different_lengths(answers):
    """The metrics of padded sequences are the means of those of each sequence alone."""
    rng = np.random.default_rng(1)
    targets = {
        "class": rng.integers(0, 3, 10),
        "classes": rng.integers(0, 3, (10, 6)),
        "values": rng.normal(size=(10, 3)),
        "series": rng.normal(size=(10, 6, 3)),
    }[answers]
    task = ArraysTask.from_arrays(**ragged(targets))
    assert task.answers == answers
    test = task.test()
    each_step = answers in ("classes", "series")
    logits = rng.normal(size=(10, 6 if each_step else 1, 3))
    found = task.metrics(task.totals_of(logits, test), 10)
    alone = []
    for i, steps in enumerate(LENGTHS):
        one = test.targets[i, :steps] if each_step else test.targets[i]
        y = logits[i, :steps] if each_step else logits[i, 0]
        alone.append(np.mean((y - one) ** 2) if task.metric == "mse" else np.mean(y.argmax(-1) == one))
    assert found[task.metric] == pytest.approx(np.mean(alone), rel=1e-5)
    measured = measure(task, test, lambda x: logits_of(test, x, logits), 5)
    assert measured[task.metric] == pytest.approx(np.mean(alone), rel=1e-5)


def logits_of(test, inputs, logits):
    """Return the logits of the sequences that ``inputs`` are, found by their first steps."""
    steps = inputs.shape[1]
    rows = [
        next(i for i, n in enumerate(test.lengths) if n == steps and np.array_equal(test.inputs[i, :n], one))
        for one in inputs
    ]
    return logits[rows][:, :steps]


def test_one_output_is_a_threshold():
    """With one output, class 1 is a logit above 0; three classes, or values, are refused."""
    binary = {"targets_train": np.arange(40) % 2, "targets_test": np.arange(10) % 2}
    task = ArraysTask.from_arrays(**vectors(**binary), one_output=True)
    assert task.outputs == 1 and task.description()["outputs"] == 1
    logits = np.array([-1.0, 1.0, 0.0, 0.5, 2.0, -3.0, -1.0, 9.0, -2.0, 0.1])[:, None, None]
    # Wrong are 4 (2.0) and 5 (-3.0); a logit of 0 is class 0.
    assert task.totals(logits, task.test().targets) == {"accuracy": 8}
    assert ArraysTask.from_arrays(**vectors(**binary)).outputs == 2
    with pytest.raises(
        FormatError, match=r"^one_output must be off for 4 classes: it is for classes 0 and 1$"
    ):
        ArraysTask.from_arrays(**vectors(), one_output=True)
    values = {"targets_train": np.ones((40, 1)), "targets_test": np.ones((10, 1))}
    with pytest.raises(FormatError, match=r"^one_output must be off for floating-point values"):
        ArraysTask.from_arrays(**vectors(**values), one_output=True)


def test_values_have_no_unit_in_training():
    """Training subtracts the mean of the values and divides by their unit; the blind error follows."""
    y = RNG.normal(size=(40, 6, 2)) * 50 + [1000.0, -3.0]
    task = ArraysTask.from_arrays(**vectors(targets_train=y, targets_test=y[:10]))
    task.load()
    kept = np.delete(y, np.arange(9, 40, 10), axis=0).reshape(-1, 2)
    np.testing.assert_allclose(task.output_offset, kept.mean(axis=0))
    assert task.output_scale == pytest.approx(np.sqrt(((kept - kept.mean(axis=0)) ** 2).mean()))
    assert task.blind() == pytest.approx(((y[:10] - kept.mean(axis=0)) ** 2).mean(), rel=1e-5)


def test_scales_of_channels_go_through_a_checkpoint(saved):
    """Scales and offsets by channel are in the description, and the task of it has the same integers."""
    gains, offsets = np.array([500.0, 0.3, 5.0]), np.array([0.0, 290.0, 0.0])
    arrays = vectors()
    for split in ("train", "test"):
        arrays[f"inputs_{split}"] = arrays[f"inputs_{split}"] * gains + offsets
    path = saved(arrays)
    task = ArraysTask(path)
    text = task.description()
    assert len(text["input_scale"]) == len(text["input_offset"]) == 3
    assert text["input_offset"][0] == text["input_offset"][2] == 0.0
    assert text["input_offset"][1] == pytest.approx(290.0, abs=0.3)
    made = make_task(text, path, 8)
    np.testing.assert_array_equal(made.test().inputs, task.test().inputs)
    real = task.test().inputs * np.array(task.input_scale) + np.array(task.input_offset)
    assert (np.abs(real - arrays["inputs_test"]) <= 0.51 * np.array(task.input_scale)).mean() > 0.97
    rms = np.sqrt(np.square(task.training_batch(0, 36, 0).inputs * task.training_scale).mean())
    assert rms == pytest.approx(1.0)


def test_bad_bits():
    """Bits out of range are refused."""
    with pytest.raises(FormatError, match=r"^input_bits must be 1 to 16, not 17$"):
        ArraysTask.from_arrays(**vectors(), input_bits=17)
    with pytest.raises(
        FormatError, match=r"^input_bits must be at least 2 for inputs that are negative, not 1$"
    ):
        ArraysTask.from_arrays(**vectors(), input_bits=1)
    one = {k: v[:1] for k, v in vectors().items()}
    with pytest.raises(DataError, match=r"^inputs_train must hold at least 2 sequences, not 1$"):
        ArraysTask.from_arrays(**one).load()
