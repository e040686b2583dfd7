"""The log-mel front end, against its formula in Python integers."""

import math
import re

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.front_ends.log_mel import FrontEnd, log2_sixteenths


def energies_of(front, samples):
    """Return L of all frames of a recording."""
    return front.log_energies(front.cut(samples))


def in_python(front, frame):
    """Compute L of one frame with Python integers and loops, straight from the module's text."""
    n = front.frame
    energies = [0] * front.bands
    for k in range(1, n // 2):
        parts = []
        for wave in (math.cos, math.sin):
            c = [
                round(
                    1024 * (0.5 - 0.5 * math.cos(2 * math.pi * (i + 0.5) / n)) * wave(2 * math.pi * k * i / n)
                )
                for i in range(n)
            ]
            parts.append(sum(a * int(s) for a, s in zip(c, frame, strict=True)) >> 12)
        power = parts[0] ** 2 + parts[1] ** 2
        for j in range(front.bands):
            energies[j] += int(front.band_weights[j, k - 1]) * power
    # floor(16 log2 e) is the largest l with 2**l <= e**16.
    return [max(e, 1) ** 16 for e in energies]


def test_log_energies_are_those_of_python_integers():
    """Loud noise, quiet noise and silence give the exact integers."""
    front = FrontEnd(bands=5, frame=32, hop=20, rate=8000, low=0, high=4000)
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.integers(-32768, 32768, 52), rng.integers(-3, 4, 40), np.zeros(40, int)])
    found = energies_of(front, samples)
    assert found.shape == (6, 5) == (front.frames(132), 5)
    for t in range(6):
        powers = in_python(front, samples[20 * t : 20 * t + 32])
        assert [int(v).bit_length() - 1 for v in powers] == found[t].tolist()
    assert found[0].min() > 300 and found[-1].max() == 0


def test_log2():
    """The logarithm is exact at powers of two, beside them, and where rounding could go wrong."""
    values = [0, 1, 2, 3, 2**16 - 1, 2**16, 2**16 + 1, 2**52 - 1, 2**52, 2**53 - 1]
    values += [int(v) for v in np.random.default_rng(0).integers(1, 2**53, 500)]
    for j in range(16):
        root = 1 << (16 * 40 + j)
        for _ in range(4):
            root = math.isqrt(root)
        # On both sides of 2**(40 + j / 16).
        values += [root, root + 1]
    found = log2_sixteenths(np.array(values, dtype=np.float64))
    assert found.tolist() == [(max(v, 1) ** 16).bit_length() - 1 for v in values]


def test_worst_case_is_exact():
    """Full-scale square waves keep every sum within what float64 holds exactly."""
    front = FrontEnd(bands=3, low=0, high=4000)
    assert np.abs(front.transform).sum(axis=1).max() * 32768 < 2**34
    largest = (np.abs(front.transform).sum(axis=1).max() * 32768 >> 12) + 1
    assert front.band_weights.sum(axis=1).max() * 2 * int(largest) ** 2 < 2**53
    samples = np.where(np.arange(256) % 8 < 4, 32767, -32768)
    expected = (samples @ front.transform.T) >> 12
    power = expected[:127] ** 2 + expected[127:] ** 2
    np.testing.assert_array_equal(
        energies_of(front, samples)[0], log2_sixteenths((front.band_weights @ power).astype(float))
    )


def test_a_tone_is_in_its_band():
    """A tone is loudest in the band that is nearest, and 20 dB are 106 sixteenths of an octave."""
    front = FrontEnd(bands=10)
    t = np.arange(800) / 8000
    loud = energies_of(front, np.rint(10000 * np.sin(2 * np.pi * 1000 * t)).astype(np.int64))
    quiet = energies_of(front, np.rint(1000 * np.sin(2 * np.pi * 1000 * t)).astype(np.int64))
    centres = (front.band_weights * np.arange(1, 128)).sum(axis=1) / front.band_weights.sum(axis=1) * 31.25
    band = int(np.abs(centres - 1000).argmin())
    assert np.all(loud[1:].argmax(axis=1) == band)
    assert np.all(np.abs(loud[1:, band] - quiet[1:, band] - 106) <= 1)


def test_frames_end_with_the_recording():
    """The last frame ends with the last sample, and the first one is filled with silence in front."""
    front = FrontEnd(frame=256, hop=160)
    assert [front.frames(n) for n in (1, 256, 257, 416, 417)] == [1, 1, 2, 2, 3]
    samples = np.random.default_rng(0).integers(-1000, 1000, 1000)
    found = energies_of(front, samples)
    np.testing.assert_array_equal(found[-1], energies_of(front, samples[-256:])[0])
    np.testing.assert_array_equal(found[-2], energies_of(front, samples[-416:-160])[0])
    padded = np.concatenate([np.zeros(256 + 5 * 160 - 1000, dtype=int), samples])
    np.testing.assert_array_equal(found, energies_of(front, padded))
    assert energies_of(front, np.zeros(0, dtype=int)).tolist() == [[0] * 24]


def test_quantized():
    """Features count whole steps above the floor, from 0 to the largest integer of its bits."""
    front = FrontEnd(bits=3, floor=100, step=10)
    energies = np.array([0, 99, 100, 109, 110, 179, 180, 900])
    assert front.quantized(energies).tolist() == [0, 0, 0, 0, 1, 7, 7, 7]
    samples = np.random.default_rng(0).integers(-99, 99, 700)
    np.testing.assert_array_equal(front.features(samples), front.quantized(energies_of(front, samples)))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"bands": 0}, "bands of the front end must be 1 to 64, not 0"),
        ({"bits": 9}, "bits of the front end must be 1 to 8, not 9"),
        ({"hop": 257}, "hop of the front end must be 1 to 256, not 257"),
        ({"frame": 255, "hop": 1}, "frame of the front end must be even, not 255"),
        ({"high": 4001}, "high of the front end must be 1 to 4000, not 4001"),
        ({"low": 3800}, "low of the front end must be 0 to 3799, not 3800"),
        ({"step": 1.5}, "step of the front end must be 1 to 800, not 1.5"),
        (
            {"bands": 64, "frame": 128, "hop": 64},
            "bands of the front end must be fewer, not 64: band 4 has no bin of a frame of 128 samples",
        ),
    ],
)
def test_bad_settings(changes, message):
    """An invalid setting is named."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        FrontEnd(**changes)
