"""Gestures of a hand with a motion sensor: synthetic recordings in NumPy, without a download.

A recording has one of six classes, and 100 samples at 100 Hz:

| class | name | acceleration of the movement |
|---|---|---|
| 0 | swipe left | ``x = -sin p`` |
| 1 | swipe right | ``x = sin p`` |
| 2 | lift | ``z = sin p`` |
| 3 | twist | none: the hand turns about y by up to 1.2 A rad, and back |
| 4 | shake | ``x = sin q``, 3 to 5 periods from a random phase |
| 5 | circle | ``x = cos q``, ``z = sin q``, 1 to 2 periods from a random phase |

in units of the recording's amplitude A, 0.3 to 1 g, uniform in its logarithm. The movement lasts 0.35 to
0.7 s and ends in the last 0.15 s, so the network has to remember the answer for up to 15 samples.
``p = 2 pi s``, where the progress s runs from 0 to 1 and leads the time by up to a tenth: the speed profile
of the hand is random, and accelerations follow the square of its speed.

The sensor is tilted: a random rotation, whose angle has a standard deviation of 0.25 rad, turns the movement
and gravity, which is an offset of 1 g distributed over the axes. White noise of 0.05 g is added, and the sum
is rounded to 1/1024 g, the sensor's resolution.

With six channels the angular rates of a gyroscope follow, in degrees a second. It measures the twist, and the
rotation of the forearm, a lever of 0.35 m along y that follows the velocity of the hand. Noise, and an offset
for each recording and axis, are added, of 4 degrees a second each; the resolution is 1/16. The numbers are
about 200 times those of the accelerometer, as with real sensors.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.storage.output_folder import work_folder
from qornn_hw.tasks.measures import whole

__all__ = ["CLASSES", "STEPS", "gesture_arrays", "gestures", "write_gestures"]

CLASSES = ("swipe left", "swipe right", "lift", "twist", "shake", "circle")
STEPS = 100
RATE = 100.0
"""Samples a second."""

_TWIST = CLASSES.index("twist")
_GRAVITY = 9.81
_FOREARM = 0.35
_ACCELERATION_STEP = 1 / 1024
_TURN_STEP = 1 / 16
_MOST = 1_000_000

FloatArray = NDArray[np.float64]


def gestures(count: int, seed: int, channels: int = 3) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return recordings and their classes in random order, with class counts that differ by at most one.

    The same arguments give the same recordings with every version of NumPy, because ``RandomState`` is
    frozen.

    Args:
        count: number of recordings, 1 to 1,000,000.
        seed: 0 to 2**31 - 1.
        channels: 3 for the acceleration in g; 6 also for the angular rate in degrees a second.

    Returns:
        inputs float32 (count, 100, channels), and labels int64 (count,), indices of :data:`CLASSES`.

    Raises:
        FormatError: an argument is out of its range.
    """
    count = whole("count", count, 1, _MOST)
    rng = np.random.RandomState(whole("seed", seed, 0, 2**31 - 1))
    if isinstance(channels, bool) or channels not in (3, 6):
        raise FormatError(f"channels must be 3 or 6, not {' '.join(repr(channels).split())[:60]}")
    labels = rng.permutation(np.arange(count) % len(CLASSES)).astype(np.int64)
    movement, twist = _movements(rng, labels)
    held = _rotations(rng, count)
    # Gravity in the frame of the hand, which is turned about y.
    felt = movement + np.stack([np.sin(twist), np.zeros_like(twist), np.cos(twist)], axis=-1)
    acceleration = felt @ held + rng.normal(scale=0.05, size=felt.shape)
    parts = [np.rint(acceleration / _ACCELERATION_STEP) * _ACCELERATION_STEP]
    if channels == 6:
        turn = np.rad2deg(_turns(movement, twist)) @ held
        turn += rng.normal(scale=4.0, size=turn.shape) + rng.normal(scale=4.0, size=(count, 1, 3))
        parts.append(np.rint(turn / _TURN_STEP) * _TURN_STEP)
    return np.concatenate(parts, axis=-1).astype(np.float32), labels


