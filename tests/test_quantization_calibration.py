"""Ranges of inputs and states from all sequences, the sample that judges, and the errors it is judged by."""

import subprocess
import sys

import numpy as np
import pytest

from qornn_hw.cells.elman_network import Activation, OutputMode
from qornn_hw.errors import FormatError
from qornn_hw.quantization import calibration
from qornn_hw.quantization.calibration import (
    balanced_error,
    check_indices,
    input_range,
    relative_error,
    sample_of,
    state_range,
)
from qornn_hw.quantization.float_model import RealNetwork, run_real


def network(m=3, n=5, p=2, activation=Activation.TANH, seed=0):
    """Return a random float network."""
    rng = np.random.default_rng(seed)
    w = np.linalg.qr(rng.normal(size=(n, n)))[0] * 0.9
    arrays = (w, rng.normal(size=(n, m)), rng.normal(size=(p, n)), rng.normal(size=n), rng.normal(size=p))
    return RealNetwork(activation, *arrays, np.zeros(n), OutputMode.EVERY_STEP)


def sequences(count=20, m=3, seed=0, low=3, high=30):
    """Return sequences of different lengths."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(int(rng.integers(low, high)), m)) for _ in range(count)]


def same(x):
    """Return inputs as they are."""
    return np.asarray(x, dtype=np.float64)


def test_input_range_is_that_of_all_sequences(monkeypatch):
    """The range of each channel is its smallest and largest entry, in whatever batches it is found."""
    found = sequences()
    flat = np.concatenate(found)
    for numbers in (1, 50, 10**6):
        monkeypatch.setattr(calibration, "BATCH_NUMBERS", numbers)
        got = input_range(found)
        np.testing.assert_array_equal(got.low, flat.min(axis=0))
        np.testing.assert_array_equal(got.high, flat.max(axis=0))
        np.testing.assert_array_equal(got.magnitude, np.abs(flat).max(axis=0))


@pytest.mark.parametrize("entries", [10**6, 100])
def test_percentiles_of_inputs(monkeypatch, entries):
    """A percentile leaves out the lowest and the highest entries of each channel."""
    monkeypatch.setattr(calibration, "_PERCENTILE_ENTRIES", entries)
    found = sequences(count=400)
    flat = np.concatenate(found)
    got = input_range(found, 90)
    wanted = np.percentile(flat, [10, 90], axis=0)
    tolerance = 1e-12 if entries == 10**6 else 0.5
    np.testing.assert_allclose([got.low, got.high], wanted, atol=tolerance)


@pytest.mark.parametrize("steps", [1, 3, 7, 10, 11])
def test_percentiles_see_evenly_spaced_steps(monkeypatch, steps):
    """A part of the steps is taken at one distance across all sequences, not from the first of each."""
    monkeypatch.setattr(calibration, "_PERCENTILE_ENTRIES", 100)
    count = 1000 // steps
    flat = (
        np.random.default_rng(0).normal(size=(count * steps, 2)) + np.arange(count * steps)[:, None] % steps
    )
    got = input_range(list(flat.reshape(count, steps, 2)), 90)
    wanted = np.percentile(flat[:: -(-len(flat) // 100)], [10, 90], axis=0)
    np.testing.assert_allclose([got.low, got.high], wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "change, message",
    [
        (np.nan, "calibration_inputs must be finite, but has 1 NaN or infinite entries"),
        (np.inf, "calibration_inputs must be finite, but has 1 NaN or infinite entries"),
        (
            None,
            "calibration_inputs must not be all zero: they set the scales of input and state; pass inputs",
        ),
    ],
)
def test_input_range_refuses(change, message):
    """Entries that are not finite, and inputs that are all zero, are refused in one line."""
    found = sequences()
    if change is None:
        found = [np.zeros_like(one) for one in found]
    else:
        found[7][2, 1] = change
    with pytest.raises(FormatError) as error:
        input_range(found)
    assert str(error.value).startswith(message)


def test_check_indices():
    """Indices become integers; what is no symbol's is named."""
    kept = np.array([1, 2, 0], dtype=np.int16)
    found = check_indices([np.array([0.0, 2.0]), kept, np.array([2, 1], dtype=np.uint64)], 3)
    assert [one.tolist() for one in found] == [[0, 2], [1, 2, 0], [2, 1]]
    assert found[1] is kept and found[0].dtype == found[2].dtype == np.int8
    for wrong in (3, -1, 0.5, np.nan):
        with pytest.raises(FormatError, match=r"^calibration_inputs must be indices from 0 to 2, not "):
            check_indices([np.array([0, 1, wrong])], 3)


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("numbers", [1, 30, 10**6])
def test_state_range_is_that_of_all_states(monkeypatch, activation, numbers):
    """The largest state of each sequence is found in batches of any size, without keeping the states."""
    monkeypatch.setattr(calibration, "BATCH_NUMBERS", numbers)
    real, found = network(activation=activation), sequences()
    got = state_range(real, found, same)
    wanted = [np.abs(run_real(real, one[None])[0]).max() for one in found]
    np.testing.assert_allclose(got.reach, wanted, rtol=1e-12)
    assert got.largest == got.reach.max()


