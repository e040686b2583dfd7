"""Atomic writing of a file: a reader sees the whole file or no file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qornn_hw.errors import OutputError

__all__ = ["atomic_file"]


@contextmanager
def atomic_file(path: Path, keep_folders: bool = True) -> Iterator[Path]:
    """Yield a temporary name next to ``path``; the caller writes to it and renames it to ``path``.

    Missing folders are created. They are removed again after an error, or if ``keep_folders`` is False.

    Raises:
        OutputError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    made: list[Path] = []
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        made = [folder for folder in path.parents if not folder.exists()]
        for folder in path.parents:
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(None, f"{folder} is not a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
    except OSError as error:
        keep_folders = False
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; choose another path"
        ) from None
    except BaseException:
        keep_folders = False
        raise
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        # ``rmdir`` removes empty folders only: another process may use a folder by now.
        for folder in () if keep_folders else made:
            with suppress(OSError):
                folder.rmdir()
