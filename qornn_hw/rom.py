"""Memory images: words packed to their exact bits, as text and as bytes."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = ["RomImage", "pack_fields", "pack_weights", "side_by_side"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class RomImage:
    """The contents of one memory.

    Attributes:
        name: of the memory, unique in a design.
        width: bits of a word, at least 1.
        words: unsigned, word 0 first.
    """

    name: str
    width: int
    words: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.width < 1:
            raise FormatError(f"memory {self.name}: width must be at least 1, not {self.width!r}")
        for address, word in enumerate(self.words):
            if word < 0 or word >> self.width:
                raise FormatError(
                    f"memory {self.name}: word {address} must be unsigned and fit {self.width} bits, "
                    f"not {word!r}"
                )

    @property
    def depth(self) -> int:
        """Words."""
        return len(self.words)

    @property
    def bits(self) -> int:
        """Bits of the whole memory."""
        return self.width * self.depth

    @property
    def varying_columns(self) -> int:
        """Bits of a word that are not the same in all words: of the others synthesis makes no memory."""
        return reduce(or_, (word ^ self.words[0] for word in self.words), 0).bit_count()

    def flip(self, address: int, bit: int) -> "RomImage":
        """Return the image with one bit inverted, for benches that must notice it."""
        words = list(self.words)
        words[address] ^= 1 << bit
        return RomImage(self.name, self.width, tuple(words))

    def to_hex(self) -> str:
        """Return the text that Verilog's ``$readmemh`` reads: a word a line, digits for the full width."""
        digits = -(-self.width // 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.words)

    @classmethod
    def from_hex(cls, name: str, width: int, text: str) -> "RomImage":
        """Return the image that :meth:`to_hex` wrote."""
        try:
            return cls(name, width, tuple(int(line, 16) for line in text.split()))
        except ValueError as error:
            raise FormatError(f"memory {name}: every word must be hexadecimal: {error}") from error

    def to_bytes(self) -> bytes:
        """Return the words packed without gaps, word 0 in the lowest bits of byte 0, zero bits at the end."""
        packed = 0
        for address, word in enumerate(self.words):
            packed |= word << (address * self.width)
        return packed.to_bytes(-(-self.bits // 8), "little")

    @classmethod
    def from_bytes(cls, name: str, width: int, depth: int, data: bytes) -> "RomImage":
        """Return the image that :meth:`to_bytes` wrote."""
        if len(data) != -(-width * depth // 8):
            raise FormatError(
                f"memory {name}: {depth} words of {width} bits must come in {-(-width * depth // 8)} bytes, "
                f"not {len(data)}"
            )
        packed, mask = int.from_bytes(data, "little"), (1 << width) - 1
        if packed >> (width * depth):
            raise FormatError(f"memory {name}: the bits after the last word must be zero")
        return cls(name, width, tuple(packed >> (a * width) & mask for a in range(depth)))

    @property
    def digest(self) -> str:
        """SHA-256 of width, depth and contents, in hexadecimal."""
        return hashlib.sha256(f"{self.width} {self.depth}\n".encode() + self.to_bytes()).hexdigest()


def pack_fields(values: Iterable[int], widths: Sequence[int]) -> int:
    """Return a word with ``values`` in two's complement side by side, the first in the lowest bits.

    >>> hex(pack_fields([-1, 2], [4, 8]))
    '0x2f'
    """
    word = offset = 0
    for value, width in zip(values, widths, strict=True):
        if not -(1 << width) // 2 <= value < 1 << width:
            raise FormatError(f"a field of {width} bits must hold its value, not {value!r}")
        word |= (value & ((1 << width) - 1)) << offset
        offset += width
    return word


def pack_weights(weights: IntArray, bits: int) -> int:
    """Return a word with a row of weights, the first in the lowest bits.

    Weights of two or more bits are in two's complement. At one bit 0 stands for +1 and 1 for -1, the sign
    bit of either; a zero, which only pads an operand that is always zero, is stored as +1.

    >>> pack_weights(np.array([1, -1, -1]), 1), hex(pack_weights(np.array([1, -1, -8]), 4))
    (6, '0x8f1')
    """
    codes = [int(w < 0) for w in weights] if bits == 1 else [int(w) for w in weights]
    return pack_fields(codes, [bits] * len(codes))


def side_by_side(name: str, images: Sequence[RomImage]) -> RomImage:
    """Return a memory with the words of ``images`` beside each other, the first in the lowest bits."""
    words = [0] * images[0].depth
    offset = 0
    for image in images:
        words = [word | part << offset for word, part in zip(words, image.words, strict=True)]
        offset += image.width
    return RomImage(name, offset, tuple(words))
