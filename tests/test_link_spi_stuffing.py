"""Byte stuffing: any bytes come back, from any pieces, with idle bytes anywhere between."""

import random

import pytest

from qornn_hw.link.spi.stuffing import ESCAPE, FLIP, IDLE, Unstuffer, stuff


def check(data, rng, unstuffer):
    """Stuffed bytes with idle ones between, in random pieces, are the bytes."""
    wire = b"".join(bytes([IDLE]) * rng.choice([0, 0, 0, 1, 5]) + bytes([b]) for b in stuff(data))
    got = b""
    while wire:
        size = rng.randrange(1, 9)
        got += unstuffer.feed(wire[:size])
        wire = wire[size:]
    assert got == data


def test_every_pair_of_bytes_comes_back():
    """All 65536 pairs, one after the other."""
    rng, unstuffer = random.Random(1), Unstuffer()
    for first in range(256):
        check(bytes(b for second in range(256) for b in (first, second)), rng, unstuffer)


def test_no_idle_byte_is_sent_for_a_byte():
    """Only IDLE and ESCAPE take two bytes, and neither of the two is IDLE."""
    for byte in range(256):
        wire = stuff(bytes([byte]))
        assert IDLE not in wire
        assert len(wire) == 1 + (byte in (IDLE, ESCAPE))


def test_a_lost_escape_is_noticed():
    """Planted fault: an unstuffer that forgets an ESCAPE at the end of a piece."""

    class Forgetful(Unstuffer):
        def feed(self, wire):
            """Forget."""
            self._escaped = False
            return super().feed(wire)

    with pytest.raises(AssertionError):
        check(bytes([IDLE] * 20), random.Random(2), Forgetful())
    assert ESCAPE ^ FLIP not in (IDLE, ESCAPE)
