"""Logits on their way out: argmax, and a queue that never makes the chain wait."""

from typing import Any, Self

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.ir.kinds import OutputKind
from qornn_hw.rtl_gen.queue import Queue, RegisterQueue
from qornn_hw.rtl_gen.words import answer_word_layout

__all__ = ["Answer"]


class Answer(wiring.Component):
    """Collects the logits of an answer and streams it out.

    The queue has room for ``timing.answers_held`` answers. Room is reserved when the sequencer launches an
    answer, long before its logits arrive: a slow reader holds up launches and nothing that is under way.

    Parameters:
        rows: logits p.
        kind: what of them is sent.
        logit_bits: bits of a logit.
        answer_bits: bits of a word of the answer.
        held: answers that the queue has room for.
        queue_depth: words of the queue's memory, a power of two; None for a queue in flip-flops.
        threshold: the class is 1 where the one logit is above it; None for the index of the largest.

    Members:
        logit: In; V g + c of a row of V.
        valid: In; there is one.
        last: In; with it: the answer belongs to the last step of a sequence.
        launch: In; pulse: an answer is launched.
        room: Out; there is room for one more.
        o: Out(stream); see :func:`qornn_hw.rtl_gen.words.answer_word_layout`; the words of each answer.
    """

    def __init__(
        self,
        *,
        rows: int,
        kind: OutputKind,
        logit_bits: int,
        answer_bits: int,
        held: int,
        queue_depth: int | None,
        threshold: int | None = None,
    ) -> None:
        self._rows, self._kind, self._threshold = rows, kind, threshold
        self._answer_bits, self._held, self._queue_depth = answer_bits, held, queue_depth
        super().__init__(
            {
                "logit": In(signed(logit_bits)),
                "valid": In(1),
                "last": In(1),
                "launch": In(1),
                "room": Out(1, init=1),
                "o": Out(stream.Signature(answer_word_layout(answer_bits))),
            }
        )

    @classmethod
    def of_design(cls, design: Design) -> Self:
        """Return the answers of a design on a chain."""
        s = ChainSchedule.of(design.schedule)
        return cls(
            rows=design.elman.output_size,
            kind=design.elman.output_kind,
            logit_bits=s.widths.logit_bits,
            answer_bits=s.widths.answer_bits,
            held=s.timing.answers_held,
            queue_depth=None if s.chain.answer_registers else s.timing.answer_queue_depth,
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        kind, held, width = self._kind, self._held, self._answer_bits + 1
        words = self._rows * kind.has_logits + int(kind.has_argmax)
        queue: Queue | RegisterQueue = (
            RegisterQueue(width=width, depth=held * words)
            if self._queue_depth is None
            else Queue(width=width, depth=self._queue_depth - 1)
        )
        m.submodules.queue = queue

        reserved = Signal(range(held * words + 1))
        leaves = self.o.valid & self.o.ready
        m.d.sync += reserved.eq(reserved + Mux(self.launch, words, 0) - leaves)
        # A cycle late; launches are further apart.
        m.d.sync += self.room.eq(reserved <= (held - 1) * words)

        row = Signal(range(self._rows))
        at_start = Signal(init=1)
        at_end = row == self._rows - 1
        with m.If(self.valid):
            m.d.sync += [row.eq(Mux(at_end, 0, row + 1)), at_start.eq(at_end)]

        layout = answer_word_layout(self._answer_bits)
        word = data.View(layout, queue.w_data)
        if kind.has_logits:
            m.d.comb += [
                word.data.eq(self.logit),
                word.last.eq(self.last & at_end & (not kind.has_argmax)),
                queue.w_en.eq(self.valid),
            ]
        if kind.has_argmax:
            largest = self._class(m, row, at_start)
            done, done_last = Signal(), Signal()
            m.d.sync += [done.eq(self.valid & at_end), done_last.eq(self.last)]
            # No logit can come in this cycle: the sequencer keeps answers a cycle apart.
            with m.If(done):
                m.d.comb += [word.data.eq(largest), word.last.eq(done_last), queue.w_en.eq(1)]
        output = data.View(layout, queue.o.payload)
        m.d.comb += [
            self.o.payload.eq(output),
            self.o.valid.eq(queue.o.valid),
            queue.o.ready.eq(self.o.ready),
        ]
        return m

    def _class(self, m: Module, row: Value, at_start: Value) -> Value:
        """Return the class, a cycle after the last logit."""
        if self._threshold is None:
            return self._index_of_largest(m, row, at_start)
        above = Signal()
        m.d.sync += above.eq(self.logit > self._threshold)
        return above

    def _index_of_largest(self, m: Module, row: Value, at_start: Value) -> Value:
        """Return the lowest index of the largest logit so far, a cycle after that logit.

        A logit is compared while the one before it is still to be judged, with both that it may have to beat;
        a cycle later it is known which of the two counts. So no cycle has more than a carry chain.
        """
        best, previous = Signal.like(self.logit), Signal.like(self.logit)
        index, previous_row = Signal.like(row), Signal.like(row)
        came, was_first, won = Signal(), Signal(), Signal()
        beats_best, beats_previous = Signal(), Signal()
        wins = came & (was_first | Mux(won, beats_previous, beats_best))
        m.d.sync += [
            previous.eq(self.logit),
            previous_row.eq(row),
            came.eq(self.valid),
            was_first.eq(at_start),
            won.eq(wins),
            # Strictly larger: the lowest index wins among equals. As signs, because synthesis gives a
            # difference a carry chain and a comparison a tree of LUTs.
            beats_best.eq((best - self.logit)[-1]),
            beats_previous.eq((previous - self.logit)[-1]),
        ]
        with m.If(wins):
            m.d.sync += [best.eq(previous), index.eq(previous_row)]
        return Mux(wins, previous_row, index)
