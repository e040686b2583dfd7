"""The sequencer: decides which rows enter the chain, and when."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.engines.lut.timing import LutTiming
from qornn_hw.rtl_gen.engines.lut.processing_element import token_layout

__all__ = ["Sequencer", "pass_layout"]


def pass_layout() -> data.StructLayout:
    """Return what the tail must know of a pass; it stays from its launch to the next one.

    Fields:
        answer: the pass begins with the rows of V; with a readout: the step calls for an answer.
        final: last column pass of the step; the sums that leave the chain are complete.
        last: the answer belongs to the last step of a sequence.
    """
    return data.StructLayout({"answer": 1, "final": 1, "last": 1})


@dataclass(frozen=True)
class _Step:
    """Registers of the step that is decided on or under way.

    A launch writes ``pass_index`` and the counts, a decision ``update``, ``answer`` and ``last``. Registers
    without a reset are always written before they are read.

    Attributes:
        launch: a pass begins in this cycle.
        pass_index: number of the pass that the next launch begins.
        in_step: whether a pass of the step is launched already, that is ``pass_index != 0``.
        final: whether that pass is the last of the step.
        update, answer, last: what the step is: an update, an answer, of the last step of a sequence.
        period_count, period_over: cycles since the launch, and whether the next launch may come.
        gap_count, gap_over: the same for the next step; ``gap_of_answer`` says which of two gaps counts.
    """

    launch: Signal
    pass_index: Signal
    in_step: Signal
    final: Signal
    update: Signal
    answer: Signal
    last: Signal
    period_count: Signal
    period_over: Signal
    gap_count: Signal
    gap_over: Signal
    gap_of_answer: Signal


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
        token, addr, row, first_pass: Out; to the chain. Between passes ``addr`` and ``row`` are those of the
            last row.
        running: Out; the pass that runs, :func:`pass_layout`. The token leaves the chain before the next
            launch: what it has to say of its pass is read here then, and does not travel.

    Latency: decision to launch and ``word`` 1 cycle, launch to ``token`` 2 cycles.
    """

    def __init__(self, design: Design) -> None:
        self._placement = p = LutPlacement.of(design.schedule)
        self._update, self._answer = ChainSchedule.of(design.schedule).phases
        self._timing = LutTiming.of(design.schedule)
        self._readout = self._answer.passes == 0
        super().__init__(
            {
                "input_ready": In(1),
                "input_first": In(1),
                "input_last": In(1),
                "input_taken": Out(1),
                "room": In(1),
                "launch_answer": Out(1),
                "word": Out(range(p.operand_half)),
                "initial": Out(1),
                "token": Out(token_layout()),
                "running": Out(pass_layout()),
                "addr": Out(max(1, (p.passes * p.rows - 1).bit_length())),
                "row": Out(max(1, (p.rows - 1).bit_length())),
                "first_pass": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        step = self._build_step()
        self._build_decision(m, step)
        m.d.comb += step.final.eq(step.pass_index == self._update.passes - 1)
        self._build_counts(m, step)
        self._build_words(m, step)
        self._build_rows(m, step)
        return m

    def _build_step(self) -> _Step:
        # The end of a count permits the decision: a launch in cycle t permits the next launch in t + count.
        longest = max(self._timing.joint_period, self._timing.answer_gap)
        period_count, period_over = Signal(range(longest), reset_less=True), Signal(init=1)
        # Counted up: a counter that takes one of several numbers has no whole carry chain on an iCE40.
        gap_count, gap_of_answer = Signal(range(longest), reset_less=True), Signal(reset_less=True)
        gap_over = Signal(init=1)
        launch = Signal()
        pass_index = Signal(range(self._update.passes))
        in_step = Signal()
        update, answer, last = (Signal(name=n, reset_less=True) for n in ("update", "answer", "last"))
        final = Signal()
        return _Step(
            launch=launch,
            pass_index=pass_index,
            in_step=in_step,
            final=final,
            update=update,
            answer=answer,
            last=last,
            period_count=period_count,
            period_over=period_over,
            gap_count=gap_count,
            gap_over=gap_over,
            gap_of_answer=gap_of_answer,
        )

    def _build_decision(self, m: Module, step: _Step) -> None:
        """Decide in the cycle before a launch, so that neither takes long, and what the step is."""
        # Reset stands before any sequence: the next update starts from the initial state, first or not.
        fresh = Signal(init=1)
        answer_due, due_last = Signal(), Signal(reset_less=True)
        # The argmax follows its logits. An answer that goes alone, right behind the rows of another one,
        # leaves it a cycle.
        settled = Signal(init=1)
        m.d.sync += settled.eq(step.period_over & ~step.launch)
        wants_update, can_begin, begin, follow = Signal(), Signal(), Signal(), Signal()
        calls = Signal()
        m.d.comb += [
            begin.eq(~step.launch & ~step.in_step & step.period_over & step.gap_over & can_begin),
            follow.eq(~step.launch & step.in_step & step.period_over),
        ]
        calls_for_answer = 1 if self._timing.answers_every_step else self.input_last
        if self._readout:
            m.d.comb += [
                calls.eq(calls_for_answer),
                wants_update.eq(self.input_ready),
                can_begin.eq(self.input_ready & (self.room | ~calls)),
            ]
        else:
            m.d.comb += [
                wants_update.eq(self.input_ready & ~(answer_due & self.input_first)),
                can_begin.eq(Mux(answer_due, self.room & (wants_update | settled), self.input_ready)),
            ]
        m.d.sync += step.launch.eq(begin | follow)
        # From a flip-flop. A period is long enough for ``room`` to follow before the next decision.
        m.d.sync += self.launch_answer.eq(begin & (calls if self._readout else answer_due))
        # What a step shall be is known before it may begin, which is the longer way.
        with m.If(~step.launch & ~step.in_step & step.period_over):
            m.d.sync += self.initial.eq(wants_update & (self.input_first | fresh))
            if self._readout:
                m.d.sync += [step.update.eq(1), step.answer.eq(calls), step.last.eq(self.input_last)]
            else:
                m.d.sync += [
                    step.update.eq(wants_update),
                    step.answer.eq(answer_due),
                    step.last.eq(due_last),
                ]
        with m.If(begin):
            if self._readout:
                m.d.sync += fresh.eq(0)
            else:
                m.d.sync += answer_due.eq(0)
                with m.If(wants_update):
                    m.d.sync += [
                        fresh.eq(0),
                        due_last.eq(self.input_last),
                        answer_due.eq(calls_for_answer),
                    ]

    def _build_counts(self, m: Module, step: _Step) -> None:
        """Count the period of a pass and the gap between steps, and say when the input is taken."""
        timing = self._timing
        taking = Signal()
        # Five cycles before the end of a period: the count is one behind the launch, ``period_over`` three
        # behind this, and the decision comes one before the next launch.
        nearly, next_but_one = Signal(), Signal(2)
        m.d.comb += nearly.eq(
            ~step.period_over
            & Mux(
                step.update,
                Mux(
                    step.answer,
                    step.period_count == timing.joint_period - 5,
                    step.period_count == self._update.period - 5,
                ),
                step.period_count == self._answer.period - 5,
            )
        )
        m.d.sync += next_but_one.eq(Cat(nearly, next_but_one))
        with m.If(~step.period_over):
            m.d.sync += [
                step.period_count.eq(step.period_count + 1),
                step.period_over.eq(next_but_one[1]),
            ]
        with m.If(~step.gap_over):
            gap_ends = step.gap_count == timing.step_gap - 3
            if timing.answer_gap != timing.step_gap:
                gap_ends = Mux(step.gap_of_answer, step.gap_count == timing.answer_gap - 3, gap_ends)
            m.d.sync += [step.gap_count.eq(step.gap_count + 1), step.gap_over.eq(gap_ends)]
        # The elements have loaded by then, a period being longer than the chain, and the decision two cycles
        # later sees the next input.
        m.d.sync += self.input_taken.eq(taking & nearly)
        with m.If(self.input_taken):
            m.d.sync += taking.eq(0)
        with m.If(step.launch):
            m.d.sync += [
                step.pass_index.eq(Mux(step.final, 0, step.pass_index + 1)),
                step.in_step.eq(~step.final),
                step.period_count.eq(0),
                step.period_over.eq(0),
            ]
            with m.If(step.final & step.update):
                m.d.sync += [
                    step.gap_count.eq(0),
                    step.gap_of_answer.eq(step.answer),
                    step.gap_over.eq(0),
                    taking.eq(1),
                ]

    def _build_words(self, m: Module, step: _Step) -> None:
        """Count the operand words of a pass: one a cycle, an element after the other."""
        p = self._placement
        word_base = Signal(range(p.operand_half + p.chain.elements), reset_less=True)
        # All are read when the period is over; from then on it is the first one of the next pass.
        with m.If(~step.launch & step.period_over):
            m.d.sync += self.word.eq(Mux(step.in_step, word_base, 0))
        with m.Else():
            m.d.sync += self.word.eq(self.word + 1)
        with m.If(step.launch):
            m.d.sync += word_base.eq(Mux(step.in_step, word_base, 0) + p.chain.elements)

    def _build_rows(self, m: Module, step: _Step) -> None:
        """Walk the rows of a pass, one a cycle, with their addresses and their token."""
        p, readout, update, answer = self._placement, self._readout, self._update, self._answer
        # An answer that goes alone begins with its own rows.
        first_row = update.first_row if readout else Mux(step.update, update.first_row, answer.first_row)
        pass_base = Signal(range(p.passes * p.rows + 1), reset_less=True)
        base = Mux(step.in_step, pass_base, 0)
        # Whether any are left is kept: it enables all the rest. The number of the row tells when they end; a
        # counter of its own, loaded with one of three numbers, had no whole carry chain on an iCE40.
        walking, update_alone = Signal(), Signal(reset_less=True)
        start = Signal()
        addr = Signal.like(self.addr, reset_less=True)
        row = Signal.like(self.row, reset_less=True)
        first_pass = Signal(reset_less=True)
        m.d.sync += start.eq(step.launch)
        with m.If(step.launch):
            m.d.sync += [
                pass_base.eq(base + p.rows),
                addr.eq(base + first_row),
                row.eq(first_row),
                update_alone.eq(1 if readout else step.update & ~step.answer),
                self.running.answer.eq(step.answer if readout else ~step.update),
                self.running.final.eq(step.final),
                self.running.last.eq(step.last),
                first_pass.eq(~step.in_step),
                walking.eq(1),
            ]
        with m.Elif(walking):
            m.d.sync += [
                addr.eq(addr + 1),
                row.eq(row + 1),
                walking.eq(row != Mux(update_alone, update.last_row, answer.last_row)),
            ]
        # After the last row the counters are beyond the memories, so the addresses stay at the last row.
        addr_of_token, row_of_token = Signal.like(addr, reset_less=True), Signal.like(row, reset_less=True)
        with m.If(walking):
            m.d.sync += [addr_of_token.eq(addr), row_of_token.eq(row)]
        m.d.comb += [self.addr.eq(addr_of_token), self.row.eq(row_of_token)]
        m.d.sync += [
            self.first_pass.eq(first_pass),
            self.token.start.eq(start),
            self.token.valid.eq(walking),
        ]
