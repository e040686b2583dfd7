"""Decides what a request does once it is complete or cut short (docs/link.md, Faults)."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import Command, FaultCode

__all__ = ["RequestJudge"]


class RequestJudge(wiring.Component):
    """Obeys, commits or refuses a request.

    Parameters:
        loads_weights: Weights are loaded over the link: steps are refused until they are there.

    Members:
        hunting, judging, settled, wrong, order, is_first, other_number, unknown: In: Those of
            :class:`qornn_hw.rtl_gen.links.request_parser.RequestParser`.
        bad, cut: In(1): Those of :class:`qornn_hw.rtl_gen.links.byte_stage.ByteStage`.
        refused: In(1): Pulse: the buffer had no room for a byte of this request.
        commit: Out(1): Pulse: a step is good.
        fail: Out(1): Pulse: the request is dropped, for the reason ``fail_code``.
        fail_code: Out(FaultCode).
        faulty: Out(1): From a fault to the next reset; steps are refused.
        steps: Out(8): Steps committed since the latest reset, modulo 256.
        resetting: Out(1): Pulse, one cycle before ``reset``.
        reset: Out(1): Pulse: a RESET or LOAD is obeyed.
        ask: Out(1): Pulse: an IDENTIFY or STATUS is obeyed; the latter with ``ask_status``.
        ask_status: Out(1).
        loaded: In(1): The weights are there. Only with ``loads_weights``, as are the following.
        load_done: In(1): Pulse: the image of weights is complete.
        load_start: Out(1): Pulse, with ``reset``: the next byte is the first of an image of weights.
        loading: Out(1): The bytes are those of an image, up to its end or to ``cut``.

    Latency: ``commit`` and ``fail`` come one cycle after ``settled``, ``unknown`` or ``cut``; ``reset`` one
    cycle after ``settled``; ``steps`` and ``faulty`` follow one cycle later.
    """

    def __init__(self, *, loads_weights: bool) -> None:
        self._loads_weights = loads_weights
        members: dict[str, Any] = {
            **{name: In(1) for name in ("hunting", "judging", "settled", "wrong", "unknown", "refused")},
            **{name: In(1) for name in ("is_first", "other_number", "bad", "cut")},
            "order": In(3),
            **{name: Out(1) for name in ("commit", "fail", "faulty", "resetting", "reset")},
            "fail_code": Out(FaultCode),
            "steps": Out(8),
            "ask": Out(1),
            "ask_status": Out(1),
        }
        if loads_weights:
            members |= {"loaded": In(1), "load_done": In(1), "load_start": Out(1), "loading": Out(1)}
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # After a reset, up to the first step, which must have FIRST.
        fresh = Signal(init=1)
        out_of_sequence, overflow = Signal(), Signal()
        fail, commit, code = Signal(), Signal(), Signal(FaultCode)
        m.d.sync += [
            out_of_sequence.eq(self.faulty | self.other_number | (fresh & ~self.is_first)),
            # The decision takes effect one cycle later, long before the next byte.
            self.fail.eq(fail),
            self.commit.eq(commit),
            self.fail_code.eq(code),
            self.reset.eq(self.resetting),
        ]
        with m.If(self.hunting):
            m.d.sync += overflow.eq(0)
        with m.If(self.refused):
            m.d.sync += overflow.eq(1)
        with m.If(self.unknown):
            m.d.comb += [fail.eq(1), code.eq(FaultCode.BAD_COMMAND)]
        receiving: Any = ~self.hunting
        if self._loads_weights:
            m.d.sync += self.load_start.eq(0)
            receiving |= self.loading
        self._judge(m, fail, commit, code, overflow, out_of_sequence)
        if self._loads_weights:
            with m.If(self.loading & (self.cut | self.load_done)):
                m.d.sync += self.loading.eq(0)
        with m.If(receiving & ~self.judging & self.cut):
            m.d.comb += [fail.eq(1), code.eq(Mux(self.bad, FaultCode.BAD_BYTE, FaultCode.TRUNCATED))]
        with m.If(self.commit):
            m.d.sync += [fresh.eq(0), self.steps.eq(self.steps + 1)]
        with m.If(self.fail):
            m.d.sync += self.faulty.eq(1)
        with m.If(self.reset):
            m.d.sync += [fresh.eq(1), self.faulty.eq(0), self.steps.eq(0)]
        return m

    def _judge(
        self,
        m: Module,
        fail: Signal,
        commit: Signal,
        code: Signal,
        overflow: Signal,
        out_of_sequence: Signal,
    ) -> None:
        """Decide about a complete request."""
        m.d.comb += self.ask_status.eq(self.order[0])
        with m.If(self.settled):
            with m.If(self.wrong):
                m.d.comb += [fail.eq(1), code.eq(FaultCode.BAD_CRC)]
            with m.Elif(self.order == Command.RESET >> 4):
                m.d.comb += self.resetting.eq(1)
            with m.Elif(self.order[2]):
                m.d.comb += self.ask.eq(1)
            if self._loads_weights:
                with m.Elif(self.order[1]):
                    m.d.comb += self.resetting.eq(1)
                    m.d.sync += [self.load_start.eq(1), self.loading.eq(1)]
                with m.Elif(~self.loaded):
                    m.d.comb += [fail.eq(1), code.eq(FaultCode.NOT_LOADED)]
            with m.Elif(overflow):
                m.d.comb += [fail.eq(1), code.eq(FaultCode.OVERFLOW)]
            with m.Elif(out_of_sequence):
                m.d.comb += [fail.eq(1), code.eq(FaultCode.OUT_OF_SEQUENCE)]
            with m.Else():
                m.d.comb += commit.eq(1)
