"""The words of an answer as bytes, the low byte first."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.words import answer_word_layout

__all__ = ["AnswerBytes"]


class AnswerBytes(wiring.Component):
    """Takes the words of an answer from the core and gives their bytes, sign-extended.

    Parameters:
        form: Sizes of an answer.

    Members:
        i: In(stream), see :func:`qornn_hw.rtl_gen.words.answer_word_layout`: Words from the core.
        start: In(1): Begin a new answer.
        next: In(1): Pulse: ``byte`` is sent. Only while ``there`` or ``aborted`` is high.
        aborted: In(1): The answer is filled up with any bytes; no word is taken from the core.
        there: Out(1): There is a word.
        byte: Out(8).
        word_done: Out(1): Pulse, with ``next``: it was the last byte of a word, and ``last`` is that word's.
        done: Out(1): Pulse, with ``next``: it was the last byte of the answer.
        last: Out(1).

    Latency: 1 cycle from ``i.valid`` to ``there``; ``i.ready`` one cycle after ``word_done``.
    """

    def __init__(self, *, form: LinkFormat) -> None:
        self._form = form
        super().__init__(
            {
                "i": In(stream.Signature(answer_word_layout(form.answer_bits))),
                "start": In(1),
                "next": In(1),
                "aborted": In(1),
                "there": Out(1),
                "byte": Out(8),
                "word_done": Out(1),
                "done": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        word_bytes = self._form.answer_word_bytes
        words_left = Signal(range(self._form.words_per_answer), reset_less=True)
        byte_at = Signal(range(word_bytes), reset_less=True)
        taken = Signal()
        extended = Signal(signed(8 * word_bytes))
        # Unsigned before a byte is picked: yosys 0.70 drops the copies of the sign from a signed operand of
        # a variable part select (its wreduce pass, on a $shift cell).
        word = extended.as_unsigned()
        m.d.comb += [
            extended.eq(self.i.payload.data),
            self.byte.eq(word.word_select(byte_at, 8)),
            self.word_done.eq(self.next & (byte_at == word_bytes - 1)),
            self.done.eq(self.word_done & (words_left == 0)),
            self.last.eq(self.i.payload.last),
            self.i.ready.eq(taken & ~self.aborted),
        ]
        # Registers between link and core in both directions.
        m.d.sync += [
            taken.eq(self.word_done),
            self.there.eq(self.i.valid & ~taken & ~self.word_done),
        ]
        with m.If(self.start):
            m.d.sync += words_left.eq(self._form.words_per_answer - 1)
        with m.Elif(self.word_done):
            m.d.sync += words_left.eq(words_left - 1)
        with m.If(self.start | self.word_done):
            m.d.sync += byte_at.eq(0)
        with m.Elif(self.next):
            m.d.sync += byte_at.eq(byte_at + 1)
        return m
