"""The lock of a folder: one writer or several readers, released however a process ends."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from qornn_hw.errors import OutputError
from qornn_hw.storage.folder_lock import LOCK_FILE, folder_lock

HOLDER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from qornn_hw.storage import folder_lock
    if sys.argv[2] == "file":
        import errno, fcntl
        def flock(*_):
            raise OSError(errno.EBADF, "no such locks")
        fcntl.flock = flock
    with folder_lock.folder_lock(Path(sys.argv[1]), shared=sys.argv[3] == "shared"):
        print("held", flush=True)
        sys.stdin.read()
    """
)


@pytest.fixture(params=["folder", "file"])
def kind(request, monkeypatch):
    """Return the kind of lock: of the folder, or of a file in it, as on a file system without the other."""
    if request.param == "file":

        def flock(*_):
            raise OSError(errno.EBADF, "no such locks")

        monkeypatch.setattr(fcntl, "flock", flock)
    return request.param


def holder(folder, kind, mode="exclusive"):
    """Start a process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), kind, mode],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def end(process):
    """Let a holder end by itself."""
    process.communicate(timeout=60)


def test_one_process_writes(kind, tmp_path):
    """A second writer is refused until the first one ends; no file stays behind."""
    process = holder(tmp_path, kind)
    (tmp_path / ".build-4711-abcd1234").mkdir()
    message = rf"^folder {tmp_path} must be free, but process 4711 writes its build there; wait until it is"
    with pytest.raises(OutputError, match=message), folder_lock(tmp_path):
        pass
    (tmp_path / ".build-4711-abcd1234").rmdir()
    with pytest.raises(OutputError, match="another process reads or writes it"), folder_lock(tmp_path):
        pass
    end(process)
    with folder_lock(tmp_path):
        assert {p.name for p in tmp_path.iterdir()} == ({LOCK_FILE} if kind == "file" else set())
    assert not list(tmp_path.iterdir())


def test_readers_share(kind, tmp_path):
    """Several readers hold the lock at once; a reader and a writer exclude each other."""
    process = holder(tmp_path, kind, "shared")
    with folder_lock(tmp_path, shared=True):
        pass
    with pytest.raises(OutputError, match="must be free"), folder_lock(tmp_path):
        pass
    end(process)
    process = holder(tmp_path, kind)
    with pytest.raises(OutputError, match="must be free"), folder_lock(tmp_path, shared=True):
        pass
    end(process)


def test_a_killed_process_holds_nothing(kind, tmp_path):
    """SIGKILL releases the lock, even if the lock file stays behind."""
    process = holder(tmp_path, kind)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_made_anew_is_another(tmp_path, monkeypatch):
    """If the folder is replaced while its lock is acquired, the new folder is locked."""
    folder = tmp_path / "out"
    folder.mkdir()
    flock, swapped = fcntl.flock, []

    def swap(descriptor, mode):
        flock(descriptor, mode)
        if not swapped:
            swapped.append(True)
            folder.rmdir()
            # Its number is not given to the next folder at once.
            (tmp_path / "other").mkdir()
            folder.mkdir()

    monkeypatch.setattr(fcntl, "flock", swap)
    with folder_lock(folder):
        monkeypatch.undo()
        with pytest.raises(OutputError), folder_lock(folder):
            pass


def test_a_reader_needs_no_right_to_write(tmp_path, monkeypatch):
    """On a read-only file system that cannot lock folders, a reader proceeds without a lock."""

    def flock(*_):
        raise OSError(errno.EBADF, "no such locks")

    plain = os.open

    def read_only(path, flags, *more):
        if Path(path).name == LOCK_FILE:
            raise OSError(errno.EROFS, "read-only")
        return plain(path, flags, *more)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(os, "open", read_only)
    with folder_lock(tmp_path, shared=True):
        pass
    with pytest.raises(OSError, match="read-only"), folder_lock(tmp_path):
        pass


def test_threads_keep_each_other_out(tmp_path):
    """Two threads of one process exclude each other."""
    seen = []

    def other():
        try:
            with folder_lock(tmp_path):
                seen.append("held")
        except OutputError:
            seen.append("refused")

    with folder_lock(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == ["refused"]
