"""The sequencer of the tile engine: which word of which vector is issued."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.layout import TileLayout

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Walks the stages of a step, the passes of a stage, the phases of a pass, and their words.

    A stage begins when the one before has stored its last value, so every operand is there. The readout
    begins when there is room for its answer. It is left out where a step is not answered, and so are the
    stages in front of it that matter for an answer only.

    Parameters:
        layout: the network on the engine.

    Members:
        full, first, last: In; the input of the next step, and its flags.
        room: In; there is room for an answer.
        retire: In; pulse: the stage has stored its last value, or given its last logit.
        busy: Out; a step is computed.
        starting: Out; a sequence begins with the step.
        ending: Out; a sequence ends with the step.
        stage: Out; the stage.
        begin: Out; pulse, a cycle before the first issue of a stage, and ``next_stage`` is that.
        done: Out; pulse: the step is done.
        launch: Out; pulse: an answer is on its way.
        issue: Out; a word is issued.
        phase: Out; its phase.
        word: Out; its number in its vector.
        start: Out; it is the phase's first.
        end: Out; it is the phase's last.
        address: Out; of its weights.

    Throughput: a word a cycle.
    """

    def __init__(self, layout: TileLayout) -> None:
        self._layout = layout
        stages = len(layout.stages)
        self._phases = max(len(stage.phases) for stage in layout.stages)
        self._words = max(layout.words(p.columns) for stage in layout.stages for p in stage.phases)
        issues = sum(layout.passes(stage) * layout.issues(stage) for stage in layout.stages)
        members = {name: In(1) for name in ("full", "first", "last", "room", "retire")}
        members |= {
            name: Out(1)
            for name in ("busy", "starting", "ending", "begin", "done", "launch", "issue", "start", "end")
        }
        members |= {
            "stage": Out(range(stages)),
            "next_stage": Out(range(stages)),
            "phase": Out(range(self._phases)),
            "word": Out(range(self._words)),
            "address": Out(range(max(2, issues))),
        }
        self._issues = max(2, issues)
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        self._stages(m)
        self._walk(m)
        return m

    def _stages(self, m: Module) -> None:
        """Decide what comes next where a stage is done.

        What it depends on changes long before, so it comes from registers.
        """
        last = len(self._layout.stages) - 1
        step_end = self.stage == self._layout.step_stages - 1
        waiting, finished, full, is_last, able = Signal(), Signal(), Signal(), Signal(), Signal()
        to_readout = self.stage == last - 1
        answered = 1 if self._layout.network.every_step else self.ending
        m.d.comb += [
            finished.eq(self.retire | waiting),
            self.begin.eq((finished & able) | (~self.busy & full)),
            self.next_stage.eq(Mux(is_last | ~self.busy, 0, self.stage + 1)),
            self.done.eq(finished & is_last),
            self.launch.eq(finished & able & ~is_last & to_readout),
        ]
        ends = (self.stage == last) | (step_end & ~answered)
        m.d.sync += [
            is_last.eq(ends),
            full.eq(self.full & ~self.begin),
            able.eq(Mux(ends, self.full, ~to_readout | self.room) & ~self.begin),
            waiting.eq(finished & ~is_last & ~able),
        ]
        with m.If(self.done):
            m.d.sync += self.busy.eq(0)
        with m.If(self.begin):
            m.d.sync += [self.busy.eq(1), self.stage.eq(self.next_stage)]
            with m.If(self.next_stage == 0):
                m.d.sync += [self.starting.eq(self.first), self.ending.eq(self.last)]

    def _walk(self, m: Module) -> None:
        """Count the words of a phase, the phases of a pass, and the passes."""
        p = self._layout
        most = max(max(p.passes(stage), p.pass_cycles(stage)) for stage in p.stages)
        active, tick, passed = Signal(), Signal(range(most)), Signal(range(most))
        before = self._before(m)
        phases = self._of_stage(m, "phases", [len(stage.phases) - 1 for stage in p.stages])
        passes = self._of_stage(m, "passes", [p.passes(stage) - 1 for stage in p.stages])
        cycles = self._of_stage(m, "cycles", [p.pass_cycles(stage) - 1 for stage in p.stages])
        words = Signal(range(self._words))
        with m.Switch(self.stage):
            for number, stage in enumerate(p.stages):
                with m.Case(number):
                    with m.Switch(self.phase):
                        for index, phase in enumerate(stage.phases):
                            with m.Case(index):
                                m.d.comb += words.eq(p.words(phase.columns) - 1)
        pass_end = Signal()
        m.d.comb += [
            self.start.eq(self.word == 0),
            self.end.eq(self.word == words),
            pass_end.eq(active & (tick == cycles)),
        ]
        with m.If(self.issue):
            m.d.sync += self.address.eq(Mux(self.address == self._issues - 1, 0, self.address + 1))
            m.d.sync += self.word.eq(Mux(self.end, 0, self.word + 1))
            with m.If(self.end):
                m.d.sync += self.phase.eq(self.phase + 1)
                with m.If(self.phase == phases):
                    m.d.sync += [self.phase.eq(0), self.issue.eq(0)]
        with m.If(active):
            m.d.sync += tick.eq(tick + 1)
        with m.If(pass_end):
            m.d.sync += [tick.eq(0), passed.eq(passed + 1)]
            with m.If(passed == passes):
                m.d.sync += active.eq(0)
            with m.Else():
                m.d.sync += self.issue.eq(1)
        with m.If(self.begin):
            # The stage before may end while its last pass still counts; a transform must not count on.
            m.d.sync += [
                active.eq(0),
                tick.eq(0),
                passed.eq(0),
                self.phase.eq(0),
                self.word.eq(0),
            ]
            with m.If(self.next_stage == 0):
                m.d.sync += self.address.eq(0)
        with m.If(before):
            m.d.sync += [active.eq(1), self.issue.eq(1)]

    def _before(self, m: Module) -> Value:
        """Return the cycle before a stage's first issue: that of ``begin``, or the end of its transform."""
        p = self._layout
        cycles = [p.transform_cycles(stage) for stage in p.stages]
        if not any(cycles):
            return self.begin
        left, waits = Signal(range(max(cycles)), name="transform"), Signal()
        # ``begin`` goes to many. The counter begins a cycle later.
        begun, at_once = Signal(), Signal()
        m.d.sync += begun.eq(self.begin)
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Switch(self.next_stage):
            for number, count in enumerate(cycles):
                with m.Case(number):
                    m.d.comb += waits.eq(count != 0)
        with m.If(begun):
            with m.Switch(self.stage):
                for number, count in enumerate(cycles):
                    if count:
                        with m.Case(number):
                            m.d.sync += left.eq(count - 1)
                            m.d.comb += at_once.eq(count == 1)
        return (self.begin & ~waits) | (left == 1) | at_once

    def _of_stage(self, m: Module, name: str, values: list[int]) -> Value:
        """Return the number of the present stage."""
        if len(set(values)) == 1:
            return Const(values[0])
        chosen = Signal(range(max(values) + 1), name=name)
        with m.Switch(self.stage):
            for stage, value in enumerate(values):
                with m.Case(stage):
                    m.d.comb += chosen.eq(value)
        return chosen
