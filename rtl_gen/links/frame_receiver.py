"""Requests from the host: bytes in, steps into the buffer, everything else as pulses."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import FaultCode, LinkFormat
from qornn_hw.rtl_gen.links.byte_stage import ByteStage
from qornn_hw.rtl_gen.links.byte_streams import from_host
from qornn_hw.rtl_gen.links.request_judge import RequestJudge
from qornn_hw.rtl_gen.links.request_parser import RequestParser
from qornn_hw.rtl_gen.links.step_buffer import step_write_signature

__all__ = ["FrameReceiver", "load_signature"]


def load_signature() -> wiring.Signature:
    """Return the port to a :class:`~qornn_hw.rtl_gen.links.weight_loader.WeightLoader`, with its members."""
    return wiring.Signature(
        {
            "start": Out(1),
            "data": Out(8),
            "valid": Out(1),
            "loaded": In(1),
            "done": In(1),
            "status": In(3),
        }
    )


class FrameReceiver(wiring.Component):
    """Receives requests, checks them, and obeys or refuses them.

    A step's bytes go into the buffer as they arrive. They are committed when the CRC and the number are good,
    and rolled back otherwise.

    Parameters:
        form: Sizes of a step, and whether weights are loaded over the link.

    Members:
        i: In(:func:`qornn_hw.rtl_gen.links.byte_streams.from_host`): Bytes from the host.
        tick: In(1): Time base of the timeout between two bytes of a request.
        buffer: Out(:func:`qornn_hw.rtl_gen.links.step_buffer.step_write_signature`).
        resetting, reset, faulty, steps, ask, ask_status: Out: Those of
            :class:`qornn_hw.rtl_gen.links.request_judge.RequestJudge`.
        fault: Out(1): Pulse: a request was dropped, for the reason ``fault_code``.
        fault_code: Out(FaultCode).
        tag: Out(8): Number of the latest RESET or LOAD.
        busy: Out(1): A request or an image of weights is in progress.
        load: Out(:func:`load_signature`): Only where ``form.weights`` is set. ``status`` is not used here.

    Latency: from the last byte's transfer 12 cycles to ``buffer.commit``, ``fault`` or ``reset``, 11
    to ``ask``.
    """

    def __init__(self, *, form: LinkFormat) -> None:
        self._form = form
        members: dict[str, Any] = {} if form.weights is None else {"load": Out(load_signature())}
        super().__init__(
            members
            | {
                "i": In(from_host()),
                "tick": In(1),
                "buffer": Out(step_write_signature()),
                "resetting": Out(1),
                "reset": Out(1),
                "fault": Out(1),
                "fault_code": Out(FaultCode),
                "faulty": Out(1),
                "steps": Out(8),
                "ask": Out(1),
                "ask_status": Out(1),
                "tag": Out(8),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        loads_weights = self._form.weights is not None
        m.submodules.stage = stage = ByteStage()
        m.submodules.parser = parser = RequestParser(form=self._form)
        m.submodules.judge = judge = RequestJudge(loads_weights=loads_weights)
        wiring.connect(m, wiring.flipped(self.i), stage.i)
        m.d.comb += [
            stage.tick.eq(self.tick),
            stage.shift.eq(parser.shift),
            parser.byte.eq(stage.byte),
            parser.good.eq(stage.good),
            parser.cut.eq(stage.cut),
            parser.expected.eq(judge.steps),
            judge.bad.eq(stage.bad),
            judge.cut.eq(stage.cut),
            judge.refused.eq(self.buffer.refused),
            self.buffer.data.eq(stage.byte),
            self.buffer.en.eq(stage.good),
            self.buffer.keep.eq(parser.keep),
            self.buffer.commit.eq(judge.commit),
            self.buffer.roll_back.eq(judge.fail),
            self.fault.eq(judge.fail),
            self.fault_code.eq(judge.fail_code),
            self.tag.eq(parser.tag),
        ]
        for name in (
            *("hunting", "judging", "settled", "wrong"),
            *("order", "is_first", "other_number", "unknown"),
        ):
            m.d.comb += getattr(judge, name).eq(getattr(parser, name))
        for name in ("resetting", "reset", "faulty", "steps", "ask", "ask_status"):
            m.d.comb += getattr(self, name).eq(getattr(judge, name))
        if loads_weights:
            m.d.comb += [
                parser.ignore.eq(judge.loading),
                judge.loaded.eq(self.load.loaded),
                judge.load_done.eq(self.load.done),
                self.load.start.eq(judge.load_start),
                self.load.data.eq(stage.byte),
                self.load.valid.eq(stage.good & judge.loading),
                self.busy.eq(~parser.hunting | judge.loading),
            ]
        else:
            m.d.comb += self.busy.eq(~parser.hunting)
        return m
