"""Replies to the host: one frame after the other, byte by byte."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import INFO_BYTES, SYNC, AnswerTail, LinkFormat, ReplyKind
from qornn_hw.rtl_gen.links.answer_bytes import AnswerBytes
from qornn_hw.rtl_gen.links.byte_register import ByteRegister
from qornn_hw.rtl_gen.links.byte_streams import to_host
from qornn_hw.rtl_gen.links.crc import FrameCrc
from qornn_hw.rtl_gen.links.reply_arbiter import reply_signature
from qornn_hw.rtl_gen.words import answer_word_layout

__all__ = ["FrameSender"]


class FrameSender(wiring.Component):
    """Sends replies as frames with their CRC.

    A reset never cuts a frame short: an answer in progress is filled up and marked as aborted.

    Parameters:
        form: Sizes of an answer.

    Members:
        reply: In(:func:`qornn_hw.rtl_gen.links.reply_arbiter.reply_signature`): The next reply.
        answer: In(stream), see :func:`qornn_hw.rtl_gen.words.answer_word_layout`: Words of answers, from the
        core. answer_there: Out(1): There is a word of an answer.
        o: Out(:func:`qornn_hw.rtl_gen.links.byte_streams.to_host`): Bytes to the host.
        reset: In(1): Pulse: answers are numbered from 0 again, the answer in progress is aborted.
        tag: In(8): Number of a RESET_DONE.
        info_at: Out(range(16)), info: In(8): The bytes of IDENTITY and STATUS, 2 cycles later, from
            :class:`qornn_hw.rtl_gen.links.board_info.BoardInfo`.
        is_identity: Out(1): The bytes are those of IDENTITY.
        tail: Out(3): The low bits of the tail; of a FAULT they are its code.
        busy: Out(1): A frame is in progress.

    Latency: SYNC is on ``o`` 3 cycles after ``reply.valid``. Throughput: one byte in 11 cycles, because the
    CRC takes one bit a cycle.
    """

    def __init__(self, *, form: LinkFormat) -> None:
        self._form = form
        super().__init__(
            {
                "reply": In(reply_signature(form)),
                "answer": In(stream.Signature(answer_word_layout(form.answer_bits))),
                "answer_there": Out(1),
                "o": Out(to_host()),
                "reset": In(1),
                "tag": In(8),
                "info_at": Out(range(INFO_BYTES), init=INFO_BYTES - 1),
                "info": In(8),
                "is_identity": Out(1),
                "tail": Out(3),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.submodules.crc = crc = FrameCrc()
        m.submodules.answers = answers = AnswerBytes(form=self._form)
        m.submodules.register = register = ByteRegister()
        wiring.connect(m, wiring.flipped(self.answer), answers.i)
        wiring.connect(m, register.o, wiring.flipped(self.o))
        kind = Signal(8, init=ReplyKind.ANSWER)
        tail = Signal(len(self.reply.tail))
        is_answer, has_info = Signal(), Signal(reset_less=True)
        # Number of the next answer.
        number = Signal(8)
        idle, in_sync, in_number, in_payload, before_tail, in_info = self._states(
            m, kind, tail, number, is_answer, has_info, answers, register, crc
        )
        with m.If(idle):
            m.d.sync += [
                kind.eq(self.reply.kind),
                tail.eq(self.reply.tail),
                is_answer.eq(self.reply.is_answer),
                has_info.eq(self.reply.has_info),
            ]
        m.d.comb += [
            self.reply.taken.eq(idle & self.reply.valid),
            answers.start.eq(idle),
            answers.next.eq(register.sent & in_payload),
            answers.aborted.eq(tail[1]),
            self.answer_there.eq(answers.there),
            crc.clear.eq(in_sync),
            crc.valid.eq(register.sent & ~in_sync),
            crc.bit.eq(self.o.payload.bit_select(crc.at, 1)),
            register.hold.eq(crc.busy),
            self.is_identity.eq(kind == ReplyKind.IDENTITY),
            self.tail.eq(tail),
            self.busy.eq(~idle | self.o.valid),
        ]
        with m.If(register.sent & in_number & is_answer & ~tail[1]):
            m.d.sync += number.eq(number + 1)
        with m.If(idle):
            m.d.sync += self.info_at.eq(0)
        with m.Elif(register.sent & in_info):
            m.d.sync += self.info_at.eq(self.info_at + 1)
        with m.If(answers.word_done):
            m.d.sync += tail[0].eq(answers.last)
        with m.If(self.reset):
            m.d.sync += number.eq(0)
            with m.If(before_tail & is_answer):
                m.d.sync += tail.eq(AnswerTail.ABORTED)
        return m

    def _states(
        self,
        m: Module,
        kind: Signal,
        tail: Signal,
        number: Signal,
        is_answer: Signal,
        has_info: Signal,
        answers: Any,
        register: Any,
        crc: Any,
    ) -> tuple[Any, ...]:
        """Add the states, one a field of a frame; return which of them are in progress."""
        low_byte = Signal(reset_less=True)
        reset_done = kind == ReplyKind.RESET_DONE
        # Byte of each field, and whether it is there.
        fields: dict[str, tuple[Any, Any]] = {
            "sync": (SYNC, 1),
            "kind": (kind, 1),
            "number": (Mux(reset_done, self.tag, number), 1),
            # An aborted answer is filled up with any bytes: the host always gets whole frames.
            "payload": (answers.byte, answers.there | tail[1]),
            # The byte that follows is there two cycles after the one before was sent.
            "info": (self.info, ~register.gone),
            "tail": (tail, 1),
            # Sending the high byte of the CRC moves the low byte to its place.
            "crc": (crc.crc[8:], 1),
        }
        with m.FSM(name="send") as fsm:
            with m.State("idle"):
                with m.If(self.reply.valid):
                    m.next = "sync"
            for field, (byte, there) in fields.items():
                with m.State(field):
                    m.d.comb += [register.offer.eq(there), register.data.eq(byte)]
                    if field == "tail":
                        m.d.sync += low_byte.eq(0)
                    with m.If(register.sent):
                        self._follow(m, field, is_answer, has_info, answers, low_byte)
            names = ("idle", "sync", "number", "payload")
            idle, in_sync, in_number, in_payload = (fsm.ongoing(name) for name in names)
            before_tail = in_sync | fsm.ongoing("kind") | in_number | in_payload
            return idle, in_sync, in_number, in_payload, before_tail, fsm.ongoing("info")

    def _follow(
        self, m: Module, field: str, is_answer: Signal, has_info: Signal, answers: Any, low_byte: Signal
    ) -> None:
        """Go on to the next field when a byte of this one is sent."""
        if field == "sync":
            m.next = "kind"
        elif field == "kind":
            m.next = "number"
        elif field == "number":
            m.next = "tail"
            with m.If(is_answer):
                m.next = "payload"
            with m.If(has_info):
                m.next = "info"
        elif field == "payload":
            with m.If(answers.done):
                m.next = "tail"
        elif field == "info":
            with m.If(self.info_at.all()):
                m.next = "tail"
        elif field == "tail":
            m.next = "crc"
        else:
            m.d.sync += low_byte.eq(1)
            with m.If(low_byte):
                m.next = "idle"
