"""Valid zip archives are read; every inconsistent directory gives a one-line error."""

import io
import re
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest

from qornn_hw.errors import CheckpointError
from qornn_hw.storage.zip_archive import DAMAGED, Archive

CONTENTS = {"a.npy": b"first member " * 9, "b/c": bytes(1000), "empty": b""}


def archive(contents=CONTENTS, method=zipfile.ZIP_DEFLATED):
    """Return the bytes of a zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in contents.items() if isinstance(contents, dict) else contents:
            made.writestr(name, data)
    return stream.getvalue()


def read(data):
    """Return all members of the bytes of a zip file."""
    opened = Archive(io.BytesIO(data), CheckpointError)
    return {name: opened.read(name) for name in opened.members}


def in_directory(field, value, entry=0):
    """Return a file whose directory has another value in one entry; offsets as in the zip specification."""
    offset, form = {
        "flags": (8, "<H"), "method": (10, "<H"), "crc": (16, "<I"), "packed": (20, "<I"),
        "size": (24, "<I"), "local": (42, "<I"),
    }[field]  # fmt: skip
    data = bytearray(archive())
    at = -1
    for _ in range(entry + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    old = struct.unpack_from(form, data, at + offset)[0]
    struct.pack_into(form, data, at + offset, value(old) if callable(value) else value)
    return bytes(data)


def in_end(offset, form, value):
    """Return a file whose last record has another value."""
    data = bytearray(archive())
    struct.pack_into(form, data, len(data) - 22 + offset, value)
    return bytes(data)


def bomb():
    """Return a file that declares 64 bytes and inflates to a megabyte."""
    packed = zlib.compress(bytes(1 << 20), 9)[2:-4]
    whole = archive({"a": bytes(1 << 20)})
    assert packed in whole
    data = bytearray(whole)
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 64)
    struct.pack_into("<I", data, at + 16, zlib.crc32(bytes(64)))
    return bytes(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_whole_archives(method):
    """Stored, deflated and empty members, and an empty archive, survive a round trip."""
    assert read(archive(method=method)) == CONTENTS
    assert read(archive({})) == {}


def test_numpy_and_forced_zip64():
    """NumPy's archives, which use 64-bit sizes, are read."""
    stream = io.BytesIO()
    np.savez(stream, a=np.arange(5))
    assert list(read(stream.getvalue())) == ["a.npy"]


BROKEN = [
    (b"\x00" * 17 + archive(), "must be a zip archive from its first byte, but has 17 other bytes in front"),
    (archive() + b"\x00", f"{DAMAGED}: it does not end with a zip directory"),
    (archive()[:-1], f"{DAMAGED}: it does not end with a zip directory"),
    (b"", "must be a zip archive, but does not begin with a zip signature"),
    (b"PK\x03\x04", f"{DAMAGED}: it does not end with a zip directory"),
    (archive([("a", b"1"), ("a", b"2")]), "must name each member once, but names 'a' twice"),
    (archive({str(i): b"" for i in range(513)}), "must have at most 512 members, not 513"),
    (in_end(8, "<I", 2 | 2 << 16), f"{DAMAGED}: its zip directory has 3 members, but declares 2"),
    (in_directory("flags", 1), "must not be encrypted, but member 'a.npy' is"),
    (in_directory("method", 12), "must have stored or deflated members, but 'a.npy' is neither"),
    (in_directory("local", lambda old: 0, entry=1), f"{DAMAGED}: member '.*' overlaps another member"),
    (in_directory("packed", 1 << 20, entry=2),
     f"{DAMAGED}: member 'empty' overlaps the zip directory"),
    (in_directory("size", 1 << 30),
     f"{DAMAGED}: member 'a.npy' must have at most [0-9,]+ bytes, but declares 1,073,741,824"),
    (in_end(10, "<H", 2), f"{DAMAGED}: its zip directory must be that of a single archive"),
    (in_end(4, "<H", 1), f"{DAMAGED}: its zip directory must be that of a single archive"),
    (in_end(16, "<I", 1 << 20), f"{DAMAGED}: the offset of its zip directory is too large"),
    (in_end(12, "<I", 1 << 20), f"{DAMAGED}: its zip directory has 1048576 bytes for 3 members"),
]  # fmt: skip


@pytest.mark.parametrize("data, message", BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_broken_directories(data, message):
    """Each inconsistent directory is refused before a member is read."""
    with pytest.raises(CheckpointError, match=f"^{message}$"):
        Archive(io.BytesIO(data), CheckpointError)


@pytest.mark.parametrize(
    "data",
    [
        in_directory("crc", 5),
        in_directory("size", lambda old: old - 1),
        in_directory("size", lambda old: old + 1),
        in_directory("packed", lambda old: old // 2),
        archive()[:40] + b"\xff" + archive()[41:],
    ],
)
def test_broken_members(data):
    """A member whose size, CRC or data differ from the directory is refused."""
    with pytest.raises(CheckpointError, match=f"^{DAMAGED}: member '.*' (cannot be read|differs in CRC)"):
        read(data)


def test_bomb():
    """At most 64 bytes are inflated from a member that declares 64 bytes and holds a megabyte."""
    assert read(bomb()) == {"a": bytes(64)}


def test_every_flipped_bit_of_contents():
    """For each flipped bit of a file the result is the same contents or an error."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = archive({"a": b"0123456789" * 3, "b": bytes(range(40))}, method)
        good, refused = read(data), 0
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            try:
                # The names of members have no checksum.
                assert list(read(bytes(changed)).values()) == list(good.values())
            except CheckpointError:
                refused += 1
        assert refused > 4 * len(data)


def test_limits():
    """Unexpected members, too large members and a too large sum are refused by their declared sizes."""
    opened = Archive(io.BytesIO(archive()), CheckpointError)
    opened.require(lambda name: 2000, 2000)
    for allowed, total, message in (
        (lambda name: None if name == "b/c" else 2000, 2000, "unexpected member 'b/c'"),
        (lambda name: 999, 2000, "member 'b/c' must have at most 999 bytes, but declares 1,000"),
        (lambda name: 2000, 1116, "must have at most 1,116 bytes in all members, but declares 1,117"),
    ):
        with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
            opened.require(allowed, total)
    assert opened.beginning("b/c", 3) == bytes(3)