def _movements(rng: np.random.RandomState, labels: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the acceleration of the hand, (count, steps, 3) in g, and its angle about y, (count, steps)."""
    count = len(labels)

    def uniform(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, size=(count, 1))

    amplitude = np.exp(uniform(np.log(0.3), 0.0))
    duration = uniform(0.35, 0.7)
    begin = 1.0 - duration - uniform(0.0, 0.15)
    haste = uniform(0.0, 0.4)
    time = (np.arange(STEPS) / RATE - begin) / duration
    moves = (time > 0) & (time < 1)
    time = np.clip(time, 0.0, 1.0)
    progress = time + haste * time * (1.0 - time)
    speed = 1.0 + haste * (1.0 - 2.0 * time)
    p = 2 * np.pi * progress
    shake = 2 * np.pi * (uniform(3.0, 5.0) * progress + uniform(0.0, 1.0))
    circle = 2 * np.pi * (uniform(1.0, 2.0) * progress + uniform(0.0, 1.0))
    still = np.zeros_like(p)
    axes = {
        "swipe left": (-np.sin(p), still, still),
        "swipe right": (np.sin(p), still, still),
        "lift": (still, still, np.sin(p)),
        "twist": (still, still, still),
        "shake": (np.sin(shake), still, still),
        "circle": (np.cos(circle), still, np.sin(circle)),
    }
    shapes = np.stack([np.stack(axes[name], axis=-1) for name in CLASSES])
    movement = shapes[labels, np.arange(count)] * (amplitude * moves * speed**2)[..., None]
    twist = 1.2 * amplitude * np.sin(np.pi * progress) * moves * (labels == _TWIST)[:, None]
    return movement, twist


def _rotations(rng: np.random.RandomState, count: int) -> FloatArray:
    """Return a rotation matrix for each recording, (count, 3, 3), about a random axis by a normal angle."""
    axis = rng.normal(size=(count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = rng.normal(scale=0.25, size=(count, 1, 1))
    cross = np.zeros((count, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        cross[:, i, j], cross[:, j, i] = -axis[:, k], axis[:, k]
    # Rodrigues' formula.
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross))


def _turns(movement: FloatArray, twist: FloatArray) -> FloatArray:
    """Return the angular rate of the hand, (count, steps, 3) in rad a second, from forearm and twist."""
    velocity = np.cumsum(movement, axis=1) * (_GRAVITY / RATE)
    # The hand rests before and after the recording.
    velocity -= velocity[:, -1:] * (np.arange(1, STEPS + 1) / STEPS)[:, None]
    about_y = np.gradient(twist, 1 / RATE, axis=1)
    return np.stack([velocity[..., 2] / _FOREARM, about_y, -velocity[..., 0] / _FOREARM], axis=-1)


def write_gestures(out: Path, train: int = 3000, test: int = 1000, seed: int = 0, channels: int = 3) -> None:
    """Write the arrays of :func:`gesture_arrays` as a ``.npz`` file, whole or not at all.

    Raises:
        FormatError: another suffix, or as :func:`gesture_arrays`.
        OutputError: the file cannot be written.
    """
    if out.suffix.lower() != ".npz":
        raise FormatError(f"out must end in .npz, not {out.suffix!r}")
    arrays = gesture_arrays(train, test, seed, channels)
    with work_folder(out.parent, "data") as work:
        np.savez_compressed(work / "data.npz", allow_pickle=False, **arrays)
        (work / "data.npz").replace(out)


def gesture_arrays(
    train: int = 3000, test: int = 1000, seed: int = 0, channels: int = 3
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a data file for ``qornn-hw train arrays``.

    They are ``inputs_train``, ``targets_train``, ``inputs_test`` and ``targets_test``. The recordings are
    those of ``gestures(train, 2 * seed)`` and of ``gestures(test, 2 * seed + 1)``.

    Args:
        train: number of training recordings.
        test: number of test recordings.
        seed: 0 to 2**30 - 1.
        channels: 3 or 6.

    Raises:
        FormatError: an argument is out of its range; the message names it.
    """
    sizes = {"train": whole("train", train, 1, _MOST), "test": whole("test", test, 1, _MOST)}
    seed = whole("seed", seed, 0, 2**30 - 1)
    arrays: dict[str, NDArray[Any]] = {}
    for i, (part, count) in enumerate(sizes.items()):
        arrays[f"inputs_{part}"], arrays[f"targets_{part}"] = gestures(count, 2 * seed + i, channels)
    return arrays
