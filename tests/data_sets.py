"""Data sets for tests: where the real ones are, and small ones of noise in their formats."""

import gzip
import io
import os
import wave
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]


def data_dir(name="mnist"):
    """Return the folder of the data: QORNN_DATA, or shared/data beside the repository, or None.

    It is None, too, where it does not hold the data set ``name`` in a folder of that name, or MNIST's files.
    """
    candidates = [os.environ.get("QORNN_DATA"), ROOT.parent / "shared" / "data"]
    for folder in (Path(c) for c in candidates if c):
        if (folder / name).is_dir() or (name == "mnist" and list(folder.glob("t10k-images*"))):
            return folder
    return None


def write_idx(path, array):
    """Write an IDX file of bytes, gzipped."""
    sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes(), 1))


def write_mnist(folder, training=300, test=100):
    """Write the four files of MNIST with images of noise."""
    rng = np.random.default_rng(0)
    for name, count in (("train", training), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", rng.integers(0, 10, count, dtype=np.uint8))


def wav(samples, rate=8000, channels=1, width=2):
    """Return the bytes of a WAV file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples).astype(f"<i{width}").tobytes())
    return content.getvalue()


def recordings(indices=range(14), digits=range(10), speaker="ada"):
    """Return name and content of recordings of noise, each digit at another length and level."""
    rng = np.random.default_rng(0)
    return {
        f"{d}_{speaker}_{i}.wav": wav(rng.integers(-300 * (d + 1), 300 * (d + 1), 900 + 100 * d + i))
        for i in indices
        for d in digits
    }


def write_recordings(folder, files=None, unpacked=False):
    """Write recordings as ``recordings.zip`` or as the folder ``recordings``."""
    files = recordings() if files is None else files
    if unpacked:
        (folder / "recordings").mkdir()
        for name, content in files.items():
            (folder / "recordings" / name).write_bytes(content)
        return
    with zipfile.ZipFile(folder / "recordings.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"recordings/{name}", content)
