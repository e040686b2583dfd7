"""Opening of untrusted paths: only a regular file is accepted, and the call never blocks."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_regular"]

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


@contextmanager
def open_regular(path: Path, error: type[Exception], most_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Open a regular file for reading, without blocking on a pipe or a device.

    Args:
        path: the file.
        error: class of the exception; its messages do not name the path.
        most_bytes: the largest accepted size; None for no limit.

    Raises:
        error: the file does not exist, is not a regular file, or is too large.
        OSError: the file cannot be read.
    """
    # With O_NONBLOCK, opening a pipe that has replaced the file since ``stat`` returns at once.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if "\0" in str(path):
        raise error("must be the path of a file, without a zero byte")
    try:
        # A socket cannot be opened, so the type is checked before.
        _require_regular(path.stat().st_mode, error)
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise error("no such file") from None
    with os.fdopen(descriptor, "rb") as stream:
        state = os.fstat(stream.fileno())
        _require_regular(state.st_mode, error)
        if most_bytes is not None and state.st_size > most_bytes:
            raise error(f"must have at most {most_bytes:,} bytes, not {state.st_size:,}")
        yield stream


def _require_regular(mode: int, error: type[Exception]) -> None:
    if stat.S_ISREG(mode):
        return
    kind = next((name for test, name in _KINDS if test(mode)), "another kind of file")
    raise error(f"must be a regular file, not {kind}")
