"""A stand-in for the core, with its streams and none of its arithmetic, and its model."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.words import answer_word_layout, input_word_layout


class StubCore(wiring.Component):
    """Sums the words of a sequence; word k of an answer is the sum plus k.

    ``wait`` cycles pass before an answer; with ``every_step`` false only the last step is answered.
    """

    def __init__(self, *, form: LinkFormat, wait: int = 0, every_step: bool = True):
        self._form = form
        self._wait = wait
        self._every_step = every_step
        super().__init__(
            {
                "i": In(stream.Signature(input_word_layout(form.word_format))),
                "o": Out(stream.Signature(answer_word_layout(form.answer_bits))),
            }
        )

    def elaborate(self, platform):
        """Return the hardware."""
        m = Module()
        total = Signal(signed(self._form.answer_bits))
        words_in = Signal(range(self._form.words_per_step))
        words_out = Signal(range(self._form.words_per_answer))
        last = Signal()
        timer = Signal(range(self._wait + 1))
        with m.FSM():
            with m.State("take"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    word = self.i.payload
                    m.d.sync += [words_in.eq(words_in + 1), last.eq(word.last)]
                    with m.If(word.first):
                        m.d.sync += total.eq(word.data)
                    with m.Else():
                        m.d.sync += total.eq(total + word.data)
                    with m.If(words_in == self._form.words_per_step - 1):
                        m.d.sync += [words_in.eq(0), timer.eq(self._wait)]
                        m.next = "wait"
            with m.State("wait"):
                m.d.sync += timer.eq(timer - 1)
                with m.If(timer == 0):
                    m.next = "give"
                    if not self._every_step:
                        with m.If(~last):
                            m.next = "take"
            with m.State("give"):
                final = words_out == self._form.words_per_answer - 1
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.data.eq(total + words_out),
                    self.o.payload.last.eq(last & final),
                ]
                with m.If(self.o.ready):
                    m.d.sync += words_out.eq(words_out + 1)
                    with m.If(final):
                        m.d.sync += words_out.eq(0)
                        m.next = "take"
        return m


def stub_answers(form, steps):
    """Return the answers of :class:`StubCore` to one sequence."""
    total, answers = 0, []
    half = 1 << (form.answer_bits - 1)
    for words in steps:
        total += sum(words)
        answers.append(
            tuple(((total + k + half) & (2 * half - 1)) - half for k in range(form.words_per_answer))
        )
    return answers
