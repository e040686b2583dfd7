"""An exchange with a board that misbehaves ends with what went wrong."""

import numpy as np
import pytest

from qornn_hw.boards.connection import BrokenError, Connection
from qornn_hw.boards.exchange import Exchange, Segment
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import (
    FaultCode,
    LinkFormat,
    encode_acknowledge,
    encode_answer,
    encode_fault,
)

FORM = LinkFormat(1, IntFormat(8, signed=True), 1, 8)


class Saying:
    """A transport with a board that says the same to whatever it gets."""

    name = "saying"

    def __init__(self, said):
        self.said = said

    def write(self, data):
        """Take bytes."""

    def read(self, seconds):
        """Say it, once."""
        data, self.said = self.said, b""
        return data

    def close(self):
        """Close."""


def play(said, steps=2):
    """Play a segment to a board that says ``said``; return the words of its answers."""
    connection = Connection(Saying(said), FORM, tag=0, timeout=0.01, retries=1)
    found = []
    Exchange(connection, [Segment(np.zeros((steps, 1), np.int64))], found.append, 8).play()
    return found[0].tolist()


def test_answers_in_order_are_accepted():
    """Two steps, two answers."""
    answers = encode_answer(FORM, [5], 0) + encode_answer(FORM, [-6], 1, last=True)
    assert play(answers) == [[5], [-6]]


@pytest.mark.parametrize("code", FaultCode)
def test_a_fault_has_its_code(code):
    """The code of the FAULT is that of the error; the text names it."""
    with pytest.raises(
        BrokenError, match=rf"^the board dropped a frame: {code.name.replace('_', ' ').lower()}$"
    ) as found:
        play(encode_fault(code))
    assert found.value.code is code


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"", "nothing came for 0.01 s"),
        (b"\xff", "bytes came that make no reply"),
        (encode_acknowledge(), "a reply came out of turn: Acknowledge"),
        (encode_answer(FORM, [1], 1), "answer 1 came out of turn"),
    ],
)
def test_what_is_no_fault_has_no_code(said, message):
    """Silence, garbage and replies out of turn break an exchange without a code."""
    with pytest.raises(BrokenError, match=f"^{message}$") as found:
        play(said)
    assert found.value.code is None
