"""The sequencer: decides which rows enter the chain, and when."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.design import Design
from qornn_hw.network import OutputMode
from rtl_gen.processing_element import token_layout

__all__ = ["Sequencer", "pass_layout"]


def pass_layout() -> data.StructLayout:
    """Return what the tail must know of a pass; it stays from its launch to the next one.

    Fields:
        answer: the pass begins with the rows of V; with a readout: the step calls for an answer.
        final: last column pass of the step; the sums that leave the chain are complete.
        last: the answer belongs to the last step of a sequence.
    """
    return data.StructLayout({"answer": 1, "final": 1, "last": 1})


class Sequencer(wiring.Component):
    """Launches column passes and walks their rows.

    Work to do is an *update* (the rows of ``[U W]``, when an input is there) and an *answer* (the rows of V,
    after an update that calls for one). Both use the state of the last update, so an answer and the next
    update share their passes if the next input is there in time and goes on from that state; otherwise the
    answer goes alone, and is never kept waiting for an input. A launch waits until the state is written
    back (``step_gap``), the pass before it has entered the chain (``period``), and for an answer until the
    output has room: the chain itself never stalls.

    With a readout there are updates alone: one that calls for an answer waits for room, and the next one for
    the readout (``answer_gap``).

    Parameters:
        design: schedule and sizes.

    Members:
        input_ready: In; an input is complete in the buffer.
        input_first, input_last: In; that input begins or ends a sequence.
        input_taken: Out; pulse: the input has been loaded by all elements, the buffer may go on.
        room: In; the output has room for an answer.
        launch_answer: Out; pulse: an answer begins, its room is taken; in the cycle of the launch.
        word: Out; word to read from the operand memory: the one of element e two cycles before its token.
        initial: Out; the state words come from the initial state.
        token, addr, row, first_pass: Out; to the chain.
        running: Out; the pass that runs, :func:`pass_layout`. The token leaves the chain before the next
            launch: what it has to say of its pass is read here then, and does not travel.

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
                "running": Out(pass_layout()),
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
        longest = max(s.joint_period, s.answer_gap)
        # What a launch or a decision writes before it is looked at has no reset: with an enable it costs a
        # cell, and a long way from where the reset comes from.
        period_count, period_over = Signal(range(longest), reset_less=True), Signal(init=1)
        # Counted up: a counter that takes one of several numbers has no whole carry chain on an iCE40.
        gap_count, gap_of_answer = Signal(range(longest), reset_less=True), Signal(reset_less=True)
        gap_over = Signal(init=1)
        launch = Signal()
        pass_index = Signal(range(s.passes))
        # Whether a pass of the step is launched already, that is ``pass_index != 0``.
        in_step = Signal()
        update, answer, last = (Signal(name=n, reset_less=True) for n in ("update", "answer", "last"))
        # Reset stands before any sequence: the next update starts from the initial state, first or not.
        fresh = Signal(init=1)
        answer_due, due_last = Signal(), Signal(reset_less=True)

        # The argmax follows its logits. An answer that goes alone, right behind the rows of another one,
        # leaves it a cycle.
        settled = Signal(init=1)
        m.d.sync += settled.eq(period_over & ~launch)

        wants_update, can_begin, begin, follow = Signal(), Signal(), Signal(), Signal()
        every = net.output_mode is OutputMode.EVERY_STEP
        calls = Signal()
        m.d.comb += [
            begin.eq(~launch & ~in_step & period_over & gap_over & can_begin),
            follow.eq(~launch & in_step & period_over),
        ]
        if s.readout_lanes:
            m.d.comb += [
                calls.eq(1 if every else self.input_last),
                wants_update.eq(self.input_ready),
                can_begin.eq(self.input_ready & (self.room | ~calls)),
            ]
        else:
            m.d.comb += [
                wants_update.eq(self.input_ready & ~(answer_due & self.input_first)),
                can_begin.eq(Mux(answer_due, self.room & (wants_update | settled), self.input_ready)),
            ]
        m.d.sync += launch.eq(begin | follow)
        # From a flip-flop. A period is long enough for ``room`` to follow before the next decision.
        m.d.sync += self.launch_answer.eq(begin & (calls if s.readout_lanes else answer_due))
        # What a step shall be is known before it may begin, which is the longer way.
        with m.If(~launch & ~in_step & period_over):
            m.d.sync += self.initial.eq(wants_update & (self.input_first | fresh))
            if s.readout_lanes:
                m.d.sync += [update.eq(1), answer.eq(calls), last.eq(self.input_last)]
            else:
                m.d.sync += [update.eq(wants_update), answer.eq(answer_due), last.eq(due_last)]
        with m.If(begin):
            if s.readout_lanes:
                m.d.sync += fresh.eq(0)
            else:
                m.d.sync += answer_due.eq(0)
                with m.If(wants_update):
                    m.d.sync += [
                        fresh.eq(0),
                        due_last.eq(self.input_last),
                        answer_due.eq(1 if every else self.input_last),
                    ]

        # -- launch ----------------------------------------------------------------------------------
        final = Signal()
        m.d.comb += final.eq(pass_index == s.passes - 1)
        taking = Signal()
        # Five cycles before the end of a period: the count is one behind the launch, ``period_over`` three
        # behind this, and the decision comes one before the next launch.
        nearly, next_but_one = Signal(), Signal(2)
        m.d.comb += nearly.eq(
            ~period_over
            & Mux(
                update,
                Mux(answer, period_count == s.joint_period - 5, period_count == s.update_period - 5),
                period_count == s.answer_period - 5,
            )
        )
        m.d.sync += next_but_one.eq(Cat(nearly, next_but_one))
        with m.If(~period_over):
            m.d.sync += [period_count.eq(period_count + 1), period_over.eq(next_but_one[1])]
        with m.If(~gap_over):
            gap_ends = gap_count == s.step_gap - 3
            if s.answer_gap != s.step_gap:
                gap_ends = Mux(gap_of_answer, gap_count == s.answer_gap - 3, gap_ends)
            m.d.sync += [gap_count.eq(gap_count + 1), gap_over.eq(gap_ends)]
        # The elements have loaded by then, a period being longer than the chain, and the decision two cycles
        # later sees the next input.
        m.d.sync += self.input_taken.eq(taking & nearly)
        with m.If(self.input_taken):
            m.d.sync += taking.eq(0)
        with m.If(launch):
            m.d.sync += [
                pass_index.eq(Mux(final, 0, pass_index + 1)),
                in_step.eq(~final),
                period_count.eq(0),
                period_over.eq(0),
            ]
            with m.If(final & update):
                m.d.sync += [
                    gap_count.eq(0),
                    gap_of_answer.eq(answer),
                    gap_over.eq(0),
                    taking.eq(1),
                ]

        # -- operand words: one a cycle, an element after the other -------------------------------------
        word_base = Signal(range(self._design.schedule.operand_half + s.elements), reset_less=True)
        # All are read when the period is over; from then on it is the first one of the next pass.
        with m.If(~launch & period_over):
            m.d.sync += self.word.eq(Mux(in_step, word_base, 0))
        with m.Else():
            m.d.sync += self.word.eq(self.word + 1)
        with m.If(launch):
            m.d.sync += word_base.eq(Mux(in_step, word_base, 0) + s.elements)

        # -- rows: one a cycle -----------------------------------------------------------------------
        pass_base = Signal(range(s.passes * s.rows + 1), reset_less=True)
        base = Mux(in_step, pass_base, 0)
        # Whether any are left is kept: it enables all the rest. The number of the row tells when they end; a
        # counter of its own, loaded with one of three numbers, had no whole carry chain on an iCE40.
        walking, update_alone = Signal(), Signal(reset_less=True)
        start = Signal()
        addr = Signal.like(self.addr, reset_less=True)
        row = Signal.like(self.row, reset_less=True)
        first_pass = Signal(reset_less=True)
        m.d.sync += start.eq(launch)
        with m.If(launch):
            m.d.sync += [
                pass_base.eq(base + s.rows),
                addr.eq(base + (0 if s.readout_lanes else Mux(update, 0, n))),
                row.eq(0 if s.readout_lanes else Mux(update, 0, n)),
                update_alone.eq(1 if s.readout_lanes else update & ~answer),
                self.running.answer.eq(answer if s.readout_lanes else ~update),
                self.running.final.eq(final),
                self.running.last.eq(last),
                first_pass.eq(~in_step),
                walking.eq(1),
            ]
        with m.Elif(walking):
            m.d.sync += [
                addr.eq(addr + 1),
                row.eq(row + 1),
                walking.eq(row != Mux(update_alone, n - 1, n + p - 1)),
            ]
        m.d.sync += [
            self.addr.eq(addr),
            self.row.eq(row),
            self.first_pass.eq(first_pass),
            self.token.start.eq(start),
            self.token.valid.eq(walking),
        ]
        return m
