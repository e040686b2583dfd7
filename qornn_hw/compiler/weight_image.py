"""The image of weights that come into large memories after start-up: over the link, or from the flash.

    magic 4 bytes | version 1 | length 3 | design 8 | weights, ``length`` bytes | CRC-32 4 bytes

Numbers are little endian. ``design`` is the beginning of the design's digest: an image is of one design. The
weights come word after word of the memories, of each word memory after memory, two bytes, the lower first;
the number of memories is filled up with zeros to a power of two, at least 2. The CRC-32 is that of zlib, over
all before it.
"""

import zlib
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.family import SPRAM_WORD_BITS

__all__ = [
    "DIGEST_BYTES",
    "HEADER_BYTES",
    "MAGIC",
    "MOST_IMAGE_BYTES",
    "LoadStatus",
    "WeightFormat",
    "check_image",
    "encode_image",
]

MAGIC = b"QHWW"
VERSION = 1
LENGTH_BYTES = 3
DIGEST_BYTES = 8
HEADER_BYTES = len(MAGIC) + 1 + LENGTH_BYTES + DIGEST_BYTES
CRC_BYTES = 4
# Eight times the large memories of the largest device that has any.
MOST_IMAGE_BYTES = 1 << 20
# Of a word of a memory.
WORD_BYTES = SPRAM_WORD_BITS // 8


class LoadStatus(IntEnum):
    """What became of an image: the first thing that is wrong with it."""

    LOADED = 0
    BAD_MAGIC = 1
    BAD_VERSION = 2
    BAD_LENGTH = 3
    BAD_DESIGN = 4
    BAD_CHECKSUM = 5

    @classmethod
    def of_header_byte(cls, at: int) -> "LoadStatus":
        """Return what is wrong where byte ``at`` of the header is.

        >>> [LoadStatus.of_header_byte(at).name for at in (3, 4, 7, 8)]
        ['BAD_MAGIC', 'BAD_VERSION', 'BAD_LENGTH', 'BAD_DESIGN']
        """
        if at < len(MAGIC):
            return cls.BAD_MAGIC
        if at == len(MAGIC):
            return cls.BAD_VERSION
        return cls.BAD_LENGTH if at < HEADER_BYTES - DIGEST_BYTES else cls.BAD_DESIGN


@dataclass(frozen=True)
class WeightFormat:
    """What the board must find in an image of its design.

    Attributes:
        banks: large memories.
        depth: words of each.
        digest: the beginning of the design's digest.
    """

    banks: int
    depth: int
    digest: bytes

    @classmethod
    def of(cls, design: Design) -> Self | None:
        """Return the format of a design's image, None where its weights are in the bitstream."""
        s = design.schedule
        if not s.weight_banks:
            return None
        return cls(s.weight_banks, s.weight_depth, bytes.fromhex(design.digest)[:DIGEST_BYTES])

    @property
    def bank_bits(self) -> int:
        """Bits of the number of a memory in an image."""
        return max(1, (self.banks - 1).bit_length())

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights."""
        return self.depth * WORD_BYTES << self.bank_bits

    @property
    def header(self) -> bytes:
        """The bytes before the weights."""
        length = self.weight_bytes.to_bytes(LENGTH_BYTES, "little")
        return MAGIC + bytes([VERSION]) + length + self.digest


def encode_image(design: Design, digest: bytes | None = None) -> bytes:
    """Return the image of a design whose weights are in large memories.

    ``digest`` is what the board wants to read of the design, where it was built of another one.
    """
    form = WeightFormat.of(design)
    if form is None:
        raise ValueError("the design must have its weights in SPRAM to have an image of them")
    if digest is not None:
        form = replace(form, digest=digest)
    weights = bytearray(form.weight_bytes)
    stride = WORD_BYTES << form.bank_bits
    for bank, image in enumerate(design.weight_banks):
        for byte in range(WORD_BYTES):
            weights[bank * WORD_BYTES + byte :: stride] = bytes(w >> 8 * byte & 0xFF for w in image.words)
    body = form.header + bytes(weights)
    return body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")


def check_image(form: WeightFormat, image: bytes) -> LoadStatus:
    """Return what a board says of an image of the right size."""
    for at, (found, wanted) in enumerate(zip(image, form.header, strict=False)):
        if found != wanted:
            return LoadStatus.of_header_byte(at)
    body, crc = image[:-CRC_BYTES], image[-CRC_BYTES:]
    good = zlib.crc32(body) == int.from_bytes(crc, "little")
    return LoadStatus.LOADED if good else LoadStatus.BAD_CHECKSUM
