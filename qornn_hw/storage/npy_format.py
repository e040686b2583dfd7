"""Parser of NumPy's ``.npy`` format for untrusted files: the header is checked before the entries.

A header of 128 bytes can declare an array of any size, of Python objects, or of records. This parser accepts
plain numbers and strings only, and the declared size must equal the size of the data.
"""

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["HEADER_BYTES", "NpyHeader", "parse_array", "parse_header"]

# NumPy pads a header to a multiple of 64 bytes; the header of a plain array has at most 128 bytes.
HEADER_BYTES = 4096
_MOST_DIMENSIONS = 8
_SIZES = range(1 << 40)

_OBJECTS = "holds pickled Python objects; unpickling them could run code, so it is not done"


@dataclass(frozen=True)
class NpyHeader:
    """The shape and type that a ``.npy`` header declares.

    Attributes:
        shape: shape of the array.
        dtype: type of an entry, in any byte order.
        fortran_order: True if the first index varies fastest in memory (column-major).
        start: length of the header in bytes; the entries follow it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    start: int

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Length of the file in bytes: header and entries."""
        return self.start + self.size * self.dtype.itemsize


def parse_header(beginning: bytes, error: Callable[[str], Exception]) -> NpyHeader:
    """Parse the header of a ``.npy`` file.

    Args:
        beginning: the first ``HEADER_BYTES`` bytes of the file, or the whole file if it is shorter.
        error: makes an exception from a message. The message begins with a verb; the subject (the array or
            file) is left to ``error``.

    Raises:
        error: the file is not in the ``.npy`` format, or its entries are not plain numbers or strings.
    """
    stream = io.BytesIO(beginning)
    try:
        with warnings.catch_warnings():
            # NumPy warns about headers that Python 2 wrote.
            warnings.simplefilter("ignore")
            version = npy.read_magic(stream)
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, fortran_order, dtype = read(stream, max_header_size=HEADER_BYTES)
    # NumPy's parser evaluates a literal, which can raise exceptions of many classes.
    except Exception:
        raise error("must be an array in the .npy format, but its header is not valid") from None
    if dtype.hasobject:
        raise error(_OBJECTS)
    if dtype.kind not in "biufcUS" or dtype.subdtype is not None:
        raise error(f"must be an array of plain numbers, not of {_shown(dtype)}")
    if dtype.itemsize == 0:
        raise error("must be an array of entries of at least one byte, not of empty strings")
    if len(shape) > _MOST_DIMENSIONS or any(type(size) is not int or size not in _SIZES for size in shape):
        raise error(f"must be an array of at most {_MOST_DIMENSIONS} dimensions, not {_shown(shape)}")
    return NpyHeader(shape, dtype, fortran_order, stream.tell())


def parse_array(data: bytes, error: Callable[[str], Exception]) -> NDArray[Any]:
    """Return the array of a whole ``.npy`` file in the machine's byte order.

    The array is a read-only view of ``data``, unless its byte order has to be changed.

    Args:
        data: all bytes of the file.
        error: as for :func:`parse_header`.

    Raises:
        error: as for :func:`parse_header`, or the declared size differs from ``len(data)``.
    """
    header = parse_header(data[:HEADER_BYTES], error)
    if header.bytes != len(data):
        raise error(
            f"must have {header.bytes:,} bytes, because its header declares shape {_shown(header.shape)} of "
            f"{header.dtype}, not {len(data):,}"
        )
    flat: NDArray[Any] = np.frombuffer(data, header.dtype, header.size, header.start)
    array = flat.reshape(header.shape, order="F" if header.fortran_order else "C")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _shown(value: object) -> str:
    return " ".join(repr(value).split())[:60]
