"""A folder for results that are there whole or not at all."""

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qornn_hw.errors import OutputError, QornnError

__all__ = ["work_folder"]


@contextmanager
def work_folder(
    out_dir: Path, what: str, failed: Callable[[Path], None] = lambda work: None
) -> Iterator[Path]:
    """A folder inside ``out_dir``, so that results can be renamed into place; gone afterwards.

    Args:
        out_dir: where the results go; made where it is not there, and gone again if nothing came into it.
        what: is written, for messages.
        failed: called with the folder after a failure, before it goes.

    Raises:
        OutputError: the folder cannot be made, or what is done in it could not write.
    """
    made = not out_dir.exists()
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{what}-", dir=out_dir))
    except OSError as error:
        raise OutputError(
            f"the output folder must be one that can be written, {out_dir} is not: {_reason(error)}; "
            "choose another with --out"
        ) from error
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
            # Only if nothing is in it: what is interrupted leaves no trace.
            with suppress(OSError):
                out_dir.rmdir()


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space"
    return error.strerror or str(error)
