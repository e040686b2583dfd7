"""Spoken digits: the data set's files, the sequences, and the augmentation."""

import re

import numpy as np
import pytest
from data_sets import data_dir, recordings, wav, write_recordings

from qornn_hw.errors import CheckpointError, DataError, FormatError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.front_ends.log_mel import FrontEnd
from qornn_hw.quantization.quantize import export
from qornn_hw.tasks import SpeechTask, make_task, speech

SMALL = {"bands": 5, "frames": 12}
PLAIN = {"speed": 0, "gain": 0, "shift": 0, "noise": 0, "mask_bands": 0, "mask_frames": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with 140 recordings of noise."""
    path = tmp_path_factory.mktemp("speech")
    write_recordings(path)
    return path


def test_archive_and_folder(folder, tmp_path):
    """The archive, the unpacked folder, and either under the data set's name give the same recordings."""
    wanted = speech.read_recordings(folder)
    assert [(r.index, r.digit) for r in wanted] == [(i, d) for i in range(14) for d in range(10)]
    assert len(wanted[13].samples) == 900 + 300 + 1 and np.abs(wanted[13].samples).max() <= 1200
    (tmp_path / "fsdd").mkdir()
    write_recordings(tmp_path / "fsdd", unpacked=True)
    for path in (tmp_path, tmp_path / "fsdd"):
        found = speech.read_recordings(path)
        assert all(np.array_equal(a.samples, b.samples) for a, b in zip(found, wanted, strict=True))


def test_sequences(folder):
    """A recording is at the end of its sequence, silence before it; of a long one there is the end."""
    task = SpeechTask(folder, **SMALL)
    front = FrontEnd(bands=5, bits=4, hop=task.front_end.hop, floor=task.front_end.floor)
    test = task.test()
    assert test.inputs.shape == (50, 12, 5) and test.targets.tolist() == list(range(10)) * 5
    for recording, row in zip(speech.read_recordings(folder), test.inputs, strict=False):
        frames = front.features(recording.samples)
        np.testing.assert_array_equal(row[-len(frames) :], frames)
        assert not row[: -len(frames)].any()
    short = SpeechTask(folder, bands=5, frames=2).test()
    np.testing.assert_array_equal(short.inputs, test.inputs[:, -2:])
    np.testing.assert_array_equal(task.test(7).inputs, test.inputs[:7])
    assert len(task.validation().targets) == 50 and task.blind() == 0.1


def test_training_without_changes(folder):
    """With everything off the first of the seven versions is the plain recording."""
    task = SpeechTask(folder, **SMALL, **PLAIN)
    assert task.batches_per_epoch(40) == 1
    plain = {
        tuple(task.front_end.features(r.samples)[-12:].ravel())
        for r in speech.read_recordings(folder)
        if r.index >= 10
    }
    found = 0
    for i in range(7):
        batch = task.training_batch(i, 40, 0)
        assert sorted(batch.targets.tolist()) == sorted(list(range(10)) * 4)
        for row in batch.inputs:
            heard = row[np.flatnonzero(row.any(axis=1))[0] :] if row.any() else row
            found += tuple(heard.ravel()) in plain
    assert found > 10


def test_batches_are_functions_of_their_arguments(folder):
    """A batch depends on its arguments only, and each augmentation has an effect."""
    wanted = SpeechTask(folder, **SMALL).training_batch(5, 20, 3)
    task = SpeechTask(folder, **SMALL)
    for i in (0, 9, 4):
        task.training_batch(i, 20, 7)
    again = task.training_batch(5, 20, 3)
    np.testing.assert_array_equal(again.inputs, wanted.inputs)
    np.testing.assert_array_equal(again.targets, wanted.targets)
    assert wanted.inputs.min() >= 0 and wanted.inputs.max() <= 15
    task = SpeechTask(folder, **SMALL, **PLAIN)
    plain = task.training_batch(0, 40, 3)
    for option, value in (("gain", 100), ("shift", 6), ("noise", 200), ("mask_bands", 5), ("mask_frames", 9)):
        setattr(task, option, value)
        changed = task.training_batch(0, 40, 3)
        setattr(task, option, 0)
        np.testing.assert_array_equal(changed.targets, plain.targets)
        assert not np.array_equal(changed.inputs, plain.inputs)


def test_no_test_recording_is_trained(folder):
    """Training sees the indices from 10 on, and those from 5 on if all are trained."""
    kept = SpeechTask(folder, **SMALL)
    kept.load()
    assert {r.index for r in kept._trained} == {10, 11, 12, 13}
    every = SpeechTask(folder, **SMALL, train_all=True)
    assert {r.index for r in every._trained} == set(range(5, 14))


def test_no_validation_recording_is_trained(folder):
    """With train_all there is no validation set, and the test set is the same."""
    kept, every = SpeechTask(folder, **SMALL), SpeechTask(folder, **SMALL, train_all=True)
    assert kept.validation() is not None and every.validation() is None
    np.testing.assert_array_equal(every.test().inputs, kept.test().inputs)


def test_noise_adds_energy(folder):
    """Noise lowers no energy by more than the flooring, and leaves about half of the sequences alone."""
    task = SpeechTask(folder, **SMALL, noise=100)
    energies = np.zeros((200, 12, 5), dtype=np.int64) + np.arange(5) * 100
    noisy = task._with_noise(energies, np.random.default_rng(0))
    assert np.all(noisy >= energies - 1)
    quiet = np.all(np.abs(noisy - energies) <= 1, axis=(1, 2))
    assert 0.35 < quiet.mean() < 0.65


def test_resampled():
    """A recording spoken faster is shorter, and its tone is higher."""
    tone = np.rint(1000 * np.sin(2 * np.pi * 100 * np.arange(8000) / 8000)).astype(np.int64)
    fast = speech._resampled(tone, 1.25)
    assert len(fast) == 6400
    assert np.abs(np.fft.rfft(fast, 8000)).argmax() == 125
    np.testing.assert_array_equal(speech._resampled(tone, 1.0), tone)


def test_description_and_evaluation(folder):
    """A checkpoint's description has the front end, and the network is measured by it."""
    task = SpeechTask(folder, **SMALL, gain=3)
    description = task.description()
    assert description["gain"] == 3 and "noise" not in description and description["frames"] == 12
    made = make_task(description, folder, input_bits=4)
    assert made.description() == description
    rng = np.random.default_rng(0)
    checkpoint = export(
        np.eye(6),
        rng.normal(size=(6, 5)),
        rng.normal(size=(10, 6)),
        activation="relu",
        calibration_inputs=task.test().inputs / 16,
        input_bits=4,
        input_signed=False,
        input_scale=1 / 16,
        output_mode="last_step",
        task=description,
    )
    result = evaluate(checkpoint, folder)
    assert result["sequences"] == 50 and result["blind_accuracy"] == 0.1
    assert 0 <= result["integer"]["accuracy"] <= 0.5
    with pytest.raises(CheckpointError, match=r"^task.bands of the front end must be 1 to 64, not 0$"):
        make_task(description | {"bands": 0}, folder)


@pytest.mark.parametrize(
    "files, message",
    [
        ({"0_ada_0.wav": b"hello"}, "0_ada_0.wav: must be a WAV file: "),
        ({"0_ada_0.wav": b""}, "0_ada_0.wav: must be a WAV file: it ends early"),
        (
            {"0_ada_0.wav": wav([1, 2], rate=16000)},
            "0_ada_0.wav: must have 1 channel of 16 bits at 8000 samples a second, not 1 of 16 at 16000",
        ),
        (
            {"0_ada_0.wav": wav([1, 2], channels=2)},
            "must have 1 channel of 16 bits at 8000 samples a second, not 2",
        ),
        ({"0_ada_0.wav": wav([])}, "0_ada_0.wav: must hold whole samples, at least one, not 0 bytes"),
        ({"zero.wav": wav([1])}, "zero.wav: must be named DIGIT_SPEAKER_INDEX.wav"),
        ({}, "must hold test (index 0 to 4) recordings, not none among 0; pass as data"),
        (
            recordings(range(3)),
            "must hold validation (index 5 to 9) recordings, not none among 30; pass as data",
        ),
        (recordings(range(10)), "must hold training recordings (index 10 and above); pass as data"),
    ],
)
@pytest.mark.parametrize("unpacked", [False, True])
def test_bad_recordings(tmp_path, files, message, unpacked):
    """A malformed recording and a missing split are named in one line."""
    write_recordings(tmp_path, files, unpacked)
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path))}.*{re.escape(message)}"):
        SpeechTask(tmp_path, **SMALL).load()


