"""A lock of a folder between processes: one writer, or several readers.

The lock is ``flock`` on the open folder where the file system supports that. Elsewhere it is a lock on the
file ``.lock`` inside the folder. The kernel releases the lock when its process ends, for whatever reason.
"""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qornn_hw.errors import OutputError

__all__ = ["LOCK_FILE", "folder_lock"]

LOCK_FILE = ".lock"
# A folder that is removed and created again while its lock is acquired is another folder: try again.
_ATTEMPTS = 100
# The errors of a file system that cannot lock a folder.
_NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
# The name of a writer's work folder, from :func:`qornn_hw.storage.output_folder.work_folder`.
_WRITER = re.compile(r"\.(\w+)-(\d+)-\w+")


@contextmanager
def folder_lock(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an existing folder.

    Args:
        folder: the folder.
        shared: take a shared lock (for a reader), which several processes can hold at once. The default is
            an exclusive lock (for a writer).

    Raises:
        OutputError: another process holds the lock. The message names its process id if it is known.
        OSError: the folder does not exist.
    """
    for _ in range(_ATTEMPTS):
        try:
            held = _acquire(folder, shared)
        except OSError:
            if not shared or not folder.is_dir():
                raise
            # The folder is read-only for this reader, so it reads without a lock.
            yield
            return
        if held is None:
            raise OutputError(_busy(folder))
        descriptor, path = held
        try:
            # The previous holder may have removed the folder or the lock file.
            same = os.path.samestat(os.fstat(descriptor), path.stat())
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(descriptor)
        folder.mkdir(parents=True, exist_ok=True)
    else:
        raise OutputError(_busy(folder))
    try:
        yield
    finally:
        if path.name == LOCK_FILE and not shared:
            with suppress(OSError):
                path.unlink()
        os.close(descriptor)


def _acquire(folder: Path, shared: bool) -> tuple[int, Path] | None:
    """Return a descriptor that holds the lock, and the locked path; None if another process holds it."""
    if sys.platform != "win32":
        import fcntl

        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, mode)
            return descriptor, folder
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _NO_LOCKS:
                raise
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(descriptor, mode)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return None
        raise
    return descriptor, folder / LOCK_FILE


def _busy(folder: Path) -> str:
    """Return the message for a folder whose lock another process holds."""
    writers = [match for entry in _entries(folder) if (match := _WRITER.fullmatch(entry)) is not None]
    who = "another process reads or writes it"
    if writers:
        who = f"process {writers[0][2]} writes its {writers[0][1]} there"
    return f"folder {folder} must be free, but {who}; wait until it is done, or choose another folder"


def _entries(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(path.name for path in folder.iterdir())
    return []
