"""The streams of the simple engine: a step's input in, the words of an answer out."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.rtl_gen.words import answer_word_layout, input_word_layout

__all__ = ["AnswerPort", "InputPort"]


class InputPort(wiring.Component):
    """Takes the words of a step while no program runs, then begins the program.

    Parameters:
        program: its input.

    Members:
        i: In(stream); the words of the input.
        done: In; the program ends in this cycle.
        taking: Out; no program runs.
        write: Out; the word on ``i`` is written.
        address: Out; where to.
        begin: Out; pulse, in the cycle behind the last word of a step.
        restart: Out; with ``begin``: the step is the first of a sequence, or behind a reset.
        last: Out; while the program runs: the step is the last one of a sequence.
    """

    def __init__(self, program: Program) -> None:
        self._words = program.input_words
        super().__init__(
            {
                "i": In(stream.Signature(input_word_layout(program.input_format))),
                "done": In(1),
                "taking": Out(1, init=1),
                "write": Out(1),
                "address": Out(range(program.input_words)),
                "begin": Out(1),
                "restart": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        after_reset = Signal(init=1)
        word = self.i.payload
        m.d.comb += [self.i.ready.eq(self.taking), self.write.eq(self.taking & self.i.valid)]
        m.d.sync += self.begin.eq(0)
        with m.If(self.write):
            m.d.sync += self.address.eq(self.address + 1)
            with m.If(self.address == 0):
                m.d.sync += [self.restart.eq(word.first | after_reset), after_reset.eq(0)]
            with m.If(self.address == self._words - 1):
                m.d.sync += [
                    self.address.eq(0),
                    self.last.eq(word.last),
                    self.taking.eq(0),
                    self.begin.eq(1),
                ]
        with m.If(self.done):
            m.d.sync += self.taking.eq(1)
        return m


class AnswerPort(wiring.Component):
    """Holds a word of an answer until it is taken.

    Parameters:
        program: its answers.

    Members:
        launch: In; the program issues the instruction that gives the next word; not while ``busy``.
        busy: Out; a word is on its way or waits.
        valid: In; the word is here.
        word: In(signed).
        last: In; it is the last one of the answer to the last step of a sequence.
        o: Out(stream); the words of the answers.
    """

    def __init__(self, program: Program) -> None:
        super().__init__(
            {
                "launch": In(1),
                "busy": Out(1),
                "valid": In(1),
                "word": In(signed(program.answer_bits)),
                "last": In(1),
                "o": Out(stream.Signature(answer_word_layout(program.answer_bits))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        with m.If(self.launch):
            m.d.sync += self.busy.eq(1)
        with m.If(self.valid):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.data.eq(self.word),
                self.o.payload.last.eq(self.last),
            ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), self.busy.eq(0)]
        return m
