"""Memories: layouts, packing and its way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packing import pack_fields

from qornn_hw.compiler.memory import Field, Memory
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import FormatError


@st.composite
def images(draw):
    """Draw any image."""
    width = draw(st.integers(1, 70))
    words = draw(st.lists(st.integers(0, (1 << width) - 1), max_size=40))
    return Memory.plain("any", width, tuple(words))


@given(images())
def test_round_trips(image):
    """Text and bytes both give back the words."""
    assert tuple(int(line, 16) for line in image.to_hex().split()) == image.words
    assert Memory.from_bytes("any", image.width, image.depth, image.to_bytes()) == image


@given(images())
def test_bytes_are_packed_without_gaps(image):
    """The packed image takes its bits, rounded up to a byte, and no more."""
    assert len(image.to_bytes()) == -(-image.bits // 8)


def test_known_packing():
    """Three 4-bit words fill a byte and a half, the first in the low bits."""
    image = Memory.plain("known", 4, (1, 2, 15))
    assert image.to_bytes() == b"\x21\x0f"
    assert image.to_hex() == "1\n2\nf\n"


def test_digest_sees_every_bit():
    """Any flipped bit, and the same bits in another shape, give another digest."""
    image = Memory.plain("d", 4, (1, 2, 15))
    digests = {image.flip(a, b).digest for a in range(3) for b in range(4)}
    assert len(digests | {image.digest, Memory.plain("d", 6, (33, 60)).digest}) == 14


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Memory.plain("r", 0, ()), "memory r: width must be at least 1, not 0"),
        (lambda: Memory.plain("r", 4, (3, 16)), "memory r: word 1 must be unsigned and fit 4 bits, not 16"),
        (lambda: Memory.plain("r", 4, (-1,)), "memory r: word 0 must be unsigned and fit 4 bits, not -1"),
        (
            lambda: Memory.from_bytes("r", 4, 3, b"\x21"),
            "memory r: 3 words of 4 bits must come in 2 bytes, not 1",
        ),
        (
            lambda: Memory.from_bytes("r", 4, 3, b"\x21\x1f"),
            "memory r: the bits after the last word must be zero",
        ),
        (lambda: Field("f", 3).encode(4), "field f of 3 bits must hold its value, not 4"),
        (lambda: Field("f", 3).encode(-5), "field f of 3 bits must hold its value, not -5"),
        (lambda: Field("f", 3, signed=False).encode(8), "field f of 3 bits must hold its value, not 8"),
        (lambda: Field("f", 3, signed=False).encode(-1), "field f of 3 bits must hold its value, not -1"),
        (lambda: Memory("r", (), 4), "memory r: width must be at least 1, not 0"),
        (
            lambda: Memory("r", (Field("a", 1), Field("a", 2)), 4),
            "memory r: the names of its fields must differ",
        ),
        (
            lambda: Memory("r", (Field("a", 1),), 4, (0, 1)),
            "memory r: contents must have 4 words, not 2",
        ),
    ],
)
def test_refusals(call, message):
    """What does not fit is refused with its place."""
    with pytest.raises(FormatError) as error:
        call()
    assert str(error.value) == message


@st.composite
def layouts(draw):
    """Draw fields, and numbers that they hold."""
    bits = draw(st.lists(st.integers(1, 20), min_size=1, max_size=6))
    fields = [Field(f"f{i}", width, signed=draw(st.booleans())) for i, width in enumerate(bits)]
    numbers = st.tuples(
        *(
            st.integers(-(1 << (f.bits - 1)), (1 << (f.bits - 1)) - 1)
            if f.signed
            else st.integers(0, (1 << f.bits) - 1)
            for f in fields
        )
    )
    return fields, draw(st.lists(numbers, min_size=1, max_size=8))


@given(layouts())
def test_numbers_come_back_from_their_fields(drawn):
    """Every number is where its field says, and the words are those of another way to pack them."""
    fields, rows = drawn
    memory = Memory.of("m", fields, rows)
    assert memory.words == tuple(pack_fields(row, [f.bits for f in fields]) for row in rows)
    for address, row in enumerate(rows):
        assert [memory.value(address, f.name) for f in fields] == list(row)
    assert Memory("m", tuple(fields), len(rows)).holding(rows) == memory


@given(layouts())
def test_a_flipped_bit_changes_the_field_that_has_it(drawn):
    """The lowest bit of each field changes the number of that field by one, and no other number."""
    fields, rows = drawn
    memory = Memory.of("m", fields, rows)
    for field in fields:
        flipped = memory.flip(0, memory.offsets[field.name])
        changed = [f.name for f in fields if flipped.value(0, f.name) != memory.value(0, f.name)]
        assert changed == [field.name]


def test_digest_sees_the_layout():
    """The same words with another name, field, sign, kind of memory or way to write have another digest."""
    fields = (Field("a", 2), Field("b", 2))
    same = Memory("m", fields, 2, (1, 7))
    others = [
        Memory("n", fields, 2, (1, 7)),
        Memory("m", (Field("a", 3), Field("b", 1)), 2, (1, 7)),
        Memory("m", (Field("a", 2, signed=False), Field("b", 2)), 2, (1, 7)),
        Memory("m", (Field("a", 2), Field("c", 2)), 2, (1, 7)),
        Memory("m", fields, 2, (1, 7), store=WeightStore.SPRAM),
        Memory("m", fields, 2, (1, 7), written=True),
        Memory("m", fields, 2, (1, 7), field_enables=True),
    ]
    assert len({memory.digest for memory in [same, *others]}) == len(others) + 1


def test_all_columns_vary_with_one_more_word():
    """A memory with constant columns gets a word that differs from word 0 in all of them."""
    memory = Memory.plain("m", 4, [5] * 10).with_all_columns()
    assert (memory.words[-1], memory.depth, memory.varying_columns) == (10, 11, 4)
    full = Memory.plain("m", 4, [5] * 256)
    assert full.with_all_columns() is full


@given(images())
def test_varying_columns(image):
    """A column counts where two words differ in it."""
    columns = ({word >> bit & 1 for word in image.words} for bit in range(image.width))
    assert image.varying_columns == sum(len(seen) == 2 for seen in columns)
