"""Committed bytes of steps to the words on a core's input stream."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.step_buffer import step_read_signature
from qornn_hw.rtl_gen.words import input_word_layout

__all__ = ["StepFeeder"]


class StepFeeder(wiring.Component):
    """Reads a step's flags and words from the buffer and offers the words to the core.

    Parameters:
        form: Sizes of a step.

    Members:
        buffer: Out(:func:`qornn_hw.rtl_gen.links.step_buffer.step_read_signature`): For each step its
            command, whose low bits are the flags FIRST, LAST and ACKNOWLEDGE, then its words, the low byte
            first. A commit covers whole steps.
        o: Out(stream), see :func:`qornn_hw.rtl_gen.words.input_word_layout`: The words. ``first`` only with
            the first word of a sequence, ``last`` only with its last word.
        reset: In(1): Drop the step in progress. The buffer is cleared in the same cycle.
        acknowledge: Out(1): Pulse: the core has taken the last word of a step with ACKNOWLEDGE.
        busy: Out(1): A step is in progress or waits.

    Latency: the first word, of b bytes, is offered ``3 + 2 b`` cycles after ``available`` rises. Throughput:
    one word in ``2 b`` cycles, less if the core stalls.
    """

    def __init__(self, *, form: LinkFormat) -> None:
        self._form = form
        super().__init__(
            {
                "buffer": Out(step_read_signature()),
                "o": Out(stream.Signature(input_word_layout(form.word_format))),
                "reset": In(1),
                "acknowledge": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Registers without a reset are always written before they are read.
        words_left = Signal(range(self._form.words_per_step), reset_less=True)
        bytes_left = Signal(range(self._form.word_bytes), reset_less=True)
        at_first_word = Signal(reset_less=True)
        first, last, wants_acknowledge = (
            Signal(name=name, reset_less=True) for name in ("first", "last", "wants_acknowledge")
        )
        # In flip-flops: the access time of a block RAM of an ECP5 is most of a cycle.
        word = Signal(8 * self._form.word_bytes, reset_less=True)
        # A register, because two words are at least two cycles apart.
        final = Signal()
        waiting, complete, word_done = Signal(), Signal(), Signal()
        m.d.sync += final.eq(words_left == 0)
        m.d.comb += [
            self.o.payload.data.eq(word),
            self.o.payload.first.eq(first & at_first_word),
            self.o.payload.last.eq(last & final),
            self.o.valid.eq(complete),
            self.acknowledge.eq(word_done & final & wants_acknowledge),
        ]
        idle, flags = self._states(m, waiting, complete, word_done, final, bytes_left)
        with m.If(flags):
            m.d.sync += Cat(first, last, wants_acknowledge).eq(self.buffer.data)
        # One cycle late: evaluated at the earliest in the cycle after the last byte of a step was read.
        m.d.sync += waiting.eq(idle & self.buffer.available & ~self.reset)
        m.d.comb += self.busy.eq(waiting | ~idle)
        with m.If(self.buffer.next):
            m.d.sync += word.eq(Cat(word, self.buffer.data)[8:])
        with m.If(flags | word_done):
            m.d.sync += bytes_left.eq(self._form.word_bytes - 1)
        with m.Elif(self.buffer.next):
            m.d.sync += bytes_left.eq(bytes_left - 1)
        with m.If(idle):
            m.d.sync += [words_left.eq(self._form.words_per_step - 1), at_first_word.eq(1)]
        with m.Elif(word_done):
            m.d.sync += [words_left.eq(words_left - 1), at_first_word.eq(0)]
        return m

    def _states(
        self,
        m: Module,
        waiting: Signal,
        complete: Signal,
        word_done: Signal,
        final: Signal,
        bytes_left: Signal,
    ) -> tuple[Any, Any]:
        """Add the states; return whether they are in "idle" and in "flags"."""
        with m.FSM(name="feed") as fsm:
            with m.State("idle"):
                with m.If(waiting & ~self.reset):
                    m.next = "flags"
            with m.State("flags"):
                m.d.comb += self.buffer.next.eq(1)
                m.next = "fetch"
                with m.If(self.reset):
                    m.next = "idle"
            with m.State("fetch"):
                m.next = "byte"
                with m.If(self.reset):
                    m.next = "idle"
            with m.State("byte"):
                m.d.comb += self.buffer.next.eq(1)
                m.next = "fetch"
                with m.If(bytes_left == 0):
                    m.next = "offer"
                m.d.sync += complete.eq((bytes_left == 0) & ~self.reset)
                with m.If(self.reset):
                    m.next = "idle"
            # The buffer fetches the first byte of the next word meanwhile.
            with m.State("offer"):
                m.d.comb += word_done.eq(self.o.ready)
                with m.If(word_done | self.reset):
                    m.d.sync += complete.eq(0)
                    m.next = "byte"
                with m.If((word_done & final) | self.reset):
                    m.next = "idle"
            return fsm.ongoing("idle"), fsm.ongoing("flags")
