"""Writer of PyTorch's ``.pt`` files without torch; :mod:`qornn_hw.storage.torch_archive` has the format.

``torch.load(file, weights_only=True)`` returns the same dictionary, with tensors in place of the arrays. The
output is deterministic: equal contents give equal bytes, because the members have no time stamp.
"""

import math
import struct
import sys
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_torch_archive"]

_ROOT = "archive"
# Torch aligns storages to this number of bytes, so that a file can be mapped into memory.
_ALIGNMENT = 64
_LOCAL_BYTES = 30
_PADDING_FIELD = 0x4246
_TYPES = {
    "bool": "BoolStorage",
    "uint8": "ByteStorage",
    "int8": "CharStorage",
    "int16": "ShortStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
}


def write_torch_archive(stream: BinaryIO, value: dict[str, Any]) -> None:
    """Write a dictionary of plain data and arrays.

    Args:
        stream: the output, opened for binary writing.
        value: the dictionary. Allowed values are dictionaries with string keys, lists, strings, numbers,
            booleans, None, and arrays of a type that torch has.

    Raises:
        TypeError: a value of another type.
    """
    pickle = _Pickle()
    pickle.append(value)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _member(archive, "data.pkl", b"\x80\x02%s." % pickle.program)
        _member(archive, "byteorder", sys.byteorder.encode())
        for key, array in enumerate(pickle.arrays):
            _member(archive, f"data/{key}", array.tobytes())
        _member(archive, "version", b"3\n")


def _member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(f"{_ROOT}/{name}", (1980, 1, 1, 0, 0, 0))
    assert archive.fp is not None
    start = archive.fp.tell() + _LOCAL_BYTES + len(info.filename) + 4
    padding = -start % _ALIGNMENT
    info.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
    archive.writestr(info, data)


class _Pickle:
    """The pickle program that builds a value, and the value's arrays in the order of their storage keys."""

    def __init__(self) -> None:
        self.program = bytearray()
        self.arrays: list[NDArray[Any]] = []
        self._memo: dict[str, int] = {}

    def append(self, value: Any) -> None:
        """Append the instructions that push ``value``."""
        if value is None or isinstance(value, bool):
            self.program += b"N" if value is None else (b"\x89", b"\x88")[value]
        elif isinstance(value, int):
            self.program += _integer(value)
        elif isinstance(value, float):
            self.program += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            self._string(value)
        elif isinstance(value, list):
            self.program += b"]("
            for item in value:
                self.append(item)
            self.program += b"e"
        elif isinstance(value, dict):
            self.program += b"}("
            for key, item in value.items():
                self._string(key)
                self.append(item)
            self.program += b"u"
        elif isinstance(value, np.ndarray):
            self._tensor(value)
        else:
            raise TypeError(f"a torch file must hold plain data and arrays, not {type(value).__name__}")

    def _string(self, value: str) -> None:
        """Append a string; a repeated string is read from the memo."""
        if (index := self._memo.get(value)) is not None:
            self.program += b"j" + struct.pack("<I", index)
            return
        self._memo[value] = index = len(self._memo)
        data = value.encode()
        self.program += b"X" + struct.pack("<I", len(data)) + data + b"r" + struct.pack("<I", index)

    def _tensor(self, array: NDArray[Any]) -> None:
        kind = _TYPES.get(array.dtype.name)
        if kind is None:
            raise TypeError(f"a torch file must hold arrays of torch's types, not {array.dtype}")
        strides = [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
        self.program += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        self._string("storage")
        self.program += b"ctorch\n%s\n" % kind.encode()
        self._string(str(len(self.arrays)))
        self._string("cpu")
        # The number of entries, the offset in the storage, then sizes and strides.
        self.program += _integer(array.size) + b"tQ" + _integer(0)
        for numbers in (array.shape, strides):
            self.program += b"(%st" % b"".join(map(_integer, numbers))
        # ``requires_grad`` is False, and there are no hooks.
        self.program += b"\x89ccollections\nOrderedDict\n)RtR"
        self.arrays.append(array)


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(data) > 255:
        raise TypeError(f"a torch file must hold integers of at most 255 bytes, not {len(data)}")
    return b"\x8a" + bytes([len(data)]) + data
