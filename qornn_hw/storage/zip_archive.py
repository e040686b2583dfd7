"""Reader of zip archives from untrusted sources: the directory is checked before a member is read.

``.npz`` and ``.pt`` files are zip archives. A malicious directory can name a member twice, let members
overlap, or declare a small size for a member that inflates to a large one. So the names, offsets and sizes
in the directory are checked, a member is never inflated beyond its declared size, and its CRC-32 is compared.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["DAMAGED", "Archive"]

DAMAGED = "is damaged or incomplete and must be copied or created again"

# The end record of a zip file: signature, two disk numbers, entries on this disk, entries, size of the
# directory in bytes, offset of the directory, length of the comment.
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
# In front of it there can be a 64-bit end record, and a record with the offset of that one.
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_LOCAL_SIGNATURE = b"PK\x03\x04"
_LOCAL_BYTES = 30
_ENCRYPTION_FLAGS = 0x1 | 0x20 | 0x40
# Deflate needs at least one bit for 129 bytes; the spare bytes are for the headers of short blocks.
_DEFLATE_RATIO = 1040
_DEFLATE_SPARE = 64

_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


@dataclass
class Archive:
    """A zip archive with a checked directory.

    Args:
        stream: the file, seekable; it is read from its start.
        error: class of the exceptions; their messages do not name the file.
        most_members: the largest accepted number of members.

    Attributes:
        members: the directory entry of each member by name, in the order of the directory.

    Raises:
        error: the file is not a zip archive, has bytes before or after the archive, its directory
            contradicts the file, or a member is named twice, encrypted, or compressed by a method other than
            deflate.
    """

    stream: BinaryIO
    error: type[Exception]
    most_members: int = 512
    members: dict[str, zipfile.ZipInfo] = field(init=False, default_factory=dict)
    _zip: zipfile.ZipFile = field(init=False)

    def __post_init__(self) -> None:
        start, entries = self._directory()
        try:
            self._zip = zipfile.ZipFile(self.stream)
        # ``zipfile`` raises exceptions of many classes for a damaged directory.
        except Exception:
            raise self.error(f"{DAMAGED}: its zip directory cannot be read") from None
        infos = self._zip.infolist()
        if len(infos) != entries:
            raise self.error(f"{DAMAGED}: its zip directory has {len(infos)} members, but declares {entries}")
        for info in infos:
            if info.filename in self.members:
                raise self.error(f"must name each member once, but names {info.filename!r} twice")
            self.members[info.filename] = info
        end = 0
        for info in sorted(self.members.values(), key=lambda info: info.header_offset):
            self._check_member(info, end)
            end = info.header_offset + _LOCAL_BYTES + len(info.orig_filename) + info.compress_size
            if end > start:
                raise self.error(f"{DAMAGED}: member {info.filename!r} overlaps the zip directory")

    def _directory(self) -> tuple[int, int]:
        """Return the offset of the zip directory and its number of entries.

        The archive must fill the file from its first to its last byte.
        """
        size = self.stream.seek(0, 2)
        self.stream.seek(max(0, size - _END.size - _LOCATOR.size - _END64.size))
        tail = self.stream.read()
        record = tail[-_END.size :]
        if len(record) < _END.size or not record.startswith(_END_SIGNATURE):
            self._require_beginning()
            raise self.error(f"{DAMAGED}: it does not end with a zip directory")
        _, disk, first, here, entries, directory, offset, comment = _END.unpack(record)
        end = size - _END.size
        # If there are 64-bit records, their values are used, as in ``zipfile``.
        locator = tail[-_END.size - _LOCATOR.size : -_END.size]
        if locator.startswith(_LOCATOR_SIGNATURE) and len(tail) == _END.size + _LOCATOR.size + _END64.size:
            end -= _LOCATOR.size + _END64.size
            signature, length, _, _, disk, first, here, entries, directory, offset = _END64.unpack(
                tail[: _END64.size]
            )
            _, disk64, place, disks = _LOCATOR.unpack(locator)
            if (signature, length, disk64, disks) != (
                _END64_SIGNATURE,
                _END64.size - 12,
                0,
                1,
            ) or place > end:
                raise self.error(f"{DAMAGED}: the end records of its zip directory contradict each other")
            self._require_nothing_in_front(end - place)
        if (disk, first, comment) != (0, 0, 0) or here != entries:
            raise self.error(f"{DAMAGED}: its zip directory must be that of a single archive")
        if entries > self.most_members:
            raise self.error(f"must have at most {self.most_members} members, not {entries}")
        # An entry of the directory has 46 bytes and the member's name; this limit allows long names.
        if directory > 1024 * (entries + 1):
            raise self.error(f"{DAMAGED}: its zip directory has {directory} bytes for {entries} members")
        start: int = end - directory
        self._require_nothing_in_front(start - offset)
        if start < offset:
            raise self.error(f"{DAMAGED}: the offset of its zip directory is too large")
        if entries:
            self._require_beginning()
        return start, entries

    def _require_nothing_in_front(self, count: int) -> None:
        if count > 0:
            raise self.error(
                f"must be a zip archive from its first byte, but has {count} other bytes in front"
            )

    def _require_beginning(self) -> None:
        self.stream.seek(0)
        if self.stream.read(4) != _LOCAL_SIGNATURE:
            raise self.error("must be a zip archive, but does not begin with a zip signature")

    def _check_member(self, info: zipfile.ZipInfo, end: int) -> None:
        name = info.filename
        if info.flag_bits & _ENCRYPTION_FLAGS:
            raise self.error(f"must not be encrypted, but member {name!r} is")
        if info.compress_type not in _METHODS:
            raise self.error(f"must have stored or deflated members, but {name!r} is neither")
        if info.header_offset < end:
            raise self.error(f"{DAMAGED}: member {name!r} overlaps another member")
        stored = info.compress_type == zipfile.ZIP_STORED
        most = info.compress_size * (1 if stored else _DEFLATE_RATIO) + (0 if stored else _DEFLATE_SPARE)
        if info.file_size > most or (stored and info.file_size != info.compress_size):
            raise self.error(
                f"{DAMAGED}: member {name!r} must have at most {most:,} bytes, but declares "
                f"{info.file_size:,}"
            )

    def require(self, allowed: Callable[[str], int | None], most_bytes: int) -> None:
        """Check the name and the declared size of each member, and the total size.

        Args:
            allowed: returns the size limit of a member by its name, in bytes; None for an unexpected member.
            most_bytes: limit of the sum of all sizes, in bytes.

        Raises:
            error: a member is unexpected or too large, or the sum is too large.
        """
        for name, info in self.members.items():
            most = allowed(name)
            if most is None:
                raise self.error(f"unexpected member {name!r}")
            if info.file_size > most:
                raise self.error(
                    f"member {name!r} must have at most {most:,} bytes, but declares {info.file_size:,}"
                )
        total = sum(info.file_size for info in self.members.values())
        if total > most_bytes:
            raise self.error(f"must have at most {most_bytes:,} bytes in all members, but declares {total:,}")

    def beginning(self, name: str, count: int) -> bytes:
        """Return the first ``count`` bytes of a member, or all if it is shorter; the CRC is not compared.

        Raises:
            error: the member is damaged.
        """
        return self._read(name, min(count, self.members[name].file_size))

    def read(self, name: str) -> bytes:
        """Return the bytes of a member, after comparing size and CRC-32 with the directory.

        Raises:
            error: the member is damaged.
        """
        info = self.members[name]
        data = self._read(name, info.file_size)
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise self.error(f"{DAMAGED}: member {name!r} differs in CRC or size from its zip directory")
        return data

    def _read(self, name: str, count: int) -> bytes:
        try:
            with self._zip.open(self.members[name]) as member:
                return member.read(count)
        except OSError:
            raise
        except MemoryError:
            raise self.error(f"member {name!r} must fit into memory, but does not") from None
        # ``zipfile`` raises exceptions of many classes for a damaged member.
        except Exception:
            raise self.error(f"{DAMAGED}: member {name!r} cannot be read") from None
