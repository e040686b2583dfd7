"""The first stage of the simple engine: the addresses of the memories."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Offset
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.rtl_gen.engines.simple.sequencer import issue_members
from qornn_hw.rtl_gen.engines.simple.stage import stage_layout

__all__ = ["Issue"]


class Issue(wiring.Component):
    """Adds up the addresses of an instruction, and makes the record that goes from stage to stage.

    Parameters:
        program: widths.

    Members:
        issue, instruction, repeat, unit, last_unit, stream: In; those of the sequencer.
        index: In; the index.
        value_address: Out; of the value memory.
        coefficient_address: Out; of the coefficient memory.
        stage: Out; see :func:`~qornn_hw.rtl_gen.engines.simple.stage.stage_layout`.

    Latency: none.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        super().__init__(
            {
                **{name: In(member.shape) for name, member in issue_members(program).items()},
                "index": In(program.index_bits),
                "value_address": Out(program.value_address_bits),
                "coefficient_address": Out(program.coefficient_address_bits),
                "stage": Out(stage_layout(program)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        word, stage = self.instruction, self.stage
        offset = Signal(self._program.index_bits)
        with m.Switch(word.offset):
            with m.Case(Offset.REPEAT):
                m.d.comb += offset.eq(self.repeat)
            with m.Case(Offset.UNIT):
                m.d.comb += offset.eq(self.unit)
            with m.Case(Offset.INDEX):
                m.d.comb += offset.eq(self.index)
        from_table = word.coefficient == Coefficient.TABLE
        m.d.comb += [
            self.value_address.eq(word.address + offset),
            self.coefficient_address.eq(Mux(from_table, word.number + self.index, self.stream)),
            *(stage[name].eq(word[name]) for name in ("kind", "coefficient", "number", "port")),
            stage.enable.eq(self.issue),
            stage.scale.eq(word.scale & (self.repeat == 0)),
            stage.address.eq(self.value_address),
            stage.unit.eq(self.unit),
            stage.with_unit.eq(word.offset == Offset.UNIT),
            stage.last_unit.eq(self.last_unit),
        ]
        return m
