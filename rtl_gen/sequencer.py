"""The sequencer: decides which rows enter the chain, and when."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.design import Design
from qornn_hw.network import OutputMode
from rtl_gen.processing_element import token_layout

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Launches column passes and walks their rows.

    Work to do is an *update* (the rows of ``[U W]``, when an input is there) and an *answer* (the rows of V,
    after an update that calls for one). Both use the state of the last update, so an answer and the next
    update share their passes if the next input is there in time and goes on from that state; otherwise the
    answer goes alone, and is never kept waiting for an input. A launch waits until the state is written
    back (``step_gap``), the pass before it has entered the chain (``period``), and for an answer until the
    output has room: the chain itself never stalls.

    Parameters:
        design: schedule and sizes.

    Members:
        input_ready: In; an input is complete in the buffer.
        input_first, input_last: In; that input begins or ends a sequence.
        input_taken: Out; pulse: the input has been loaded by all elements, the buffer may go on.
        room: In; the output has room for an answer.
        launch_answer: Out; pulse: an answer begins, its room is taken.
        word: Out; word to read from the operand memory: the one of element e two cycles before its token.
        initial: Out; the state words come from the initial state.
        token, addr, row, first_pass: Out; to the chain.

    Latency: decision to launch and ``word`` 1 cycle, launch to ``token`` 2 cycles.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        s = design.schedule
        super().__init__(
            {
                "input_ready": In(1),
                "input_first": In(1),
                "input_last": In(1),
                "input_taken": Out(1),
                "room": In(1),
                "launch_answer": Out(1),
                "word": Out(range(design.schedule.operand_half)),
                "initial": Out(1),
                "token": Out(token_layout()),
                "addr": Out(max(1, (s.passes * s.rows - 1).bit_length())),
                "row": Out(max(1, (s.rows - 1).bit_length())),
                "first_pass": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        s = self._design.schedule
        net = s.network
        n, p = net.hidden_size, net.output_size

        # -- decision: in the cycle before the launch, so that neither is long -----------------------
        # The end of a count permits the decision: a launch in cycle t permits the next launch in t + count.
        longest = max(s.joint_period, s.step_gap)
        period_left, period_over = Signal(range(longest)), Signal(init=1)
        gap_left, gap_over = Signal(range(longest)), Signal(init=1)
        launch = Signal()
        pass_index = Signal(range(s.passes))
        in_step = Signal()
        m.d.comb += in_step.eq(pass_index != 0)
        update, answer, last = Signal(), Signal(), Signal()
        # Reset stands before any sequence: the next update starts from the initial state, first or not.
        fresh = Signal(init=1)
        answer_due, due_last = Signal(), Signal()

        # The argmax follows its logits. An answer that goes alone, right behind the rows of another one,
        # leaves it a cycle.
        settled = Signal(init=1)
        m.d.sync += settled.eq(period_over & ~launch)

        wants_update, can_begin, begin, follow = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            wants_update.eq(self.input_ready & ~(answer_due & self.input_first)),
            can_begin.eq(Mux(answer_due, self.room & (wants_update | settled), self.input_ready)),
            begin.eq(~launch & ~in_step & period_over & gap_over & can_begin),
            follow.eq(~launch & in_step & period_over),
            self.launch_answer.eq(begin & answer_due),
        ]
        m.d.sync += launch.eq(begin | follow)
        with m.If(begin):
            m.d.sync += [
                update.eq(wants_update),
                answer.eq(answer_due),
                last.eq(due_last),
                answer_due.eq(0),
                self.initial.eq(wants_update & (self.input_first | fresh)),
            ]
            with m.If(wants_update):
                every = net.output_mode is OutputMode.EVERY_STEP
                m.d.sync += [
                    fresh.eq(0),
                    due_last.eq(self.input_last),
                    answer_due.eq(1 if every else self.input_last),
                ]

        # -- launch ----------------------------------------------------------------------------------
        final = Signal()
        m.d.comb += final.eq(pass_index == s.passes - 1)
        taking = Signal()
        with m.If(~period_over):
            m.d.sync += [period_left.eq(period_left - 1), period_over.eq(period_left == 1)]
        with m.If(~gap_over):
            m.d.sync += [gap_left.eq(gap_left - 1), gap_over.eq(gap_left == 1)]
        # The elements have loaded by then, a period being longer than the chain, and the decision two cycles
        # later sees the next input.
        m.d.sync += self.input_taken.eq(taking & (period_left == 3) & ~period_over)
        with m.If(self.input_taken):
            m.d.sync += taking.eq(0)
        with m.If(launch):
            m.d.sync += [
                pass_index.eq(Mux(final, 0, pass_index + 1)),
                period_left.eq(
                    Mux(update, Mux(answer, s.joint_period, s.update_period), s.answer_period) - 2
                ),
                period_over.eq(0),
            ]
            with m.If(final & update):
                m.d.sync += [gap_left.eq(s.step_gap - 2), gap_over.eq(0), taking.eq(1)]

        # -- operand words: one a cycle, an element after the other -------------------------------------
        word_base = Signal(range(self._design.schedule.operand_half + s.elements))
        with m.If(begin):
            m.d.sync += self.word.eq(0)
        with m.Elif(follow):
            m.d.sync += self.word.eq(word_base)
        with m.Else():
            m.d.sync += self.word.eq(self.word + 1)
        with m.If(launch):
            m.d.sync += word_base.eq(Mux(in_step, word_base, 0) + s.elements)

        # -- rows: one a cycle -----------------------------------------------------------------------
        pass_base = Signal(range(s.passes * s.rows + 1))
        base = Mux(in_step, pass_base, 0)
        rows_left = Signal(range(s.rows + 1))
        start = Signal()
        addr = Signal.like(self.addr)
        row = Signal.like(self.row)
        running = Signal.like(self.token)
        first_pass = Signal()
        m.d.sync += start.eq(launch)
        with m.If(launch):
            m.d.sync += [
                pass_base.eq(base + s.rows),
                addr.eq(base + Mux(update, 0, n)),
                row.eq(Mux(update, 0, n)),
                rows_left.eq(Mux(update, Mux(answer, n + p, n), p)),
                running.answer.eq(~update),
                running.final.eq(final),
                running.last.eq(last),
                first_pass.eq(~in_step),
            ]
        with m.Elif(rows_left != 0):
            m.d.sync += [addr.eq(addr + 1), row.eq(row + 1), rows_left.eq(rows_left - 1)]
        m.d.sync += [
            self.addr.eq(addr),
            self.row.eq(row),
            self.first_pass.eq(first_pass),
            self.token.eq(running),
            self.token.start.eq(start),
            self.token.valid.eq(rows_left != 0),
        ]
        return m
