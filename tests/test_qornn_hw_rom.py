"""Memory images: packing and its way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qornn_hw.errors import FormatError
from qornn_hw.rom import RomImage, pack_fields, pack_weights


@st.composite
def images(draw):
    """Draw any image."""
    width = draw(st.integers(1, 70))
    words = draw(st.lists(st.integers(0, (1 << width) - 1), max_size=40))
    return RomImage("any", width, tuple(words))


@given(images())
def test_round_trips(image):
    """Text and bytes both give back the image."""
    assert RomImage.from_hex("any", image.width, image.to_hex()) == image
    assert RomImage.from_bytes("any", image.width, image.depth, image.to_bytes()) == image


@given(images())
def test_bytes_are_packed_without_gaps(image):
    """The packed image takes its bits, rounded up to a byte, and no more."""
    assert len(image.to_bytes()) == -(-image.bits // 8)


def test_known_packing():
    """Three 4-bit words fill a byte and a half, the first in the low bits."""
    image = RomImage("known", 4, (1, 2, 15))
    assert image.to_bytes() == b"\x21\x0f"
    assert image.to_hex() == "1\n2\nf\n"


def test_digest_sees_every_bit():
    """Any flipped bit, and the same bits in another shape, give another digest."""
    image = RomImage("d", 4, (1, 2, 15))
    digests = {image.flip(a, b).digest for a in range(3) for b in range(4)}
    assert len(digests | {image.digest, RomImage("d", 6, (33, 60)).digest}) == 14


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RomImage("r", 0, ()), "memory r: width must be at least 1, not 0"),
        (lambda: RomImage("r", 4, (3, 16)), "memory r: word 1 must be unsigned and fit 4 bits, not 16"),
        (lambda: RomImage("r", 4, (-1,)), "memory r: word 0 must be unsigned and fit 4 bits, not -1"),
        (
            lambda: RomImage.from_bytes("r", 4, 3, b"\x21"),
            "memory r: 3 words of 4 bits must come in 2 bytes, not 1",
        ),
        (
            lambda: RomImage.from_bytes("r", 4, 3, b"\x21\x1f"),
            "memory r: the bits after the last word must be zero",
        ),
        (lambda: pack_fields([8], [3]), "a field of 3 bits must hold its value, not 8"),
        (lambda: pack_fields([-5], [3]), "a field of 3 bits must hold its value, not -5"),
    ],
)
def test_refusals(call, message):
    """What does not fit is refused with its place."""
    with pytest.raises(FormatError) as error:
        call()
    assert str(error.value) == message


def test_text_must_be_hexadecimal():
    """A word that is no number is refused."""
    with pytest.raises(FormatError, match=r"^memory r: every word must be hexadecimal: "):
        RomImage.from_hex("r", 4, "1\nx\n")


@pytest.mark.parametrize("bits", range(1, 9))
def test_weights_unpack_to_themselves(bits):
    """Every weight of every width comes back from its code."""
    low, high = (-1, 1) if bits == 1 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    weights = np.array([w for w in range(low, high + 1) if bits > 1 or w])
    word = pack_weights(weights, bits)
    codes = [word >> (i * bits) & ((1 << bits) - 1) for i in range(len(weights))]
    if bits == 1:
        back = [-1 if code else 1 for code in codes]
    else:
        back = [code - (1 << bits) if code >> (bits - 1) else code for code in codes]
    assert back == weights.tolist()


@given(images())
def test_varying_columns(image):
    """A column counts where two words differ in it."""
    columns = ({word >> bit & 1 for word in image.words} for bit in range(image.width))
    assert image.varying_columns == sum(len(seen) == 2 for seen in columns)
