"""Decides which reply is sent next (docs/link.md, Reply)."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import PROTOCOL_VERSION, AnswerTail, FaultCode, LinkFormat, ReplyKind

__all__ = ["ReplyArbiter", "reply_signature"]


def reply_signature(form: LinkFormat) -> wiring.Signature:
    """Return the port from a :class:`ReplyArbiter` to its reader; members are described there."""
    # Only bits that differ between the kinds become flip-flops.
    return wiring.Signature(
        {
            "valid": Out(1),
            "kind": Out(8),
            "tail": Out(3 if form.weights is None else 5),
            "is_answer": Out(1),
            "has_info": Out(1),
            "taken": In(1),
        }
    )


class ReplyArbiter(wiring.Component):
    """Keeps what waits for a reply and names the next one, by fixed priority.

    The priority is: reset, fault, identity or status, loaded, acknowledge, answer. Answers are last because
    the core can wait. A reset drops waiting faults and acknowledges, which concern the core; questions to the
    link itself are still answered.

    Parameters:
        form: Whether weights are loaded over the link.

    Members:
        reset: In(1): Pulse: ask for RESET_DONE.
        fault: In(1), fault_code: In(FaultCode): Pulse: ask for a FAULT. Of several the first is reported.
        ask: In(1), ask_status: In(1): Pulse: ask for an IDENTITY, or a STATUS.
        acknowledge: In(1): Pulse: ask for an ACKNOWLEDGE.
        answer: In(1): Level: there is a word of an answer.
        faulty: In(1): For the tail of IDENTITY and STATUS.
        reply: Out(:func:`reply_signature`):
            ``valid``: a reply waits, whose kind and tail are ``kind`` and ``tail``;
            ``is_answer``, ``has_info``: it brings an answer's words, or 16 bytes of information;
            ``taken``: pulse: it is being sent.
        fault_taken: Out(1): Pulse: ``taken``, and the reply is a FAULT.
        loaded: In(1), load_done: In(1), load_status: In(3): Only with ``form.weights``, from the loader;
            ``load_done`` is a pulse and asks for a LOADED.

    Latency: 2 cycles from a pulse to ``reply.valid``, 1 cycle from ``answer``. The choice is registered, so
    that nothing is decided and moved in one cycle.
    """

    def __init__(self, *, form: LinkFormat) -> None:
        self._form = form
        members: dict[str, Any] = {
            **{name: In(1) for name in ("reset", "fault", "ask", "ask_status", "acknowledge")},
            "answer": In(1),
            "faulty": In(1),
            "fault_code": In(FaultCode),
            "reply": Out(reply_signature(form)),
            "fault_taken": Out(1),
        }
        if form.weights is not None:
            members |= {"loaded": In(1), "load_done": In(1), "load_status": In(3)}
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        names = ("reset_pending", "fault_pending", "info_pending", "acknowledge_pending")
        reset, fault, info, acknowledge = (Signal(name=name) for name in names)
        fault_code = Signal(FaultCode)
        is_status = Signal()
        info_kind = Mux(is_status, ReplyKind.STATUS, ReplyKind.IDENTITY)
        state = Cat(1, self.faulty)
        # What asks for a reply, its kind and its tail, by priority.
        replies: list[tuple[Signal, Any, Any]] = [
            (reset, ReplyKind.RESET_DONE, PROTOCOL_VERSION),
            (fault, ReplyKind.FAULT, fault_code),
            (acknowledge, ReplyKind.ACKNOWLEDGE, 0),
            (self.answer, ReplyKind.ANSWER, AnswerTail.NONE),
        ]
        if self._form.weights is not None:
            state = Cat(self.loaded, self.faulty, self.load_status)
            loaded = Signal(name="loaded_pending")
            with m.If(self.load_done):
                m.d.sync += loaded.eq(1)
            replies.insert(2, (loaded, ReplyKind.LOADED, self.load_status))
        replies.insert(2, (info, info_kind, state))

        turn = self._turns(m, replies)
        with m.If(self.acknowledge):
            m.d.sync += acknowledge.eq(1)
        with m.If(self.reply.taken):
            for at, (asking, _, _) in enumerate(replies[:-1]):
                with m.If(turn[at]):
                    # The acknowledge of the next step may come in this very cycle.
                    m.d.sync += asking.eq(self.acknowledge if asking is acknowledge else 0)
        m.d.comb += self.fault_taken.eq(self.reply.taken & turn[1])
        with m.If(self.reset):
            m.d.sync += [reset.eq(1), fault.eq(0), acknowledge.eq(0)]
        # After the statements above: a fault stays pending that comes while the one before is taken.
        with m.If(self.ask):
            m.d.sync += [info.eq(1), is_status.eq(self.ask_status)]
        with m.If(self.fault):
            m.d.sync += fault.eq(1)
            with m.If(~fault):
                m.d.sync += fault_code.eq(self.fault_code)
        return m

    def _turns(self, m: Module, replies: list[tuple[Signal, Any, Any]]) -> Signal:
        """Add the choice; return the register with one bit for each reply, at most one of them set."""
        pending = Cat(reply[0] for reply in replies)
        turn = Signal(len(replies))
        waiting = Signal()
        first = Cat(pending[i] & ~pending[:i].any() for i in range(len(replies)))
        m.d.sync += [
            # ``turn.any()``, in a flip-flop of its own.
            waiting.eq(pending.any() & ~self.reset),
            turn.eq(Mux(self.reset, 0, first)),
        ]
        kinds = (Mux(turn[i], reply[1], 0) for i, reply in enumerate(replies))
        tails = (Mux(turn[i], reply[2], 0) for i, reply in enumerate(replies))
        m.d.comb += [
            self.reply.valid.eq(waiting & ~self.reset),
            self.reply.kind.eq(reduce(or_, kinds)),
            self.reply.tail.eq(reduce(or_, tails)),
            self.reply.is_answer.eq(turn[-1]),
            self.reply.has_info.eq(turn[2]),
        ]
        return turn
