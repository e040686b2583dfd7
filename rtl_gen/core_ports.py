"""The ports of a core, the same with every engine."""

from typing import Any

from amaranth.hdl import signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.design import Design
from qornn_hw.rtl_gen.primitives.spram import weight_write_signature
from qornn_hw.rtl_gen.words import answer_word_layout, input_word_layout

__all__ = ["core_members"]


def core_members(design: Design) -> dict[str, Any]:
    """Return the members of every core: i, o, state, and write where weights are loaded."""
    banks = design.schedule.weight_banks
    members = {
        "i": In(stream.Signature(input_word_layout(design.input_format))),
        "o": Out(stream.Signature(answer_word_layout(design.answer_bits))),
        "state": Out(wiring.Signature({"valid": Out(1), "data": Out(signed(design.state_bits))})),
    }
    if banks:
        members["write"] = In(weight_write_signature(banks))
    return members
