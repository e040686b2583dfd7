"""The core of the simple engine: a whole network, input stream to output stream."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from qornn_hw.compiler.engines.simple.instruction import Kind, Port
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.compiler.memory import Memory
from qornn_hw.rtl_gen.engines.simple.accumulator import Accumulator
from qornn_hw.rtl_gen.engines.simple.index import Index
from qornn_hw.rtl_gen.engines.simple.issue import Issue
from qornn_hw.rtl_gen.engines.simple.multiplier import Multiplier
from qornn_hw.rtl_gen.engines.simple.ports import AnswerPort, InputPort
from qornn_hw.rtl_gen.engines.simple.sequencer import Sequencer, issue_members
from qornn_hw.rtl_gen.engines.simple.stage import stage_layout
from qornn_hw.rtl_gen.ram import Ram
from qornn_hw.rtl_gen.rom import Rom
from qornn_hw.rtl_gen.words import answer_word_layout, input_word_layout

__all__ = ["SimpleCore"]


class SimpleCore(wiring.Component):
    """Executes a program; equals the interpreter of networks in every state and every answer.

    An instruction passes four stages, a cycle each:

        issue       the sequencer gives it; the memories of values and coefficients get their addresses
        read        value and coefficient are there; the digit is chosen
        multiply    value and digit are multiplied
        execute     the accumulator changes; STORE writes a value; CHOOSE and INDEX set the index

    Parameters:
        program: what is executed.
        memories: contents in place of the program's, for a bench that plants faults.

    Members:
        i: In(stream): the words of an input, ``program.input_words`` of them a step. They are taken while no
            program runs.
        o: Out(stream): the words of an answer, ``program.answer_words``. The program waits with a word until
            the one before it is taken.
        state: Out: every new state as it is written, layer by layer, for benches.

    Latency: ``program.answer_latency``. Throughput: a step every ``program.cycles_per_step`` cycles.
    """

    def __init__(self, program: Program, memories: tuple[Memory, ...] | None = None) -> None:
        self._program = program
        self._memories = {memory.name: memory for memory in memories or program.memories}
        state = {"valid": Out(1), "data": Out(signed(program.state_bits))}
        super().__init__(
            {
                "i": In(stream.Signature(input_word_layout(program.input_format))),
                "o": Out(stream.Signature(answer_word_layout(program.answer_bits))),
                "state": Out(wiring.Signature(state)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._program
        m.submodules.input = source = InputPort(p)
        m.submodules.sequencer = sequencer = Sequencer(p, self._memories["program"])
        m.submodules.issue = issue = Issue(p)
        m.submodules.values = values = Ram(
            width=p.value_bits, depth=p.value_depth, init=self._memories["values"].words
        )
        m.submodules.coefficients = coefficients = Rom(self._memories["coefficients"])
        m.submodules.multiplier = multiplier = Multiplier(p)
        m.submodules.accumulator = accumulator = Accumulator(p)
        m.submodules.index = index = Index(p)
        m.submodules.answer = answer = AnswerPort(p)
        connect(m, source.i, flipped(self.i))
        connect(m, flipped(self.o), answer.o)
        read, multiplied, executed = (
            Signal(stage_layout(p), name=name) for name in ("read", "multiplied", "executed")
        )
        m.d.sync += [read.eq(issue.stage), multiplied.eq(read), executed.eq(multiplied)]
        port, stores, shown = sequencer.instruction.port, Signal(), Signal(Port)
        m.d.comb += [
            sequencer.begin.eq(source.begin),
            sequencer.restart.eq(source.restart),
            sequencer.answered.eq(source.last | p.every_step),
            sequencer.hold.eq(answer.busy & _is_answer(port)),
            source.done.eq(sequencer.issue & sequencer.done),
            answer.launch.eq(sequencer.issue & _is_answer(port)),
            # -- issue
            *(getattr(issue, name).eq(getattr(sequencer, name)) for name in issue_members(p)),
            issue.index.eq(index.index),
            values.r_addr.eq(issue.value_address),
            coefficients.addr.eq(issue.coefficient_address),
            # -- read and multiply
            multiplier.stage.eq(read),
            multiplier.value.eq(values.r_data),
            multiplier.coefficient.eq(coefficients.data),
            multiplier.executed.eq(executed),
            multiplier.accumulator.eq(accumulator.value),
            # -- execute
            accumulator.stage.eq(executed),
            accumulator.product.eq(multiplier.product),
            index.stage.eq(executed),
            index.accumulator.eq(accumulator.value),
            stores.eq(executed.enable & (executed.kind == Kind.STORE)),
            shown.eq(Mux(stores, executed.port, Port.NONE)),
            self.state.valid.eq(shown == Port.STATE),
            self.state.data.eq(accumulator.stored),
            answer.valid.eq(_is_answer(shown)),
            answer.word.eq(accumulator.stored),
            answer.last.eq(source.last & executed.last_unit & (shown == Port.ANSWER_END)),
            # -- a word of the input comes while no program runs
            values.w_en.eq(stores | source.write),
            values.w_addr.eq(Mux(source.taking, source.address, executed.address)),
            values.w_data.eq(Mux(source.taking, self.i.payload.data, accumulator.stored)),
        ]
        return m


def _is_answer(port: Any) -> Any:
    return (port == Port.ANSWER) | (port == Port.ANSWER_END)
