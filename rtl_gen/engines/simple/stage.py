"""What goes with an instruction of the simple engine from stage to stage."""

from amaranth.lib import data

from qornn_hw.compiler.engines.simple.instruction import Coefficient, Kind, Port
from qornn_hw.compiler.engines.simple.program import Program

__all__ = ["stage_layout"]


def stage_layout(program: Program) -> data.StructLayout:
    """Return the record of an instruction in a stage.

    Fields:
        enable: there is an instruction.
        kind, coefficient, number, port: the instruction's.
        scale: the accumulator moves up by a digit.
        address: of the value that it reads or writes.
        unit: the number of the unit.
        with_unit: the instruction takes the unit.
        last_unit: the unit is the last one.
    """
    return data.StructLayout(
        {
            "enable": 1,
            "kind": Kind,
            "coefficient": Coefficient,
            "number": program.layout["number"],
            "port": Port,
            "scale": 1,
            "address": program.value_address_bits,
            "unit": program.layout["units"],
            "with_unit": 1,
            "last_unit": 1,
        }
    )
