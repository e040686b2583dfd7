"""Output folders whose results are replaced as a whole: after a failure the previous results are intact."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from qornn_hw.errors import OutputError, QornnError
from qornn_hw.storage.folder_lock import folder_lock

__all__ = ["check_file", "recover", "replace_results", "work_folder"]

# Prefix of the folder, inside a work folder, that keeps the previous results while the new ones are renamed
# into place. The name of the last result follows the prefix.
REPLACED = "replaced-"
# The name of a work folder. Releases without a folder lock left the process id out.
_WORK = re.compile(r"\.(build|export)-(\d+-)?[a-z0-9_]{8}")


def check_file(path: Path) -> None:
    """Refuse a path where no file can be made, before hours of work find out; folders are made.

    Raises:
        OutputError: nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(f"{path} must be a file that can be written: {error.strerror}") from error


@contextmanager
def work_folder(
    out_dir: Path,
    what: str,
    failed: Callable[[Path], None] = lambda work: None,
    *,
    exclusive: bool = False,
) -> Iterator[Path]:
    """Yield a temporary work folder inside ``out_dir``, from which results can be renamed into place.

    The work folder is removed at the end.

    Args:
        out_dir: folder of the results. It is created if needed, and removed again if it stays empty.
        what: one word for the thing that is written, for messages and for the name of the work folder.
        failed: called with the work folder after a failure, before the folder is removed.
        exclusive: hold the lock of ``out_dir``. First remove the work folders of killed processes, and
            restore the results that they had begun to replace.

    Raises:
        OutputError: the folder cannot be created, another process writes into it, or the body of the
            ``with`` statement raised an OSError.
    """
    made = not out_dir.exists()
    with _held(out_dir, exclusive):
        try:
            if exclusive:
                _tidy(out_dir)
            work = Path(tempfile.mkdtemp(prefix=f".{what}-{os.getpid()}-", dir=out_dir))
        except OSError as error:
            raise _unwritable(out_dir, error) from error
        try:
            yield work
        except QornnError:
            failed(work)
            raise
        except OSError as error:
            failed(work)
            raise OutputError(f"the {what} could not be written to {out_dir}: {_reason(error)}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
            if made:
                # ``rmdir`` removes an empty folder only, so an interrupted run leaves nothing behind.
                with suppress(OSError):
                    out_dir.rmdir()


@contextmanager
def _held(out_dir: Path, exclusive: bool) -> Iterator[None]:
    """Create a folder, and hold its lock if ``exclusive``."""
    with ExitStack() as stack:
        try:
            out_dir.mkdir(parents=True, exist_ok=True)
            if exclusive:
                stack.enter_context(folder_lock(out_dir))
        except OutputError:
            raise
        except OSError as error:
            raise _unwritable(out_dir, error) from error
        yield


def _tidy(out_dir: Path) -> None:
    """Remove the work folders of killed processes, and restore their results. The lock must be held."""
    for entry in sorted(out_dir.iterdir()):
        if _WORK.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
            _restore(entry, out_dir)
            shutil.rmtree(entry, ignore_errors=True)


def recover(out_dir: Path) -> None:
    """Restore results that a killed process had begun to replace.

    Do nothing if there are none, if another process holds the lock, or if the folder is not writable.
    """
    if any(_WORK.fullmatch(path.parent.name) for path in out_dir.glob(f".*/{REPLACED}*")):
        with suppress(OSError), folder_lock(out_dir):
            _tidy(out_dir)


def replace_results(work: Path, out_dir: Path, files: Sequence[tuple[str, str]]) -> None:
    """Rename results from ``work`` into ``out_dir``: all of them, or the previous results stay.

    The previous results are first moved into ``work``, the last name first; the new ones are then renamed,
    the last name last. So the presence of the last file means that the set is complete. After a failure the
    previous results are restored here; after a kill :func:`recover` restores them.

    Args:
        work: the folder from :func:`work_folder`.
        out_dir: folder of the results.
        files: pairs of a path in ``work`` and a name in ``out_dir``, of files or folders.

    Raises:
        OSError: a result cannot be renamed.
    """
    last = files[-1][1]
    before = work / f"{REPLACED}{last}"
    before.mkdir()
    placed: list[Path] = []
    try:
        for _, name in reversed(files):
            if (out_dir / name).exists():
                (out_dir / name).replace(before / name)
        for source, target in files:
            (work / source).replace(out_dir / target)
            placed.append(out_dir / target)
    except BaseException:
        for path in placed:
            _remove(path)
        with suppress(OSError):
            _restore(work, out_dir)
        raise


def _restore(work: Path, out_dir: Path) -> None:
    """Restore the previous results in ``work``, unless :func:`replace_results` had completed the new set."""
    for before in work.glob(f"{REPLACED}*"):
        last = before.name.removeprefix(REPLACED)
        if (out_dir / last).exists():
            continue
        for path in sorted(before.iterdir(), key=lambda path: (path.name == last, path.name)):
            _remove(out_dir / path.name)
            path.replace(out_dir / path.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unwritable(out_dir: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the output folder must be writable, but {out_dir} is not: {_reason(error)}; choose another folder"
    )


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space"
    return error.strerror or str(error)
