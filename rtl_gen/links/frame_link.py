"""The frame layer of the link: frames of docs/link.md to the core's streams and back."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.board_info import BoardInfo
from qornn_hw.rtl_gen.links.byte_streams import from_host, to_host
from qornn_hw.rtl_gen.links.frame_receiver import FrameReceiver, load_signature
from qornn_hw.rtl_gen.links.frame_sender import FrameSender
from qornn_hw.rtl_gen.links.reply_arbiter import ReplyArbiter
from qornn_hw.rtl_gen.links.step_buffer import StepBuffer
from qornn_hw.rtl_gen.links.step_feeder import StepFeeder
from qornn_hw.rtl_gen.words import answer_word_layout, input_word_layout

__all__ = ["FrameLink"]


class FrameLink(wiring.Component):
    """Frames from a byte stream to a core, and the core's answers back into frames.

    A step's bytes go into a ring buffer as they arrive, and are released to the core when the frame's CRC and
    number are good; otherwise the ring is rolled back. So a bad frame never reaches the core, and the next
    frame is received while the core works on this one. A dropped request is answered by a FAULT, and steps
    are refused from then on until a RESET: a step on a state that lacks an earlier step would give a wrong
    answer without any sign of it. Steps and answers are numbered from a RESET on, modulo 256, without a gap:
    a step that is lost or repeated has a number out of turn, which is a fault.

    Parameters:
        form: Words of a step and of an answer, and what IDENTIFY tells.
        timeout_bits: A pause of 1 to 2 times ``2 ** timeout_bits`` cycles between two bytes of a frame ends
            it.

    Members:
        i_bytes: In(:func:`qornn_hw.rtl_gen.links.byte_streams.from_host`): Bytes from the host, at least 12
            cycles apart.
        o_bytes: Out(:func:`qornn_hw.rtl_gen.links.byte_streams.to_host`): Bytes to the host.
        o_step: Out(stream), see :func:`qornn_hw.rtl_gen.words.input_word_layout`: A step's words. ``first``
            only with the first word of a sequence, ``last`` only with its last.
        i_answer: In(stream), see :func:`qornn_hw.rtl_gen.words.answer_word_layout`: An answer's words.
        starting: In(1): High while the board starts, for 2 cycles at least: keeps ``core_rst`` high.
        core_rst: Out(1): Resets the core: for one cycle at a RESET request, in which the link's own buffers
            are emptied, too; one cycle after ``starting``; and as long as weights to be loaded are missing.
        faulty: Out(1): High from a fault to the next RESET; steps are refused.
        busy: Out(1): A frame is being received or sent, or a step is waiting for the core.
        tick: Out(1): High for one cycle in ``2 ** timeout_bits``.
        load: Out(:func:`qornn_hw.rtl_gen.links.frame_receiver.load_signature`): Bytes of an image of weights,
            and what became of it. Only where ``form.weights`` is set; steps are refused until the weights are
            loaded.

    Latency: A step's first word, of b bytes, is offered ``16 + 2 b`` cycles after the frame's last byte. A
        word takes ``2 b`` cycles, and longer if the core stalls.
    """

    def __init__(self, *, form: LinkFormat, timeout_bits: int = 18) -> None:
        if timeout_bits < 1:
            raise ValueError(f"timeout_bits must be at least 1, not {timeout_bits!r}")
        self._form = form
        self._timeout_bits = timeout_bits
        members: dict[str, Any] = {} if form.weights is None else {"load": Out(load_signature())}
        super().__init__(
            members
            | {
                "i_bytes": In(from_host()),
                "o_bytes": Out(to_host()),
                "o_step": Out(stream.Signature(input_word_layout(form.word_format))),
                "i_answer": In(stream.Signature(answer_word_layout(form.answer_bits))),
                "starting": In(1),
                "core_rst": Out(1),
                "faulty": Out(1),
                "busy": Out(1),
                "tick": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        form = self._form
        m.submodules.receiver = receiver = FrameReceiver(form=form)
        m.submodules.buffer = buffer = StepBuffer(depth=form.buffer_bytes)
        m.submodules.feeder = feeder = StepFeeder(form=form)
        m.submodules.arbiter = arbiter = ReplyArbiter(form=form)
        m.submodules.info = info = BoardInfo(form=form)
        m.submodules.sender = sender = FrameSender(form=form)
        wiring.connect(m, wiring.flipped(self.i_bytes), receiver.i)
        wiring.connect(m, receiver.buffer, buffer.write)
        wiring.connect(m, buffer.read, feeder.buffer)
        wiring.connect(m, feeder.o, wiring.flipped(self.o_step))
        wiring.connect(m, wiring.flipped(self.i_answer), sender.answer)
        wiring.connect(m, arbiter.reply, sender.reply)
        wiring.connect(m, sender.o, wiring.flipped(self.o_bytes))
        for part in (feeder, arbiter, info, sender):
            m.d.comb += part.reset.eq(receiver.reset)
        for name in ("fault", "fault_code", "ask", "ask_status", "faulty"):
            m.d.comb += getattr(arbiter, name).eq(getattr(receiver, name))
        m.d.comb += [
            receiver.tick.eq(self.tick),
            buffer.clear.eq(receiver.reset),
            arbiter.acknowledge.eq(feeder.acknowledge),
            arbiter.answer.eq(sender.answer_there),
            sender.tag.eq(receiver.tag),
            sender.info.eq(info.byte),
            info.at.eq(sender.info_at),
            info.is_identity.eq(sender.is_identity),
            info.steps.eq(receiver.steps),
            info.fault.eq(arbiter.fault_taken),
            info.code.eq(sender.tail),
            self.faulty.eq(receiver.faulty),
            self.busy.eq(receiver.busy | sender.busy | feeder.busy),
        ]
        timer = Signal(self._timeout_bits)
        m.d.sync += Cat(timer, self.tick).eq(timer + 1)
        self._reset_core(m, receiver, arbiter)
        return m

    def _reset_core(self, m: Module, receiver: Any, arbiter: Any) -> None:
        """Add the core's reset, and the load port where there is one."""
        # A flip-flop that nothing resets: no logic stands between it and the core, which is spread over the
        # whole device.
        core_rst = Signal(reset_less=True)
        wait: Any = 0
        if self._form.weights is not None:
            wiring.connect(m, receiver.load, wiring.flipped(self.load))
            wait = ~self.load.loaded | self.load.start
            m.d.comb += [
                arbiter.loaded.eq(self.load.loaded),
                arbiter.load_done.eq(self.load.done),
                arbiter.load_status.eq(self.load.status),
            ]
        m.d.sync += core_rst.eq(receiver.resetting | self.starting | wait)
        m.d.comb += self.core_rst.eq(core_rst)
