"""The sequencer of the dsp engine: one pass after the other over all rows."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.design import Design
from qornn_hw.network import OutputMode

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


class DspSequencer(wiring.Component):
    """Begins steps and counts rows, weight addresses and operand words through their passes.

    Work to do is an *update* (when an input is there) and an *answer* (after an update that calls for one),
    as in :class:`rtl_gen.sequencer.Sequencer`: a step does both if the next input is there in time and goes
    on from the state; otherwise the answer goes alone. All steps take the same time, whatever is wanted of
    them: ``passes - 1`` periods and the step gap.

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
        self._design = design
        s = design.schedule
        super().__init__(
            {
                "input_ready": In(1),
                "input_first": In(1),
                "input_last": In(1),
                "room": In(1),
                "launch_answer": Out(1),
                "launch": Out(1),
                "start": Out(s.elements),
                "tail": Out(1),
                "word": Out(range(s.operand_half)),
                "initial": Out(1),
                "addr": Out(max(1, (s.weight_depth - 1).bit_length())),
                "next_row": Out(range(max(s.joint_period, s.step_gap))),
                "next_first": Out(1),
                "current": Out(pass_layout()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        s = self._design.schedule
        every = s.network.output_mode is OutputMode.EVERY_STEP

        pass_index = Signal(range(s.passes))
        running, at_end, final = Signal(), Signal(), Signal()
        step_end = Signal()
        update, answer, last = Signal(), Signal(), Signal()
        m.d.comb += [
            self.current.update.eq(update),
            self.current.answer.eq(answer),
            self.current.final.eq(final),
            self.current.last.eq(last),
        ]

        # -- decision: in the cycle before the launch, so that neither is long -------------------------------
        # Reset stands before any sequence: the next update starts from the initial state, first or not.
        fresh = Signal(init=1)
        answer_due, due_last = Signal(), Signal()
        wants_update, can_begin, begin, follow = Signal(), Signal(), Signal(), Signal()
        of_step = Signal()
        m.d.comb += [
            wants_update.eq(self.input_ready & ~(answer_due & self.input_first)),
            can_begin.eq(Mux(answer_due, self.room, self.input_ready)),
            begin.eq(can_begin & ~self.launch & (~running | step_end)),
            follow.eq(running & at_end),
            self.launch_answer.eq(begin & answer_due),
        ]
        m.d.sync += [self.launch.eq(begin | follow), of_step.eq(begin)]
        with m.If(begin):
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
                    answer_due.eq(1 if every else self.input_last),
                ]

        # -- rows -------------------------------------------------------------------------------------
        row, first_pass = Signal.like(self.next_row), Signal()
        m.d.comb += [
            self.next_row.eq(Mux(self.launch, 0, row + 1)),
            self.next_first.eq(Mux(self.launch, of_step, first_pass)),
        ]
        # The compare is a cycle before the decision.
        m.d.sync += [
            at_end.eq(~final & (row == s.joint_period - 3)),
            step_end.eq(final & (row == s.step_gap - 3)),
        ]
        m.d.sync += [row.eq(self.next_row), first_pass.eq(self.next_first), self.addr.eq(self.addr + 1)]
        with m.If(self.launch):
            # The count runs on while there is nothing to do: what it says then does not count.
            m.d.sync += [running.eq(1), at_end.eq(0), step_end.eq(0)]
            m.d.sync += [
                pass_index.eq(Mux(of_step, 0, pass_index + 1)),
                final.eq(Mux(of_step, s.passes == 1, pass_index == s.passes - 2)),
            ]
            with m.If(of_step):
                m.d.sync += self.addr.eq(0)
        with m.Elif(step_end):
            m.d.sync += running.eq(begin)

        # -- operand words: one a cycle for as many cycles as there are elements -----------------------------
        starts = Signal(s.elements + 3)
        loading = Signal()
        m.d.comb += starts[0].eq(self.launch)
        m.d.sync += starts[1:].eq(starts[:-1])
        m.d.comb += [self.start.eq(starts[2:-1]), self.tail.eq(starts[-1])]
        with m.If(begin | follow):
            m.d.sync += loading.eq(1)
        with m.Elif(starts[s.elements - 1]):
            m.d.sync += loading.eq(0)
        with m.If(begin):
            m.d.sync += self.word.eq(0)
        with m.Elif(loading):
            m.d.sync += self.word.eq(self.word + 1)
        return m