def test_bad_archives(tmp_path):
    """An absent folder, an empty one, and a truncated archive are named."""
    with pytest.raises(DataError, match=r"^the speech task needs its data: pass as data the folder with rec"):
        SpeechTask(None).load()
    with pytest.raises(DataError, match=r"no: no such folder; pass as data"):
        SpeechTask(tmp_path / "no").load()
    with pytest.raises(DataError, match=r"must hold recordings.zip or recordings/; pass as data"):
        SpeechTask(tmp_path).load()
    write_recordings(tmp_path)
    path = tmp_path / "recordings.zip"
    content = path.read_bytes()
    path.write_bytes(content[:-400])
    with pytest.raises(DataError, match=r"recordings.zip: must be a zip archive: .*; fetch it again$"):
        SpeechTask(tmp_path).load()
    damaged = bytearray(content)
    damaged[300:600] = bytes(300)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"recordings.zip: must be a zip archive: .*; fetch it again$"):
        SpeechTask(tmp_path).load()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"input_bits": 9}, "input_bits must be 1 to 8, not 9"),
        ({"frames": 0}, "frames must be 1 to 1000, not 0"),
        ({"hop": 257}, "hop of the front end must be 1 to 256, not 257"),
        ({"speed": 51}, "speed must be 0 to 50, not 51"),
        ({"train_all": 1}, "train_all must be true or false, not 1"),
        ({"mask_bands": -1}, "mask_bands must be 0 to 64, not -1"),
    ],
)
def test_bad_arguments(arguments, message):
    """An invalid argument is named."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        SpeechTask(None, **arguments)


def test_real_recordings(capsys):
    """The published data set has the known sizes, and no feature saturates everywhere."""
    found = data_dir("fsdd")
    if found is None:
        with capsys.disabled():
            print("\nno Free Spoken Digit Dataset (set QORNN_DATA); not checked")
        return
    task = SpeechTask(found)
    test, validation = task.test(), task.validation()
    assert len(test.targets) == len(validation.targets) == 300
    assert np.bincount(test.targets).tolist() == [30] * 10
    heard = test.inputs[:, -8:]
    assert 0.02 < (heard == 0).mean() < 0.4 and (heard == 15).mean() < 0.2
