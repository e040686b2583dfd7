"""The sequencer of the dsp engine: one pass after the other over all rows."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.dsp.placement import DspPlacement
from qornn_hw.compiler.engines.dsp.timing import DspTiming

__all__ = ["DspSequencer", "pass_layout"]


def pass_layout() -> data.StructLayout:
    """Return what is known of the pass under way.

    Fields:
        update: its rows of ``[U W]`` are wanted.
        answer: its rows of V are wanted.
        final: last column pass of the step; its sums are complete.
        last: the answer belongs to the last step of a sequence.
    """
    return data.StructLayout({"update": 1, "answer": 1, "final": 1, "last": 1})


@dataclass(frozen=True)
class _Step:
    """Registers of the step that is decided on or under way.

    Attributes:
        running: whether a step is under way.
        at_end: whether the pass under way ends, another one of its step following.
        step_end: whether the step under way ends.
        final: whether the pass under way is the last of its step.
        wants_update: whether the next step would be an update.
        can_begin: whether there is a step to do.
        begin, follow: whether the next cycle begins a step, or another pass of one.
        of_step: whether the pass that is launched is the first of a step.
    """

    running: Signal
    at_end: Signal
    step_end: Signal
    final: Signal
    wants_update: Signal
    can_begin: Signal
    begin: Signal
    follow: Signal
    of_step: Signal


class DspSequencer(wiring.Component):
    """Begins steps and counts rows, weight addresses and operand words through their passes.

    Work to do is an *update* (when an input is there) and an *answer* (after an update that calls for one),
    as in :class:`qornn_hw.rtl_gen.engines.lut.sequencer.Sequencer`: a step does both if the next input is
    there in time and goes on from the state; otherwise the answer goes alone. All steps take the same time,
    whatever is wanted of them: ``passes - 1`` periods and the step gap.

    Parameters:
        design: schedule and sizes.

    Members:
        input_ready: In; an input is complete in the buffer.
        input_first, input_last: In; that input begins or ends a sequence.
        room: In; the output has room for an answer.
        launch_answer: Out; pulse: an answer begins, its room is taken.
        launch: Out; pulse: a pass begins; row 0's address is there in the next cycle.
        start: Out(elements); bit e: element e loads its operand: ``1 + e`` cycles after row 0's address.
        tail: Out; pulse: the sum of row 0 leaves the chain in the next cycle.
        word: Out; word to read from the operand memory: element e's is read e cycles after the launch.
        initial: Out; the state words come from the initial state.
        addr: Out; address of the weights of the row that enters.
        next_row: Out; the row that enters in the next cycle; nothing is wanted of one beyond the last.
        next_first: Out; that row's sum begins.
        current: Out; see :func:`pass_layout`; of the pass since its first address.

    Latency: decision to launch 1 cycle.
    """

    def __init__(self, design: Design) -> None:
        self._placement = p = DspPlacement.of(design.schedule)
        self._passes = ChainSchedule.of(design.schedule).phases[0].passes
        self._timing = timing = DspTiming.of(design.schedule)
        super().__init__(
            {
                "input_ready": In(1),
                "input_first": In(1),
                "input_last": In(1),
                "room": In(1),
                "launch_answer": Out(1),
                "launch": Out(1),
                "start": Out(p.chain.elements),
                "tail": Out(1),
                "word": Out(range(p.operand_half)),
                "initial": Out(1),
                "addr": Out(max(1, (p.weight_depth - 1).bit_length())),
                "next_row": Out(range(max(timing.joint_period, timing.step_gap))),
                "next_first": Out(1),
                "current": Out(pass_layout()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        running, at_end, final = Signal(), Signal(), Signal()
        step_end = Signal()
        wants_update, can_begin, begin, follow = Signal(), Signal(), Signal(), Signal()
        of_step = Signal()
        step = _Step(running, at_end, step_end, final, wants_update, can_begin, begin, follow, of_step)
        self._build_decision(m, step)
        self._build_rows(m, step)
        self._build_addresses(m, step)
        self._build_words(m, step)
        return m

    def _build_decision(self, m: Module, step: _Step) -> None:
        """Decide in the cycle before a launch, so that neither takes long, and what the step is."""
        update, answer, last = Signal(), Signal(), Signal()
        m.d.comb += [
            self.current.update.eq(update),
            self.current.answer.eq(answer),
            self.current.final.eq(step.final),
            self.current.last.eq(last),
        ]
        # Reset stands before any sequence: the next update starts from the initial state, first or not.
        fresh = Signal(init=1)
        answer_due, due_last = Signal(), Signal()
        wants_update = step.wants_update
        m.d.comb += [
            wants_update.eq(self.input_ready & ~(answer_due & self.input_first)),
            step.can_begin.eq(Mux(answer_due, self.room, self.input_ready)),
            step.begin.eq(step.can_begin & ~self.launch & (~step.running | step.step_end)),
            step.follow.eq(step.running & step.at_end),
            self.launch_answer.eq(step.begin & answer_due),
        ]
        m.d.sync += [self.launch.eq(step.begin | step.follow), step.of_step.eq(step.begin)]
        with m.If(step.begin):
            m.d.sync += [
                update.eq(wants_update),
                answer.eq(answer_due),
                last.eq(due_last),
                answer_due.eq(0),
                self.initial.eq(wants_update & (self.input_first | fresh)),
            ]
            with m.If(wants_update):
                m.d.sync += [
                    fresh.eq(0),
                    due_last.eq(self.input_last),
                    answer_due.eq(1 if self._timing.answers_every_step else self.input_last),
                ]

    def _build_rows(self, m: Module, step: _Step) -> None:
        """Count the rows of a pass."""
        row, first_pass = Signal.like(self.next_row), Signal()
        m.d.comb += [
            self.next_row.eq(Mux(self.launch, 0, row + 1)),
            self.next_first.eq(Mux(self.launch, step.of_step, first_pass)),
        ]
        # The compare is a cycle before the decision.
        m.d.sync += [
            step.at_end.eq(~step.final & (row == self._timing.joint_period - 3)),
            step.step_end.eq(step.final & (row == self._timing.step_gap - 3)),
        ]
        m.d.sync += [row.eq(self.next_row), first_pass.eq(self.next_first)]

    def _build_addresses(self, m: Module, step: _Step) -> None:
        """Count the addresses of the weights through a step, and its passes."""
        p = self._placement
        pass_index = Signal(range(self._passes))
        if p.in_spram:
            # This memory has words beyond the last one of the weights, which nobody wrote and nobody uses.
            m.d.sync += self.addr.eq(self.addr + 1)
        else:
            # The address stays at the last word until the next step begins. It counts up from 0: the last
            # word is the first one whose number has all of these bits.
            last_word = p.weight_depth - 1
            ones = Cat(self.addr[bit] for bit in range(len(self.addr)) if last_word >> bit & 1)
            with m.If(~ones.all()):
                m.d.sync += self.addr.eq(self.addr + 1)
        with m.If(self.launch):
            # The count runs on while there is nothing to do: what it says then does not count.
            m.d.sync += [step.running.eq(1), step.at_end.eq(0), step.step_end.eq(0)]
            m.d.sync += [
                pass_index.eq(Mux(step.of_step, 0, pass_index + 1)),
                step.final.eq(Mux(step.of_step, self._passes == 1, pass_index == self._passes - 2)),
            ]
            with m.If(step.of_step):
                m.d.sync += self.addr.eq(0)
        with m.Elif(step.step_end):
            m.d.sync += step.running.eq(step.begin)

    def _build_words(self, m: Module, step: _Step) -> None:
        """Count the operand words: one a cycle for as many cycles as there are elements."""
        elements = self._placement.chain.elements
        starts = Signal(elements + 3)
        loading = Signal()
        m.d.comb += starts[0].eq(self.launch)
        m.d.sync += starts[1:].eq(starts[:-1])
        m.d.comb += [self.start.eq(starts[2:-1]), self.tail.eq(starts[-1])]
        with m.If(step.begin | step.follow):
            m.d.sync += loading.eq(1)
        with m.Elif(starts[elements - 1]):
            m.d.sync += loading.eq(0)
        with m.If(step.begin):
            m.d.sync += self.word.eq(0)
        with m.Elif(loading):
            m.d.sync += self.word.eq(self.word + 1)