@pytest.mark.parametrize("percentile", [60, 90, 99, 99.9])
def test_percentiles_of_states(percentile):
    """The percentile of the states' magnitudes is found to within 1.1 %, from above."""
    real, found = network(activation=Activation.IDENTITY), sequences(count=60)
    got = state_range(real, found, same, percentile).largest
    sizes = np.concatenate([np.abs(run_real(real, one[None])[0]).ravel() for one in found])
    wanted = np.percentile(sizes, percentile, method="inverted_cdf")
    assert wanted <= got <= wanted * 2 ** (1 / 64) * (1 + 1e-12)


def test_state_range_sees_prepared_inputs():
    """The states are those of the clipped inputs."""
    real, found = network(activation=Activation.IDENTITY), sequences()
    found[3][4, 0] = 1e6
    clipped = state_range(real, found, lambda x: np.clip(x, -3, 3)).largest
    assert clipped < 100 < state_range(real, found, same).largest


def test_sample_is_all_where_all_is_little():
    """A small set is the sample as a whole, with the float network's logits and the mean squares."""
    real, found = network(), sequences()
    sample = sample_of(real, found, same)
    assert sample.chosen == list(range(20)) and sample.of == 20
    assert sum(len(x) for x in sample.batches) == 20
    for x, logits in zip(sample.batches, sample.logits, strict=True):
        np.testing.assert_array_equal(logits, run_real(real, x)[1])
    flat = np.concatenate(found)
    np.testing.assert_allclose(sample.inputs_mean, flat.mean(axis=0))
    np.testing.assert_allclose(sample.inputs_squared, np.square(flat).mean(axis=0))
    states = np.concatenate([run_real(real, one[None])[0][0] for one in found])
    np.testing.assert_allclose(sample.states_squared, np.square(states).mean(axis=0))
    assert sample.largest == np.abs(states).max()


def test_sample_is_bounded_and_seeded(monkeypatch):
    """A large set gives a bounded sample, the same each time, with the largest states in it."""
    monkeypatch.setattr(calibration, "SAMPLE_STATES", 2000)
    monkeypatch.setattr(calibration, "SAMPLE_STEPS", 20)
    real, found = network(), sequences(count=200)
    reach = state_range(real, found, same).reach
    sample = sample_of(real, found, same, reach)
    assert sample.chosen == sample_of(real, found, same, reach).chosen
    states = sum(x.shape[0] * x.shape[1] * 5 for x in sample.batches)
    assert 1500 < states <= 2000 and sample.of == 200
    assert set(np.argsort(-reach)[:2]) <= set(sample.chosen)
    assert max(x.shape[1] for x in sample.batches) == 20
    monkeypatch.setattr(calibration, "SAMPLE_STATES", 1)
    assert len(sample_of(real, found, same).chosen) == calibration.SAMPLE_SEQUENCES


def test_sample_of_indices():
    """The sample of a one-hot network counts its symbols."""
    found = [np.array([0, 1, 1, 2]), np.array([2, 2])]
    sample = sample_of(network(), found, np.asarray)
    np.testing.assert_allclose(sample.inputs_mean, np.array([1, 2, 3]) / 6)
    np.testing.assert_allclose(sample.inputs_squared, np.array([1, 2, 3]) / 6)


