"""Spoken digits: recognize one of ten digits from the log-mel frames of a recording.

The data are the Free Spoken Digit Dataset (Jackson et al., CC BY-SA 4.0): ``{digit}_{speaker}_{index}.wav``,
mono, 16 bits, 8000 samples a second; 6 speakers, 50 recordings of each digit by each. The published test set
is the indices 0 to 4, 300 recordings. Here the indices 5 to 9 are the validation set, 10 to 49 the training
set.

A sequence has a fixed number of frames of :class:`qornn_hw.front_ends.log_mel.FrontEnd`. The recording is at
its end, so the answer is due right after the word. Silence, which is 0, comes before it; of a recording that
is too long, only the end is used. The level is not normalized.
"""

import io
import re
import wave
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.errors import DataError, FormatError
from qornn_hw.front_ends.log_mel import OCTAVE, FrontEnd
from qornn_hw.tasks.measures import EpochOrder, generator, hits, whole
from qornn_hw.tasks.task import Examples, Task

__all__ = ["CLASSES", "RATE", "Recording", "SpeechTask", "read_recordings"]

CLASSES = 10
RATE = 8000
_TEST = range(5)
_VALIDATION = range(5, 10)
_NAME = re.compile(r"(\d)_([^_/]+)_(\d+)\.wav")
# Number of speeds, at equal distances, at which each training recording is computed.
_VERSIONS = 7
_TOGETHER = 100
_ORDER, _CHANGE = 8, 9

_WHERE = "pass as data the folder with recordings.zip or recordings/ of the Free Spoken Digit Dataset"


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording: its digit, its index in the data set, and its 16-bit samples."""

    digit: int
    index: int
    samples: NDArray[np.int64]


def _files(data_dir: str | Path | None) -> Iterator[tuple[str, str, bytes]]:
    """Yield for each .wav file a name for messages, its file name, and its contents."""
    if data_dir is None:
        raise DataError(f"the speech task needs its data: {_WHERE}")
    if not Path(data_dir).is_dir():
        raise DataError(f"{data_dir}: no such folder; {_WHERE}")
    for folder in (Path(data_dir), Path(data_dir) / "fsdd"):
        if (folder / "recordings.zip").is_file():
            path = folder / "recordings.zip"
            try:
                with zipfile.ZipFile(path) as archive:
                    for name in sorted(archive.namelist()):
                        if name.endswith(".wav"):
                            yield f"{path}: {name}", Path(name).name, archive.read(name)
            except (zipfile.BadZipFile, OSError, EOFError, RuntimeError) as error:
                raise DataError(f"{path}: must be a zip archive: {error}; fetch it again") from None
            return
        if (folder / "recordings").is_dir():
            for file in sorted((folder / "recordings").glob("*.wav")):
                yield str(file), file.name, file.read_bytes()
            return
    raise DataError(f"{data_dir}: must hold recordings.zip or recordings/; {_WHERE}")


def _samples(where: str, content: bytes) -> NDArray[np.int64]:
    try:
        with wave.open(io.BytesIO(content)) as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise DataError(f"{where}: must be a WAV file: {str(error) or 'it ends early'}") from None
    if form != (1, 2, RATE):
        raise DataError(
            f"{where}: must have 1 channel of 16 bits at {RATE} samples a second, "
            f"not {form[0]} of {8 * form[1]} at {form[2]}"
        )
    if len(data) < 2 or len(data) % 2:
        raise DataError(f"{where}: must hold whole samples, at least one, not {len(data)} bytes")
    return np.frombuffer(data, dtype="<i2").astype(np.int64)


def read_recordings(data_dir: str | Path | None) -> list[Recording]:
    """Return all recordings, sorted by index, digit and speaker.

    Args:
        data_dir: folder with ``recordings.zip`` or ``recordings/``, or its parent folder if it is called
            ``fsdd``.

    Raises:
        DataError: there are no recordings, or one is malformed.
        DataError: there are none, or one is not what it should be.
    """
    found = []
    for where, name, content in _files(data_dir):
        match = _NAME.fullmatch(name)
        if match is None:
            raise DataError(f"{where}: must be named DIGIT_SPEAKER_INDEX.wav")
        digit, speaker, index = int(match[1]), match[2], int(match[3])
        found.append(((index, digit, speaker), Recording(digit, index, _samples(where, content))))
    recordings = [recording for _, recording in sorted(found, key=lambda item: item[0])]
    for what, wanted in (("test (index 0 to 4)", _TEST), ("validation (index 5 to 9)", _VALIDATION)):
        if not any(r.index in wanted for r in recordings):
            raise DataError(
                f"{data_dir}: must hold {what} recordings, not none among {len(recordings)}; {_WHERE}"
            )
    return recordings


class _Frames:
    """The log energies L of many recordings, one after the other, after one row of silence."""

    def __init__(self, front_end: FrontEnd, recordings: Iterable[NDArray[np.int64]]) -> None:
        cut = [front_end.cut(samples) for samples in recordings]
        silence = np.zeros((1, front_end.bands), dtype=np.int16)
        # In large batches: small matrix products are dominated by their overhead.
        energies = [
            front_end.log_energies(np.concatenate(cut[i : i + _TOGETHER])).astype(np.int16)
            for i in range(0, len(cut), _TOGETHER)
        ]
        self.rows = np.concatenate([silence, *energies])
        counts = np.array([len(frames) for frames in cut])
        self.ends = 1 + np.cumsum(counts)
        self.starts = self.ends - counts

    def windows(
        self, chosen: NDArray[np.int64], frames: int, after: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the rows of recordings that end ``after`` frames before the end, (count, frames, bands)."""
        place = self.ends[chosen, None] - frames + np.arange(frames)
        if after is not None:
            place = place + after[:, None]
        inside = (place >= self.starts[chosen, None]) & (place < self.ends[chosen, None])
        return self.rows[np.where(inside, place, 0)].astype(np.int64)


