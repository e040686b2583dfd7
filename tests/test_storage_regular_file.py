"""Regular files are opened; every other kind of file is refused without blocking."""

import os
import socket
from pathlib import Path

import pytest

from qornn_hw.errors import DataError
from qornn_hw.storage.regular_file import open_regular


def pipe(path):
    """Make a named pipe that nobody writes to."""
    os.mkfifo(path)


def unix_socket(path):
    """Make a socket in the file system."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def test_regular_file(tmp_path):
    """A regular file is opened up to the size limit, also through a link."""
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(path)
    for name in ("a", "link"):
        with open_regular(tmp_path / name, DataError, 5) as stream:
            assert stream.read() == b"12345"
    with pytest.raises(DataError, match=r"^must have at most 4 bytes, not 5$"):
        with open_regular(path, DataError, 4):
            pass


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "make, message",
    [
        (Path.mkdir, "must be a regular file, not a directory"),
        (pipe, "must be a regular file, not a named pipe"),
        (unix_socket, "must be a regular file, not a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "must be a regular file, not a character device"),
        (lambda path: path.symlink_to("nowhere"), "no such file"),
        (lambda path: None, "no such file"),
    ],
)
def test_other_files(tmp_path, make, message):
    """A directory, pipe, socket or device is refused at once; the message names the kind."""
    make(tmp_path / "a")
    with pytest.raises(DataError, match=f"^{message}$"):
        with open_regular(tmp_path / "a", DataError):
            pass


def test_zero_byte():
    """A path with a zero byte is refused in the same way."""
    with pytest.raises(DataError, match=r"without a zero byte$"):
        with open_regular(Path("a\0b"), DataError):
            pass