def batches(rng, scale=1.0, offset=0.0):
    """Return two batches of logits."""
    return [rng.normal(size=(4, 5, 3)) * scale + offset, rng.normal(size=(2, 7, 3)) * scale + offset]


def test_errors():
    """The relative error is rms over std; the balanced one is the same near to the wanted logits."""
    rng = np.random.default_rng(0)
    wanted = batches(rng)
    noise = batches(rng, 1e-3)
    near = [a + b for a, b in zip(wanted, noise, strict=True)]
    flat, off = (np.concatenate([a.ravel() for a in all_of]) for all_of in (wanted, noise))
    expected = np.sqrt(np.square(off).mean()) / flat.std()
    assert relative_error(near, wanted) == pytest.approx(expected, rel=1e-12)
    assert balanced_error(near, wanted) == pytest.approx(expected, rel=0.02)
    assert relative_error(wanted, wanted) == balanced_error(wanted, wanted) == 0


def test_balanced_error_does_not_like_silence():
    """Answers that are always the mean have a relative error near 1 and no balanced one."""
    rng = np.random.default_rng(0)
    wanted, other = batches(rng), batches(rng)
    silent = [np.zeros_like(a) for a in wanted]
    assert relative_error(silent, wanted) < relative_error(other, wanted)
    assert balanced_error(silent, wanted) == np.inf > balanced_error(other, wanted)
    small = [0.01 * a for a in other]
    assert balanced_error(small, wanted) > balanced_error(other, wanted)


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_errors_of_any_size(size):
    """Squares that are too large or too small change no error; constant logits have one, too."""
    rng = np.random.default_rng(0)
    wanted, near = batches(rng), batches(np.random.default_rng(1))
    scaled = [[a * size for a in all_of] for all_of in (near, wanted)]
    assert relative_error(*scaled) == pytest.approx(relative_error(near, wanted), rel=1e-9)
    assert balanced_error(*scaled) == pytest.approx(balanced_error(near, wanted), rel=1e-9)
    constant = [np.full_like(a, 2 * size) for a in wanted]
    assert relative_error([1.1 * a for a in constant], constant) == pytest.approx(0.1)
    assert balanced_error([1.1 * a for a in constant], constant) == pytest.approx(0.1)


MEMORY = """
import resource, sys
import numpy as np
from qornn_hw.quantization.quantize import export

count, steps, hidden = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
x = rng.random((count, steps, 1), dtype=np.float32)
w = np.linalg.qr(rng.normal(size=(hidden, hidden)))[0] * 0.98
arrays = w, rng.normal(size=(hidden, 1)), rng.normal(size=(10, hidden))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
made = export(*arrays, activation="relu", calibration_inputs=x, weight_bits=8, output_mode="last_step")
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024, made.provenance["export"]["relrms"])
"""


def extra_megabytes(count, steps, hidden):
    """Return the peak of an export beyond its calibration inputs, in MB, and its relative error."""
    command = [sys.executable, "-c", MEMORY, str(count), str(steps), str(hidden)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(float(word) for word in done.stdout.split())


def test_calibration_in_bounded_memory():
    """States of 205 MB as float64 are calibrated in less than 100 MB."""
    extra, error = extra_megabytes(4000, 200, 32)
    assert extra < 100
    assert error < 0.1


@pytest.mark.slow
def test_calibration_of_sixty_thousand_sequences():
    """60,000 sequences of 784 steps, whose states for 128 units would take 48 GB, take less than 1 GB."""
    extra, error = extra_megabytes(60_000, 784, 128)
    assert extra < 1000
    assert error < 0.1


def test_the_balanced_error_takes_each_output_about_its_own_mean():
    """Outputs of different means, far larger than what they vary by, do not make the error smaller."""
    rng = np.random.default_rng(0)
    theirs = rng.normal(size=(6, 9, 3)) + np.array([0.0, 50.0, -200.0])
    ours = theirs + 0.3 * rng.normal(size=theirs.shape)
    varied, spread = (a.reshape(-1, 3).var(axis=0).mean() for a in (ours, theirs))
    wanted = np.sqrt(np.square(ours - theirs).mean() / np.sqrt(varied * spread))
    assert balanced_error([ours[:2], ours[2:]], [theirs[:2], theirs[2:]]) == pytest.approx(wanted)
    assert 0.25 < wanted < 0.4