class SpeechTask(Task):
    """Ten spoken digits; metric: accuracy on the 300 test recordings.

    Training augments each recording in each epoch: its speed (one of seven, which also shift the frame
    boundaries), its level, its position, noise (white, or equal in all bands; in half of the sequences), and
    a masked range of bands and one of frames.

    Args:
        data: folder with ``recordings.zip`` or ``recordings/``, or its parent folder if called ``fsdd``.
        input_bits: bits b of a feature, 1 to 8.
        bands: number m of mel bands, 1 to 64.
        frames: number of steps of a sequence, 1 to 1000.
        hop: samples from the start of a frame to the next, 1 to 256.
        floor: the log energy that becomes 0, in sixteenths of an octave, as in the front end.
        step: quantization step of a feature, in sixteenths of an octave.
        train_all: train on the validation recordings, too; there is then no validation set.
        speed: largest relative change of the speed, in percent, 0 to 50.
        gain: largest change of the level, in sixteenths of an octave of energy, 0 to 200.
        shift: largest number of silent frames after the recording, 0 to 100.
        noise: largest level of the noise above ``floor``, in sixteenths of an octave, 0 (none) to 400.
        mask_bands: largest number of masked bands, 0 to 64.
        mask_frames: largest number of masked frames, 0 to 100.
    """

    name = "speech"
    metric = "accuracy"
    larger_is_better = True
    required = ("bands", "frames", "hop", "floor", "step")
    _training_options = ("train_all", "speed", "gain", "shift", "noise", "mask_bands", "mask_frames")
    options = required + _training_options
    data_argument = "data"
    input_bits_range = range(1, 9)
    input_kind = InputKind.VECTOR
    outputs = CLASSES
    output_mode = OutputMode.LAST_STEP

    def __init__(
        self,
        data: str | Path | None,
        input_bits: int = 4,
        bands: int = 24,
        frames: int = 32,
        hop: int = 240,
        floor: int = 288,
        step: int = 18,
        train_all: bool = False,
        speed: int = 10,
        gain: int = 16,
        shift: int = 2,
        noise: int = 32,
        mask_bands: int = 2,
        mask_frames: int = 3,
    ) -> None:
        self.data = data
        self.frames = whole("frames", frames, 1, 1000)
        self.input_bits = whole("input_bits", input_bits, 1, 8)
        self.front_end = FrontEnd(bands=bands, bits=input_bits, rate=RATE, hop=hop, floor=floor, step=step)
        if not isinstance(train_all, bool):
            raise FormatError(f"train_all must be true or false, not {train_all!r}")
        self.train_all = train_all
        self.speed = whole("speed", speed, 0, 50)
        self.gain = whole("gain", gain, 0, 200)
        self.shift = whole("shift", shift, 0, 100)
        self.noise = whole("noise", noise, 0, 400)
        self.mask_bands = whole("mask_bands", mask_bands, 0, 64)
        self.mask_frames = whole("mask_frames", mask_frames, 0, 100)
        self.inputs = bands
        self.input_scale = 2.0**-self.input_bits

    def description(self) -> dict[str, Any]:
        """Return name, frames and front end, and the options of training that differ from their defaults."""
        front = self.front_end
        plain: dict[str, Any] = {
            "name": self.name,
            "bands": front.bands,
            "frames": self.frames,
            "hop": front.hop,
            "floor": front.floor,
            "step": front.step,
        }
        default = SpeechTask(None)
        for key in self._training_options:
            if getattr(self, key) != getattr(default, key):
                plain[key] = getattr(self, key)
        return plain

    @cached_property
    def _recordings(self) -> list[Recording]:
        return read_recordings(self.data)

    @cached_property
    def _trained(self) -> list[Recording]:
        kept = [r for r in self._recordings if r.index not in _TEST]
        return kept if self.train_all else [r for r in kept if r.index not in _VALIDATION]

    @cached_property
    def _labels(self) -> NDArray[np.int64]:
        return np.array([r.digit for r in self._trained])

    @cached_property
    def _order(self) -> EpochOrder:
        return EpochOrder(len(self._trained), _ORDER)

    @cached_property
    def _versions(self) -> list[_Frames]:
        """Every training recording at every speed; each version ends at another place in its last frame."""
        versions = []
        for i in range(_VERSIONS):
            speed = 1 + self.speed / 100 * (2 * i / (_VERSIONS - 1) - 1)
            after = np.zeros(i * self.front_end.hop // _VERSIONS, dtype=np.int64)
            changed = (np.concatenate([_resampled(r.samples, speed), after]) for r in self._trained)
            versions.append(_Frames(self.front_end, changed))
        return versions

    def load(self) -> None:
        """Read all recordings."""
        _ = self._recordings
        if not self._trained:
            raise DataError(f"{self.data}: must hold training recordings (index 10 and above); {_WHERE}")

    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return the recordings of the batch, augmented as the class describes."""
        chosen = self._order.chosen(index, count, seed)
        rng = generator(_CHANGE, seed, index)
        version = rng.integers(0, _VERSIONS, count)
        after = rng.integers(0, self.shift + 1, count)
        energies = np.empty((count, self.frames, self.inputs), dtype=np.int64)
        for i, frames in enumerate(self._versions):
            mine = np.flatnonzero(version == i)
            energies[mine] = frames.windows(chosen[mine], self.frames, after[mine])
        heard = energies > 0
        energies += heard * rng.integers(-self.gain, self.gain + 1, (count, 1, 1))
        if self.noise:
            energies = self._with_noise(energies, rng)
        for axis, most in ((1, self.mask_frames), (2, self.mask_bands)):
            energies[_runs(rng, count, energies.shape, axis, most)] = 0
        return Examples(self.front_end.quantized(energies), self._labels[chosen])

    def _with_noise(self, energies: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the log energies with noise added in half of the sequences."""
        count = len(energies)
        level = self.front_end.floor + rng.uniform(-64, self.noise, (count, 1, 1))
        level[rng.random(count) < 0.5] = -np.inf
        # The energy of white noise in a band is proportional to the band's width.
        weights = self.front_end.band_weights.sum(axis=1)
        white = OCTAVE * np.log2(weights / weights.mean()) * rng.integers(0, 2, (count, 1, 1))
        power = np.exp2((level + white) / OCTAVE).astype(np.float32)
        # A band is the sum of a few independent bins.
        power = power * rng.standard_gamma(3.0, energies.shape, dtype=np.float32) / 3
        total = np.exp2(energies.astype(np.float32) / OCTAVE) + power
        noisy: NDArray[np.int64] = np.floor(OCTAVE * np.log2(total)).astype(np.int64)
        return noisy

    def batches_per_epoch(self, count: int) -> int:
        """Return ``2400 // count``, or ``2700 // count`` with ``train_all``."""
        return self._order.batches(count)

    def _plain(self, indices: range, limit: int | None = None) -> Examples:
        kept = [r for r in self._recordings if r.index in indices][:limit]
        frames = _Frames(self.front_end, (r.samples for r in kept))
        energies = frames.windows(np.arange(len(kept)), self.frames)
        return Examples(self.front_end.quantized(energies), np.array([r.digit for r in kept]))

    def most_sequences(self) -> int:
        """Return the number of training recordings."""
        return len(self._trained)

    def validation(self) -> Examples | None:
        """Return the 300 recordings of index 5 to 9, not augmented; None with ``train_all``."""
        return None if self.train_all else self._plain(_VALIDATION)

    def test(self, limit: int | None = None) -> Examples:
        """Return the 300 recordings of index 0 to 4, or the first ``limit``, by index, digit, speaker."""
        return self._plain(_TEST, limit)

    def blind(self) -> float:
        """Return the share of the most frequent test digit, 0.1."""
        digits = [r.digit for r in self._recordings if r.index in _TEST]
        return float(np.bincount(digits).max()) / len(digits)

    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the number of recordings with the right digit."""
        return {"accuracy": hits(logits, targets)}


def _resampled(samples: NDArray[np.int64], speed: float) -> NDArray[np.int64]:
    """Return a recording at ``speed`` times its speed, by linear interpolation."""
    places = np.arange(max(1, int(len(samples) / speed))) * speed
    new: NDArray[np.int64] = np.rint(np.interp(places, np.arange(len(samples)), samples)).astype(np.int64)
    return new


def _runs(
    rng: np.random.Generator, count: int, shape: tuple[int, ...], axis: int, most: int
) -> NDArray[np.bool_]:
    """Return a mask with one run of 0 to ``most`` places along ``axis`` in each sequence."""
    size = shape[axis]
    width = rng.integers(0, min(most, size) + 1, count)
    start = rng.integers(0, size, count)
    place = np.arange(size)
    inside = (place >= start[:, None]) & (place < (start + width)[:, None])
    return np.broadcast_to(inside[:, :, None] if axis == 1 else inside[:, None, :], shape)
