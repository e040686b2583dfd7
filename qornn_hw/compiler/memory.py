"""Memories of a core: one declaration of name, fields and depth, from which everything else is derived.

Packing, the slices of a word in the gateware, planted faults, the weight banks and the block RAMs of an
estimate all come from :class:`Memory`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Self

from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import FormatError

__all__ = ["Field", "Memory"]

# Words of the smallest block RAM at its greatest width; a memory of more words takes more blocks.
WORDS_OF_A_BLOCK = 256


@dataclass(frozen=True)
class Field:
    """A number in a word of a memory.

    Attributes:
        name: of the field, unique in its memory.
        bits: its width, at least 1.
        signed: whether the number is in two's complement.
    """

    name: str
    bits: int
    signed: bool = True

    def encode(self, value: int) -> int:
        """Return the bits of a number.

        Raises:
            FormatError: the field cannot hold it.
        """
        low, high = (-(1 << self.bits) // 2, 1 << (self.bits - 1)) if self.signed else (0, 1 << self.bits)
        if not low <= value < high:
            raise FormatError(f"field {self.name} of {self.bits} bits must hold its value, not {value!r}")
        return value & ((1 << self.bits) - 1)

    def decode(self, code: int) -> int:
        """Return the number whose bits are ``code``."""
        return code - (1 << self.bits) if self.signed and code >> (self.bits - 1) & 1 else code


@dataclass(frozen=True)
class Memory:
    """A memory of a core: its layout, and its contents where it starts with any.

    Attributes:
        name: of the memory, unique in a design.
        fields: of a word, the first in the lowest bits.
        depth: words.
        words: the contents, unsigned, word 0 first; empty for a memory that starts with no contents.
        store: the kind of memory.
        written: whether the core writes it; a memory that is only read is a ROM.
        field_enables: whether each field of a word has a write enable of its own.

    >>> memory = Memory.of("known", (Field("low", 4), Field("high", 4, signed=False)), [[-1, 2], [3, 15]])
    >>> memory.width, [hex(word) for word in memory.words], memory.value(0, "low")
    (8, ['0x2f', '0xf3'], -1)
    """

    name: str
    fields: tuple[Field, ...]
    depth: int
    words: tuple[int, ...] = ()
    store: WeightStore = WeightStore.BLOCK_RAM
    written: bool = False
    field_enables: bool = False

    def __post_init__(self) -> None:
        if not self.fields or min(field.bits for field in self.fields) < 1:
            width = min((field.bits for field in self.fields), default=0)
            raise FormatError(f"memory {self.name}: width must be at least 1, not {width}")
        if len({field.name for field in self.fields}) != len(self.fields):
            raise FormatError(f"memory {self.name}: the names of its fields must differ")
        if self.words and len(self.words) != self.depth:
            raise FormatError(
                f"memory {self.name}: contents must have {self.depth} words, not {len(self.words)}"
            )
        width = self.width
        for address, word in enumerate(self.words):
            if word < 0 or word >> width:
                raise FormatError(
                    f"memory {self.name}: word {address} must be unsigned and fit {width} bits, not {word!r}"
                )

    @classmethod
    def plain(cls, name: str, width: int, words: Iterable[int]) -> Self:
        """Return a memory with one unsigned field, ``word``."""
        contents = tuple(words)
        return cls(name, (Field("word", width, signed=False),), len(contents), contents)

    @classmethod
    def of(cls, name: str, fields: Sequence[Field], rows: Iterable[Sequence[int]]) -> Self:
        """Return a memory with the given numbers, a sequence of one number a field for each word."""
        layout = tuple(fields)
        return cls(name, layout, len(words := tuple(_pack(layout, row) for row in rows)), words)

    def holding(self, rows: Iterable[Sequence[int]]) -> Self:
        """Return the memory with the given numbers as its contents."""
        return replace(self, words=tuple(_pack(self.fields, row) for row in rows))

    # -- layout ---------------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Bits of a word."""
        return sum(field.bits for field in self.fields)

    @property
    def bits(self) -> int:
        """Bits of the whole memory."""
        return self.width * self.depth

    @property
    def offsets(self) -> dict[str, int]:
        """The lowest bit of each field in a word."""
        ends = accumulate((field.bits for field in self.fields), initial=0)
        return {field.name: end for field, end in zip(self.fields, ends, strict=False)}

    def has(self, name: str) -> bool:
        """Return whether a word has the field."""
        return any(field.name == name for field in self.fields)

    def field(self, name: str) -> Field:
        """Return a field; a KeyError if there is none of the name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    # -- contents -------------------------------------------------------------------------------------

    @property
    def varying_columns(self) -> int:
        """Bits of a word that differ among the words; synthesis makes no memory of the others."""
        return reduce(or_, (word ^ self.words[0] for word in self.words), 0).bit_count()

    def value(self, address: int, name: str) -> int:
        """Return the number in a field of a word."""
        field = self.field(name)
        return field.decode(self.words[address] >> self.offsets[name] & ((1 << field.bits) - 1))

    def flip(self, address: int, bit: int) -> Self:
        """Return the memory with one bit of its contents inverted."""
        words = list(self.words)
        words[address] ^= 1 << bit
        return replace(self, words=tuple(words))

    def with_words(self, words: Iterable[int]) -> Self:
        """Return the memory with other contents, as many words as they are."""
        contents = tuple(words)
        return replace(self, words=contents, depth=len(contents))

    def with_all_columns(self) -> Self:
        """Return the memory with one more word, whose bits are unlike those of word 0.

        Synthesis leaves out a bit that is the same in all words, and other contents may need it. A memory
        that fills its blocks stays as it is: it hardly has such a bit.
        """
        if self.depth % WORDS_OF_A_BLOCK == 0:
            return self
        return self.with_words((*self.words, self.words[0] ^ ((1 << self.width) - 1)))

    @property
    def digest(self) -> str:
        """SHA-256 of layout and contents, in hexadecimal."""
        fields = [(field.name, field.bits, field.signed) for field in self.fields]
        facts = repr((self.name, fields, self.depth, str(self.store), self.written, self.field_enables))
        return hashlib.sha256(f"{facts}\n".encode() + self.to_bytes()).hexdigest()

    # -- files ----------------------------------------------------------------------------------------

    def to_hex(self) -> str:
        """Return the text that Verilog's ``$readmemh`` reads: a word a line, digits for the full width."""
        digits = -(-self.width // 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.words)

    def to_bytes(self) -> bytes:
        """Return the words packed without gaps, word 0 in the lowest bits of byte 0, zero bits at the end."""
        packed, width = 0, self.width
        for address, word in enumerate(self.words):
            packed |= word << (address * width)
        return packed.to_bytes(-(-width * len(self.words) // 8), "little")

    @classmethod
    def from_bytes(cls, name: str, width: int, depth: int, data: bytes) -> Self:
        """Return the memory, of one field, that :meth:`to_bytes` wrote."""
        if len(data) != -(-width * depth // 8):
            raise FormatError(
                f"memory {name}: {depth} words of {width} bits must come in {-(-width * depth // 8)} bytes, "
                f"not {len(data)}"
            )
        packed, mask = int.from_bytes(data, "little"), (1 << width) - 1
        if packed >> (width * depth):
            raise FormatError(f"memory {name}: the bits after the last word must be zero")
        return cls.plain(name, width, (packed >> (a * width) & mask for a in range(depth)))


def _pack(fields: tuple[Field, ...], values: Sequence[int]) -> int:
    word = offset = 0
    for field, value in zip(fields, values, strict=True):
        word |= field.encode(int(value)) << offset
        offset += field.bits
    return word
