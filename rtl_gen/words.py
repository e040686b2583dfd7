"""The words on a core's streams: one definition for the core and for what is connected to it."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from qornn_hw.ir.formats import IntFormat

__all__ = ["answer_word_layout", "input_word_layout"]


def input_word_layout(form: IntFormat) -> data.StructLayout:
    """Return a word on the input stream.

    Fields:
        data: one entry of the input vector, or the index of the symbol.
        first: on the first word of a sequence; read with the first word of a step.
        last: on the last word of a sequence; read with the last word of a step.
    """
    return data.StructLayout(
        {"data": signed(form.bits) if form.signed else unsigned(form.bits), "first": 1, "last": 1}
    )


def answer_word_layout(bits: int) -> data.StructLayout:
    """Return a word on the output stream.

    Fields:
        data: a logit, or (last word of an answer, if there is one) the index of the largest.
        last: on the last word of the answer to a sequence's last step.
    """
    return data.StructLayout({"data": signed(bits), "last": 1})
