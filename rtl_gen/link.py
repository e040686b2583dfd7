"""The board's end of the link: frames of docs/link.md to the core's streams and back."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link_protocol import (
    CRC_INIT,
    CRC_POLYNOMIAL,
    PROTOCOL_VERSION,
    SYNC,
    AnswerTail,
    Command,
    FaultCode,
    LinkFormat,
    ReplyKind,
    StepFlag,
)
from rtl_gen.uart import ReceivedByte

__all__ = ["Link", "answer_layout", "step_layout"]


def step_layout(form: LinkFormat) -> data.StructLayout:
    """Return the payload of the stream of a step's words."""
    word = form.word_format
    shape = signed(word.bits) if word.signed else unsigned(word.bits)
    return data.StructLayout({"data": shape, "first": 1, "last": 1})


def answer_layout(form: LinkFormat) -> data.StructLayout:
    """Return the payload of the stream of an answer's words."""
    return data.StructLayout({"data": signed(form.answer_bits), "last": 1})


def _crc_step(crc: Value, byte: Value) -> Value:
    """Return the CRC after one more byte, all eight bits of it at once."""
    bits = list(crc ^ byte)
    for _ in range(8):
        out = bits[7]
        bits = [out if CRC_POLYNOMIAL & 1 else 0, *bits[:7]]
        for at in range(1, 8):
            if CRC_POLYNOMIAL >> at & 1:
                bits[at] = bits[at] ^ out
    return Cat(*bits)


