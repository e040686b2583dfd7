"""The sequencer of the simple engine: walks the program and issues an instruction a cycle."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Stop
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.compiler.memory import Memory
from qornn_hw.rtl_gen.rom import Rom

__all__ = ["Sequencer", "instruction_layout", "issue_members"]


def instruction_layout(program: Program) -> data.StructLayout:
    """Return an instruction as it is in the program's memory (:attr:`Program.layout`)."""
    return data.StructLayout({name: unsigned(bits) for name, bits in program.layout.items()})


def issue_members(program: Program) -> dict[str, Any]:
    """Return what the sequencer gives in a cycle: the last six members of :class:`Sequencer`."""
    return {
        "issue": Out(1),
        "instruction": Out(instruction_layout(program)),
        "repeat": Out(program.layout["count"]),
        "unit": Out(program.layout["units"]),
        "last_unit": Out(1),
        "stream": Out(program.coefficient_address_bits),
    }


class Sequencer(wiring.Component):
    """Counts instructions, repetitions of an instruction, and units of a body.

    The memory of the program is read at the next instruction's address in every cycle, so that the next
    instruction is there when the present one ends: a jump costs no cycle.

    Parameters:
        program: what is executed.
        memory: the program's memory.

    Members:
        begin: In; the program begins in the next cycle.
        restart: In; with ``begin``: at the first part, else at the second.
        answered: In; the program goes on to its third part.
        hold: In; the present instruction must wait.
        done: Out; with ``issue``: the instruction is the last one.
        issue: Out; the present instruction is issued.
        instruction: Out; see :func:`instruction_layout`.
        repeat: Out; the number of the repetition, 0 first.
        unit: Out; the number of the unit, 0 first.
        last_unit: Out; it is the last one; valid with the last instruction of a body.
        stream: Out; the address of the next coefficient of the stream.
    """

    def __init__(self, program: Program, memory: Memory) -> None:
        self._program = program
        self._memory = memory
        inputs = {name: In(1) for name in ("begin", "restart", "answered", "hold")}
        super().__init__({**inputs, "done": Out(1), **issue_members(program)})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._program
        m.submodules.program = memory = Rom(self._memory)
        word = data.View(instruction_layout(p), memory.data)
        running = Signal()
        present, following = Signal.like(memory.addr), Signal.like(memory.addr)
        body_start = Signal.like(present)
        last_repeat = Signal()
        m.d.comb += [
            self.instruction.eq(word),
            self.issue.eq(running & ~self.hold),
            last_repeat.eq(self.repeat == word.count),
            self.last_unit.eq(self.unit == word.units),
            self.done.eq(
                last_repeat
                & word.ends
                & self.last_unit
                & ((word.stop == Stop.ALWAYS) | ((word.stop == Stop.UNANSWERED) & ~self.answered))
            ),
            memory.addr.eq(following),
            following.eq(present),
        ]
        m.d.sync += present.eq(following)
        with m.If(self.issue):
            m.d.sync += self.repeat.eq(self.repeat + 1)
            with m.If(last_repeat):
                m.d.sync += self.repeat.eq(0)
                m.d.comb += following.eq(present + 1)
                with m.If(word.ends):
                    m.d.sync += [self.unit.eq(self.unit + 1), body_start.eq(following)]
                    with m.If(self.last_unit):
                        m.d.sync += self.unit.eq(0)
                    with m.Else():
                        m.d.comb += following.eq(body_start)
            with m.If(self.done):
                m.d.sync += running.eq(0)
            with m.If(word.coefficient == Coefficient.STREAM):
                m.d.sync += self.stream.eq(self.stream + 1)
        with m.If(self.begin):
            m.d.comb += following.eq(Mux(self.restart, 0, p.step_instruction))
            m.d.sync += [
                running.eq(1),
                body_start.eq(following),
                self.stream.eq(Mux(self.restart, 0, p.step_coefficient)),
            ]
        return m
