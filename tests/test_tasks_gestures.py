"""The gesture data set: the same on every machine, balanced, with the ranges that its description gives."""

import hashlib

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.tasks import ArraysTask
from qornn_hw.tasks.gestures import CLASSES, STEPS, gesture_arrays, gestures


@pytest.mark.parametrize("channels", [3, 6])
def test_shapes_and_types(channels):
    """Inputs are float32 (count, 100, channels), labels int64 below 6."""
    inputs, labels = gestures(13, 0, channels)
    assert inputs.shape == (13, STEPS, channels) and inputs.dtype == np.float32
    assert labels.shape == (13,) and labels.dtype == np.int64 and labels.max() < len(CLASSES)


@pytest.mark.parametrize(
    ("channels", "digest"),
    [(3, "8d26bf0b1f27a37d"), (6, "30cfe236f2626fc0")],
)
def test_recordings_are_the_same_everywhere(channels, digest):
    """The recordings of a seed have this hash, and are multiples of the sensor's resolution."""
    inputs, labels = gestures(60, 7, channels)
    steps = np.rint(inputs * np.where(np.arange(channels) < 3, 1024, 16)).astype("<i4")
    assert np.array_equal(steps / np.where(np.arange(channels) < 3, 1024, 16), inputs)
    assert hashlib.sha256(steps.tobytes() + labels.astype("<i8").tobytes()).hexdigest()[:16] == digest


def test_other_seeds_give_other_recordings():
    """Different seeds share no recording, and equal seeds give equal data sets."""
    first, second = gestures(30, 0)[0], gestures(30, 1)[0]
    assert np.array_equal(first, gestures(30, 0)[0])
    assert not (first[:, None] == second[None]).all(axis=(2, 3)).any()


def test_classes_are_balanced():
    """Each class has the same number of recordings, up to one."""
    assert np.ptp(np.bincount(gestures(1000, 3)[1])) == 1


def test_channels_of_six_begin_with_those_of_three():
    """The gyroscope changes nothing of the accelerometer, and has far larger numbers."""
    three, six = gestures(300, 5)[0], gestures(300, 5, 6)[0]
    assert np.array_equal(six[..., :3], three)
    assert six[..., 3:].std() > 50 * three.std()


def test_gravity_is_an_offset():
    """At rest the acceleration has a length of 1 g, whichever way the sensor is held."""
    rest = gestures(2000, 2)[0][:, :10].mean(axis=1)
    assert np.abs(np.linalg.norm(rest, axis=1) - 1).max() < 0.1
    assert rest.std(axis=0).min() > 0.02


def test_no_single_step_shows_the_class():
    """Least squares on the sum, the squares and the last sample of a recording stay well below 90 %."""

    def features(inputs):
        centred = inputs - inputs[:, :5].mean(axis=1, keepdims=True)
        parts = (
            centred.mean(axis=1),
            np.square(centred).mean(axis=1),
            centred[:, -1],
            np.ones((len(inputs), 1)),
        )
        return np.concatenate(parts, axis=1)

    x, labels = gestures(3000, 0)
    weights = np.linalg.lstsq(features(x), np.eye(len(CLASSES))[labels], rcond=None)[0]
    x, labels = gestures(1000, 1)
    right = ((features(x) @ weights).argmax(axis=1) == labels).mean()
    assert 0.3 < right < 0.75, right


def test_arrays_are_those_of_the_arrays_task():
    """The arrays of a data file make a task with 6 classes after the last step."""
    arrays = gesture_arrays(60, 30, seed=4, channels=6)
    assert np.array_equal(arrays["inputs_train"], gestures(60, 8, 6)[0])
    assert np.array_equal(arrays["targets_test"], gestures(30, 9, 6)[1])
    task = ArraysTask.from_arrays(**arrays)
    assert (task.inputs, task.outputs, task.answers) == (6, 6, "class")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gestures(0, 0), "count must be 1 to 1000000, not 0"),
        (lambda: gestures(1, -1), "seed must be 0 to 2147483647, not -1"),
        (lambda: gestures(1, 0, 4), "channels must be 3 or 6, not 4"),
        (lambda: gesture_arrays(test=2.0), "test must be 1 to 1000000, not 2.0"),
        (lambda: gesture_arrays(seed=2**30), "seed must be 0 to 1073741823, not 1073741824"),
    ],
)
def test_wrong_arguments(call, message):
    """An argument out of its range is named in one line."""
    with pytest.raises(FormatError) as found:
        call()
    assert str(found.value) == message