class Link(wiring.Component):
    """Frames from a byte stream to a core, and the core's answers back into frames.

    A step's bytes go into a ring buffer at once, and are released to the core when the frame's CRC is found
    good; otherwise the write pointer goes back and nothing of the frame remains. So a bad frame never
    reaches the core, and the next frame is received while the core works on this one. A dropped request is
    answered by a FAULT and breaks its sequence: steps are refused from then on until one with FIRST, because
    a step on a state that lacks another would be wrong without a sign.

    Parameters
    ----------
    form : LinkFormat
        Words of a step and of an answer.
    timeout_bits : int
        A pause of 1 to 2 times ``2 ** timeout_bits`` cycles between two bytes of a frame ends it.

    Members
    -------
    i_bytes : In(stream.Signature(ReceivedByte, always_ready=True))
        Bytes from the host.
    o_bytes : Out(stream.Signature(8))
        Bytes to the host.
    o_step : Out(stream.Signature(step_layout(form)))
        A step's words. ``first`` only with the first word of a sequence, ``last`` only with its last.
    i_answer : In(stream.Signature(answer_layout(form)))
        An answer's words.
    core_rst : Out(1)
        High for one cycle at a RESET request: resets the core. The link's own buffers are emptied with it.
    broken : Out(1)
        High from a fault to the next accepted step with FIRST or RESET; high after power-up too.
    faulty : Out(1)
        High from a fault to the next RESET.
    busy : Out(1)
        A frame is being received or sent, or a step is waiting for the core.
    tick : Out(1)
        High for one cycle in ``2 ** timeout_bits``.

    Latency
    -------
    A step's first word is offered 4 cycles after the frame's CRC byte. A word of b bytes takes ``2 b`` cycles
    and, for the last one, the core's own wait.
    """

    def __init__(self, *, form: LinkFormat, timeout_bits: int = 18) -> None:
        if timeout_bits < 1:
            raise ValueError(f"timeout_bits must be at least 1, not {timeout_bits!r}")
        self._form = form
        self._timeout_bits = timeout_bits
        super().__init__(
            {
                "i_bytes": In(stream.Signature(ReceivedByte, always_ready=True)),
                "o_bytes": Out(stream.Signature(8)),
                "o_step": Out(stream.Signature(step_layout(form))),
                "i_answer": In(stream.Signature(answer_layout(form))),
                "core_rst": Out(1),
                "broken": Out(1, init=1),
                "faulty": Out(1),
                "busy": Out(1),
                "tick": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        form = self._form
        depth = form.buffer_bytes
        m.submodules.buffer = buffer = memory.Memory(
            shape=8,
            depth=depth,
            init=[],
            # Never left to the synthesizer, which makes LUTs of small memories.
            attrs={"ram_style": "block"},
        )
        write, read = buffer.write_port(), buffer.read_port()
        write_at = Signal(range(depth))
        commit_at = Signal(range(depth))
        read_at = Signal(range(depth))
        fault_pending = Signal()
        fault_code = Signal(FaultCode)
        timer = Signal(self._timeout_bits)
        m.d.sync += Cat(timer, self.tick).eq(timer + 1)

        receiving = self._receive(m, write, write_at, commit_at, read_at, fault_pending, fault_code)
        taken, acknowledge = self._feed_core(m, read, read_at, commit_at)
        sending = self._send(m, taken, acknowledge, fault_pending, fault_code)
        m.d.comb += self.busy.eq(receiving | sending | (read_at != commit_at))
        with m.If(self.core_rst):
            m.d.sync += [write_at.eq(0), commit_at.eq(0), read_at.eq(0)]
        return m

    def _receive(
        self,
        m: Module,
        write: Any,
        write_at: Signal,
        commit_at: Signal,
        read_at: Signal,
        fault_pending: Signal,
        fault_code: Signal,
    ) -> Value:
        """Bytes into the buffer; commit or take back at the CRC."""
        form = self._form
        byte, strobe, error = self.i_bytes.payload.data, self.i_bytes.valid, self.i_bytes.payload.error
        crc = Signal(8)
        count = Signal(range(form.step_bytes))
        is_reset = Signal()
        is_first = Signal()
        overflow = Signal()
        late = Signal()
        timeout = Signal()
        full = Signal()
        m.d.comb += [
            full.eq((write_at + 1)[: len(write_at)] == read_at),
            timeout.eq(self.tick & late & ~strobe),
            write.addr.eq(write_at),
            write.data.eq(byte),
        ]
        with m.If(strobe):
            m.d.sync += [late.eq(0), crc.eq(_crc_step(crc, byte))]
        with m.Elif(self.tick):
            m.d.sync += late.eq(1)
        m.d.sync += self.core_rst.eq(0)

        def store() -> None:
            # The core is behind: what is in the buffer stays, this frame is lost and says so.
            with m.If(full):
                m.d.sync += overflow.eq(1)
            with m.Else():
                m.d.comb += write.en.eq(1)
                m.d.sync += write_at.eq(write_at + 1)

        def fail(code: FaultCode) -> None:
            # The first of several faults is the one that explains the others.
            with m.If(~fault_pending):
                m.d.sync += fault_code.eq(code)
            m.d.sync += [
                fault_pending.eq(1),
                self.broken.eq(1),
                self.faulty.eq(1),
                write_at.eq(commit_at),
            ]
            m.next = "hunt"

        def each_byte_else_fail() -> Any:
            with m.If(timeout):
                fail(FaultCode.TRUNCATED)
            with m.If(strobe & error):
                fail(FaultCode.BAD_BYTE)
            return m.If(strobe & ~error)

        with m.FSM(name="receive") as fsm:
            with m.State("hunt"):
                m.d.sync += overflow.eq(0)
                with m.If(strobe):
                    m.d.sync += crc.eq(CRC_INIT)
                    with m.If(~error & (byte == SYNC)):
                        m.next = "command"
            with m.State("command"):
                m.d.sync += [
                    is_reset.eq(byte == Command.RESET),
                    is_first.eq((byte & StepFlag.FIRST) != 0),
                    count.eq(form.step_bytes - 1),
                ]
                with each_byte_else_fail():
                    with m.If(byte[3:] == Command.STEP >> 3):
                        store()
                        m.next = "payload"
                    with m.Elif(byte == Command.RESET):
                        m.next = "crc"
                    with m.Else():
                        fail(FaultCode.BAD_COMMAND)
            with m.State("payload"):
                with each_byte_else_fail():
                    store()
                    m.d.sync += count.eq(count - 1)
                    with m.If(count == 0):
                        m.next = "crc"
            with m.State("crc"):
                with each_byte_else_fail():
                    m.next = "hunt"
                    with m.If(byte != crc):
                        fail(FaultCode.BAD_CRC)
                    with m.Elif(is_reset):
                        m.d.sync += [self.core_rst.eq(1), self.broken.eq(1), self.faulty.eq(0)]
                    with m.Elif(overflow):
                        fail(FaultCode.OVERFLOW)
                    with m.Elif(self.broken & ~is_first):
                        fail(FaultCode.OUT_OF_SEQUENCE)
                    with m.Else():
                        m.d.sync += [commit_at.eq(write_at), self.broken.eq(0)]
        return ~fsm.ongoing("hunt")

    def _feed_core(self, m: Module, read: Any, read_at: Signal, commit_at: Signal) -> tuple[Value, Value]:
        """Committed bytes to the core's words; strobes: a step is taken, and it asked to be acknowledged."""
        form = self._form
        word_bytes = form.word_bytes
        words_left = Signal(range(form.words_per_step))
        bytes_left = Signal(range(word_bytes))
        low = Signal(8 * (word_bytes - 1))
        first = Signal()
        last = Signal()
        wants_acknowledge = Signal()
        taken = Signal()
        final = words_left == 0
        m.d.comb += [
            read.addr.eq(read_at),
            read.en.eq(1),
            self.o_step.payload.data.eq(Cat(low, read.data)),
            self.o_step.payload.first.eq(first),
            self.o_step.payload.last.eq(last & final),
        ]
        with m.FSM(name="feed"):
            with m.State("idle"):
                m.d.sync += [words_left.eq(form.words_per_step - 1), bytes_left.eq(word_bytes - 1)]
                with m.If((read_at != commit_at) & ~self.core_rst):
                    m.next = "flags"
            with m.State("flags"):
                m.d.sync += [
                    Cat(first, last, wants_acknowledge).eq(read.data),
                    read_at.eq(read_at + 1),
                ]
                m.next = "fetch"
                with m.If(self.core_rst):
                    m.next = "idle"
            with m.State("fetch"):
                m.next = "byte"
                with m.If(self.core_rst):
                    m.next = "idle"
            with m.State("byte"):
                with m.If(bytes_left != 0):
                    if word_bytes > 1:
                        m.d.sync += low.eq(Cat(low, read.data)[8:])
                    m.d.sync += [bytes_left.eq(bytes_left - 1), read_at.eq(read_at + 1)]
                    m.next = "fetch"
                with m.Else():
                    m.d.comb += self.o_step.valid.eq(1)
                    with m.If(self.o_step.ready):
                        m.d.sync += [
                            bytes_left.eq(word_bytes - 1),
                            words_left.eq(words_left - 1),
                            read_at.eq(read_at + 1),
                            first.eq(0),
                        ]
                        m.d.comb += taken.eq(final)
                        m.next = "fetch"
                        with m.If(final):
                            m.next = "idle"
                with m.If(self.core_rst):
                    m.next = "idle"
        return taken, taken & wants_acknowledge

    def _send(
        self, m: Module, taken: Value, acknowledge: Value, fault_pending: Signal, fault_code: Signal
    ) -> Value:
        """Replies: faults first, answers last, because the core can wait."""
        form = self._form
        answer = self.i_answer
        out = self.o_bytes
        # Only bits that differ between the kinds become flip-flops.
        kind = Signal(8, init=ReplyKind.ANSWER)
        tail = Signal(8)
        crc = Signal(8)
        words_left = Signal(range(form.words_per_answer))
        byte_at = Signal(range(form.answer_word_bytes))
        word = Signal(signed(8 * form.answer_word_bytes))
        steps = Signal(8)
        acknowledge_pending = Signal()
        reset_pending = Signal()
        aborted = tail[7]
        m.d.comb += word.eq(answer.payload.data)

        with m.If(taken):
            m.d.sync += steps.eq(steps + 1)
        with m.If(acknowledge):
            m.d.sync += acknowledge_pending.eq(1)
        with m.If(out.valid & out.ready):
            m.d.sync += crc.eq(_crc_step(crc, out.payload))

        def start(reply: ReplyKind, content: Any) -> None:
            m.d.sync += [kind.eq(reply), tail.eq(content)]
            m.next = "sync"

        with m.FSM(name="send") as fsm:
            with m.State("idle"):
                m.d.sync += [words_left.eq(form.words_per_answer - 1), byte_at.eq(0)]
                with m.If(self.core_rst):
                    # Everything pending dies in this cycle.
                    pass
                with m.Elif(reset_pending):
                    m.d.sync += reset_pending.eq(0)
                    start(ReplyKind.RESET_DONE, PROTOCOL_VERSION)
                with m.Elif(fault_pending):
                    m.d.sync += fault_pending.eq(0)
                    start(ReplyKind.FAULT, fault_code)
                with m.Elif(acknowledge_pending):
                    m.d.sync += acknowledge_pending.eq(acknowledge)
                    start(ReplyKind.ACKNOWLEDGE, steps)
                with m.Elif(answer.valid):
                    start(ReplyKind.ANSWER, AnswerTail.NONE)
            with m.State("sync"):
                m.d.comb += [out.valid.eq(1), out.payload.eq(SYNC)]
                with m.If(out.ready):
                    m.d.sync += crc.eq(CRC_INIT)
                    m.next = "kind"
            with m.State("kind"):
                m.d.comb += [out.valid.eq(1), out.payload.eq(kind)]
                with m.If(out.ready):
                    m.next = "tail"
                    with m.If(kind == ReplyKind.ANSWER):
                        m.next = "payload"
            with m.State("payload"):
                # An aborted answer is filled up with whatever is there: the host always gets whole frames.
                m.d.comb += [
                    out.valid.eq(answer.valid | aborted),
                    out.payload.eq(word.word_select(byte_at, 8)),
                ]
                with m.If(out.valid & out.ready):
                    with m.If(byte_at == form.answer_word_bytes - 1):
                        m.d.comb += answer.ready.eq(~aborted)
                        m.d.sync += [byte_at.eq(0), words_left.eq(words_left - 1)]
                        with m.If(words_left == 0):
                            m.d.sync += tail[0].eq(answer.payload.last)
                            m.next = "tail"
                    with m.Else():
                        m.d.sync += byte_at.eq(byte_at + 1)
            with m.State("tail"):
                m.d.comb += [out.valid.eq(1), out.payload.eq(tail)]
                with m.If(out.ready):
                    m.next = "crc"
            with m.State("crc"):
                m.d.comb += [out.valid.eq(1), out.payload.eq(crc)]
                with m.If(out.ready):
                    m.next = "idle"
        with m.If(self.core_rst):
            m.d.sync += [
                reset_pending.eq(1),
                fault_pending.eq(0),
                acknowledge_pending.eq(0),
                steps.eq(0),
            ]
            in_words = fsm.ongoing("sync") | fsm.ongoing("kind") | fsm.ongoing("payload")
            with m.If(in_words & (kind == ReplyKind.ANSWER)):
                m.d.sync += tail.eq(AnswerTail.ABORTED)
        return ~fsm.ongoing("idle")
