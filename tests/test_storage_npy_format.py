"""The .npy parser returns equal arrays, and refuses every other header with one line."""

import io
import re

import numpy as np
import pytest

from qornn_hw.errors import DataError
from qornn_hw.storage.npy_format import HEADER_BYTES, parse_array, parse_header


def saved(array, **options):
    """Return the bytes of an array's file."""
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def header(text, version=1):
    """Return the bytes of a file whose header is this text."""
    data = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(data).to_bytes(2 * version, "little") + data


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i2"),
        np.zeros((0, 4), np.float32),
        np.array(2.5),
        np.array([True, False]),
        np.array("text äöü"),
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::2],
    ],
)
def test_plain_arrays(array):
    """Arrays of every order, byte order and shape come back equal, in the machine's byte order."""
    found = parse_array(saved(array), DataError)
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape and found.dtype == array.dtype.newbyteorder("=")


NO_HEADER = "must be an array in the .npy format, but its header is not valid"
THREE = "because its header declares shape (3,) of int64"
BROKEN = [
    (b"", NO_HEADER),
    (b"\x93NUMPY\x03\x00", NO_HEADER),
    (header("{'descr': '<i8', 'fortran_order': False}"), NO_HEADER),
    (header("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), 'x': 1}"), NO_HEADER),
    (header("{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}"),
     "must be an array of at most 8 dimensions, not (-1,)"),
    (header("{'descr': '<i8', 'fortran_order': False, 'shape': (" + "1," * 9 + ")}"),
     "must be an array of at most 8 dimensions, not (1, 1, 1, 1, 1, 1, 1, 1, 1)"),
    (header("{'descr': '<i8', 'fortran_order': False, 'shape': (" + "9" * 3000 + ",)}"), ".*8 dim.*"),
    (header("(" * 3000), NO_HEADER),
    (header("{'descr': '<U0', 'fortran_order': False, 'shape': (99999999999,)}"),
     "must be an array of entries of at least one byte, not of empty strings"),
    (header("{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (1,)}"),
     "must be an array of plain numbers, not of dtype([('a', '<i8')])"),
    (header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}"),
     "must be an array of plain numbers, not of dtype('<M8[s]')"),
    (saved(np.array([{}]), allow_pickle=True),
     "holds pickled Python objects; unpickling them could run code, so it is not done"),
    (saved(np.arange(3)) + b"\0", f"must have 152 bytes, {THREE}, not 153"),
    (saved(np.arange(3))[:-1], f"must have 152 bytes, {THREE}, not 151"),
]  # fmt: skip


@pytest.mark.parametrize("data, message", BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_broken_arrays(data, message):
    """Objects, records, impossible shapes, and sizes that contradict the header are refused."""
    pattern = message if message.startswith(".*") else re.escape(message)
    with pytest.raises(DataError, match=f"^{pattern}$"):
        parse_array(data, DataError)


def test_declared_before_there():
    """The header of an array of terabytes is parsed without the entries."""
    data = header("{'descr': '<i8', 'fortran_order': True, 'shape': (1000000, 1000000)}", version=2)
    found = parse_header(data[:HEADER_BYTES], DataError)
    assert (found.shape, found.fortran_order, found.size) == ((10**6, 10**6), True, 10**12)
    assert found.bytes == 8 * 10**12 + len(data)


def test_flipped_bits():
    """For each flipped bit of the header the result is an array of at most as many bytes, or an error."""
    data = saved(np.arange(6, dtype=np.int16).reshape(2, 3))
    for bit in range(8 * 128):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            assert parse_array(bytes(changed), DataError).nbytes <= 12
        except DataError as error:
            assert "\n" not in str(error)
