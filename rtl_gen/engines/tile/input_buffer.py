"""The input of a step, taken while the step before is computed."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.ir.formats import IntFormat
from qornn_hw.rtl_gen.words import input_word_layout

__all__ = ["InputBuffer"]


class InputBuffer(wiring.Component):
    """Counts the words of a step into one of two banks, and tells when the next bank is full.

    Parameters:
        form: of a word.
        words: of a step.

    Members:
        i: In(stream); the words.
        blocked_next: In; no word is taken in the next cycle.
        busy: In; a step is computed, with the bank ``use``.
        done: In; pulse: the bank ``use`` is free again.
        write: Out; the word on ``i`` is taken.
        index: Out; which word of its step it is.
        fill: Out; the bank that it goes to.
        use: Out; the bank of the step that is computed, or of the next one.
        full: Out; the bank of the next step is full.
        symbol: Out; the last word of the bank ``use``: all of it, where a step has one word.
        first, last: Out; of the next step: it begins, it ends a sequence. The first step behind a reset
            begins one.
    """

    def __init__(self, *, form: IntFormat, words: int) -> None:
        self._words = words
        super().__init__(
            {
                "i": In(stream.Signature(input_word_layout(form))),
                "blocked_next": In(1),
                "busy": In(1),
                "done": In(1),
                "write": Out(1),
                "index": Out(range(words)),
                "fill": Out(1),
                "use": Out(1),
                "full": Out(1),
                "symbol": Out(form.bits),
                "first": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        full = [Signal(name=f"full_{bank}") for bank in range(2)]
        first = [Signal(name=f"first_{bank}", reset_less=True) for bank in range(2)]
        last = [Signal(name=f"last_{bank}", reset_less=True) for bank in range(2)]
        symbol = [Signal.like(self.symbol, name=f"symbol_{bank}", reset_less=True) for bank in range(2)]
        # A register, as the stream has more logic behind it.
        after_reset, ready = Signal(init=1), Signal(init=1)
        word, upcoming = self.i.payload, self.use ^ self.busy
        m.d.comb += [
            self.i.ready.eq(ready),
            self.write.eq(ready & self.i.valid),
            self.full.eq(Mux(upcoming, full[1], full[0])),
            self.first.eq(Mux(upcoming, first[1], first[0])),
            self.last.eq(Mux(upcoming, last[1], last[0])),
            self.symbol.eq(Mux(self.use, symbol[1], symbol[0])),
        ]
        left = [full[bank] & ~(self.done & (self.use == bank)) for bank in range(2)]
        filled = self.write & (self.index == self._words - 1)
        m.d.sync += ready.eq(~Mux(self.fill ^ filled, left[1], left[0]) & ~self.blocked_next)
        for bank in range(2):
            with m.If(self.done & (self.use == bank)):
                m.d.sync += full[bank].eq(0)
            with m.If(self.write & (self.fill == bank)):
                m.d.sync += symbol[bank].eq(word.data)
                with m.If(self.index == 0):
                    m.d.sync += [first[bank].eq(word.first | after_reset), after_reset.eq(0)]
                with m.If(self.index == self._words - 1):
                    m.d.sync += [full[bank].eq(1), last[bank].eq(word.last)]
        with m.If(self.done):
            m.d.sync += self.use.eq(~self.use)
        with m.If(self.write):
            m.d.sync += self.index.eq(self.index + 1)
            with m.If(self.index == self._words - 1):
                m.d.sync += [self.index.eq(0), self.fill.eq(~self.fill)]
        return m
