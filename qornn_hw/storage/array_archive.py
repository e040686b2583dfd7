"""Readers of ``.npy`` and ``.npz`` files from untrusted sources.

The zip directory and the array headers are checked before any array is loaded: the declared size must equal
the size in the file, all arrays together have at most :data:`DATA_BYTES` bytes, and each CRC-32 must match.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from qornn_hw.errors import DataError
from qornn_hw.storage import npy_format
from qornn_hw.storage.regular_file import open_regular
from qornn_hw.storage.zip_archive import Archive

__all__ = ["DATA_BYTES", "array_names", "read_array_file", "read_user_arrays"]

# The most bytes that all arrays of a file have together, decompressed.
DATA_BYTES = 1 << 32
_NPY = ".npy"
_NPY_BEGIN = b"\x93NUMPY"


def read_array_file(
    path: Path, wanted: Callable[[str], bool] = lambda name: True
) -> NDArray[Any] | Mapping[str, NDArray[Any]]:
    """Return the array of a ``.npy`` file, or the arrays of a ``.npz`` file by name.

    The first bytes of the file, not its name, decide between the two formats.

    Args:
        path: the file.
        wanted: selects the arrays of a ``.npz`` file by name; all by default.

    Raises:
        DataError: the file does not exist, has neither format, is damaged, or is too large. The message does
            not name the file.
        OSError: the file cannot be read.
    """
    # A deflated member is at most slightly larger than its contents.
    with open_regular(path, DataError, DATA_BYTES + (1 << 20)) as stream:
        begin = stream.read(npy_format.HEADER_BYTES)
        if begin.startswith(_NPY_BEGIN):
            return _array(stream, begin)
        archive, members = _open(stream)
        return {name: _member(archive, member, name) for name, member in members.items() if wanted(name)}


def read_user_arrays(
    path: Path, form: str, wanted: Callable[[str], bool] = lambda name: True, *, absent: str = ""
) -> NDArray[Any] | Mapping[str, NDArray[Any]]:
    """Call :func:`read_array_file`, and turn every error into a DataError that names the file.

    Args:
        path: the file.
        form: the expected contents, for the error message ("must be {form}").
        wanted: selects the arrays of a ``.npz`` file by name; all by default.
        absent: text that the message appends to "no such file".

    Raises:
        DataError: the file does not exist, cannot be read, has another form, or does not fit into memory.
    """
    try:
        return read_array_file(path, wanted)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"{path}: must fit into the memory of this machine, but does not") from None
    except DataError as error:
        if str(error) == "no such file":
            raise DataError(f"{path}: no such file{absent}") from None
        raise DataError(f"{path}: must be {form}: {error}") from None


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays of a ``.npz`` file, or an empty list for a ``.npy`` file.

    Only the zip directory is read.

    Raises:
        DataError: as for :func:`read_array_file`.
        OSError: the file cannot be read.
    """
    with open_regular(path, DataError, DATA_BYTES + (1 << 20)) as stream:
        return [] if stream.read(len(_NPY_BEGIN)) == _NPY_BEGIN else list(_open(stream)[1])


def _open(stream: BinaryIO) -> tuple[Archive, dict[str, str]]:
    """Open a ``.npz`` archive; return it with a dictionary from array name to member name."""
    archive = Archive(stream, DataError)
    archive.require(lambda name: DATA_BYTES, DATA_BYTES)
    members: dict[str, str] = {}
    for member in archive.members:
        name = member.removesuffix(_NPY)
        if name in members:
            raise DataError(f"must name each array once, but names {name!r} twice")
        members[name] = member
    return archive, members


def _array(stream: BinaryIO, begin: bytes) -> NDArray[Any]:
    declared = npy_format.parse_header(begin, DataError)
    size = stream.seek(0, 2)
    if size != declared.bytes:
        raise DataError(
            f"must have {declared.bytes:,} bytes, because its header declares shape {declared.shape} of "
            f"{declared.dtype}, not {size:,}"
        )
    stream.seek(0)
    return npy_format.parse_array(stream.read(), DataError)


def _member(archive: Archive, member: str, name: str) -> NDArray[Any]:
    def wrong(reason: str) -> DataError:
        return DataError(f"array {name!r} {reason}")

    declared = npy_format.parse_header(archive.beginning(member, npy_format.HEADER_BYTES), wrong)
    if (size := archive.members[member].file_size) != declared.bytes:
        raise wrong(f"must have {declared.bytes:,} bytes, because of its shape, not {size:,}")
    return npy_format.parse_array(archive.read(member), wrong)
