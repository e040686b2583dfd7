"""Valid .npy and .npz files are read; all others are refused before any array is loaded."""

import io
import os
import zipfile

import numpy as np
import pytest

from qornn_hw.data.sequences import read_sequences
from qornn_hw.errors import DataError
from qornn_hw.storage import array_archive
from qornn_hw.storage.array_archive import array_names, read_array_file
from qornn_hw.tasks import ArraysTask

ARRAYS = {"inputs": np.arange(24.0).reshape(2, 4, 3), "lengths": np.array([4, 2])}


def saved(array):
    """Return the bytes of an array's file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def zipped(path, *members):
    """Write a zip file of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


def test_both_formats(tmp_path):
    """Both formats are recognised by their contents, and only the wanted arrays are read."""
    np.save(tmp_path / "a.npy", ARRAYS["inputs"])
    np.savez_compressed(tmp_path / "b.npz", **ARRAYS)
    (tmp_path / "b.npz").rename(tmp_path / "b.data")
    np.testing.assert_array_equal(read_array_file(tmp_path / "a.npy"), ARRAYS["inputs"])
    found = read_array_file(tmp_path / "b.data")
    assert list(found) == array_names(tmp_path / "b.data") == ["inputs", "lengths"]
    np.testing.assert_array_equal(found["inputs"], ARRAYS["inputs"])
    assert list(read_array_file(tmp_path / "b.data", "lengths".__eq__)) == ["lengths"]
    assert array_names(tmp_path / "a.npy") == []


HUGE = saved(np.zeros(0)).replace(b"(0,), }" + b" " * 14, b"(99999, 99999), }" + b" " * 4)
BROKEN = [
    (lambda path: os.mkfifo(path), "must be a regular file, not a named pipe"),
    (lambda path: path.write_bytes(b"text"), "must be a zip archive, but does not begin .*"),
    (lambda path: path.write_bytes(saved(np.zeros(3))[:-1]), "must have 152 bytes, because its header .*"),
    (lambda path: path.write_bytes(HUGE), "must have 79,998,400,136 bytes, because its header declares .*"),
    (lambda path: zipped(path, ("inputs.npy", HUGE)), "array 'inputs' must have 79,998,400,136 bytes, .*"),
    (lambda path: zipped(path, ("inputs.npy", saved(np.zeros(2))), ("inputs", saved(np.zeros(2)))),
     "must name each array once, but names 'inputs' twice"),
    (lambda path: np.savez(path, inputs=np.array([{}])), "array 'inputs' holds pickled Python objects; .*"),
]  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make, message", BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_broken_files(tmp_path, make, message):
    """Pipes, wrong sizes, objects and repeated arrays give a one-line error in every reader of user data."""
    path = tmp_path / "a.npz"
    make(path)
    with pytest.raises(DataError, match=f"^{message}$"):
        read_array_file(path)
    for read in (read_sequences, ArraysTask):
        with pytest.raises(DataError, match=f"a.npz: must be a .*: {message}$"):
            read(path)


def test_too_large(tmp_path, monkeypatch):
    """A member that declares more bytes than the limit is refused."""
    np.savez_compressed(tmp_path / "a.npz", inputs=np.zeros((1000, 1000)))
    monkeypatch.setattr(array_archive, "DATA_BYTES", 1 << 20)
    with pytest.raises(
        DataError, match=r"^member 'inputs.npy' must have at most 1,048,576 bytes, but declares "
    ):
        read_array_file(tmp_path / "a.npz")


def test_memory(tmp_path, monkeypatch):
    """A MemoryError becomes a one-line DataError."""

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("qornn_hw.storage.array_archive.read_array_file", exhausted)
    with pytest.raises(DataError, match=r"a.npy: must fit into the memory of this machine, but does not$"):
        read_sequences(tmp_path / "a.npy")
