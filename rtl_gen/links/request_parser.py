"""Splits the received bytes into the fields of requests (docs/link.md)."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import SYNC, Command, LinkFormat, StepFlag
from qornn_hw.rtl_gen.links.crc import FrameCrc

__all__ = ["RequestParser"]


class RequestParser(wiring.Component):
    """Follows the fields of one request and checks its CRC.

    Parameters:
        form: Sizes of a step; with ``form.weights`` the command LOAD is known, too.

    Members:
        byte: In(8), good: In(1), cut: In(1): Those of :class:`qornn_hw.rtl_gen.links.byte_stage.ByteStage`.
        shift: Out(1): The stage must shift its byte by one bit: the CRC takes the top bit.
        ignore: In(1): The bytes belong to an image of weights: SYNC does not start a request.
        expected: In(8): Number that the next step must have.
        keep: Out(1): Pulse: the latest byte, a step's command or a byte of its words, is kept in the buffer.
        unknown: Out(1): Pulse: the command is unknown, the request ends.
        hunting: Out(1): No request is in progress.
        judging: Out(1): All bytes of the request have arrived.
        settled: Out(1): Pulse: the request is complete and ``wrong`` is valid.
        wrong: Out(1): The CRC is wrong.
        order: Out(3): Bits 4 to 6 of the command, which tell all commands apart.
        is_first: Out(1): A step has FIRST.
        other_number: Out(1): The request's number is not ``expected``.
        tag: Out(8): Number of the latest request whose order has bit 1 set (RESET and LOAD).

    Latency: ``settled`` 10 cycles after the last byte's ``good``. ``order`` to ``tag`` are valid from the
    number's byte on, until the next command.
    """

    def __init__(self, *, form: LinkFormat) -> None:
        self._form = form
        super().__init__(
            {
                "byte": In(8),
                "good": In(1),
                "cut": In(1),
                "shift": Out(1),
                "ignore": In(1),
                "expected": In(8),
                "keep": Out(1),
                "unknown": Out(1),
                "hunting": Out(1),
                "judging": Out(1),
                "settled": Out(1),
                "wrong": Out(1),
                "order": Out(3),
                "is_first": Out(1),
                "other_number": Out(1),
                "tag": Out(8),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.submodules.crc = crc = FrameCrc()
        # Registers without a reset are always written before they are read. An enable and a reset together
        # would cost one logic cell in front of each.
        order, known = Signal(3, reset_less=True), Signal(reset_less=True)
        is_first, other_number = Signal(reset_less=True), Signal(reset_less=True)
        tag = Signal(8, reset_less=True)
        # Bytes of the step that are still to come.
        count = Signal(range(self._form.step_bytes), reset_less=True)
        commands = [Command.RESET, Command.IDENTIFY, Command.STATUS]
        if self._form.weights is not None:
            commands.append(Command.LOAD)
        in_command, in_order, in_number = self._states(m, order, known, count)
        with m.If(in_command & self.good):
            m.d.sync += [
                order.eq(self.byte[4:7]),
                is_first.eq((self.byte & StepFlag.FIRST) != 0),
                known.eq((self.byte[3:] == Command.STEP >> 3) | self.byte.matches(*commands)),
            ]
        with m.If(in_number & self.good):
            m.d.sync += other_number.eq(self.byte != self.expected)
            with m.If(order[1]):
                m.d.sync += tag.eq(self.byte)
        with m.If(in_order):
            m.d.sync += count.eq(self._form.step_bytes - 1)
        with m.Elif(self.keep):
            m.d.sync += count.eq(count - 1)
        m.d.sync += [
            self.settled.eq(self.judging & ~crc.busy & ~self.settled),
            self.wrong.eq(crc.crc != 0),
        ]
        m.d.comb += [
            crc.clear.eq(self.hunting),
            crc.valid.eq(self.good),
            crc.bit.eq(self.byte[-1]),
            self.shift.eq(crc.busy),
            self.order.eq(order),
            self.is_first.eq(is_first),
            self.other_number.eq(other_number),
            self.tag.eq(tag),
        ]
        return m

    def _states(self, m: Module, order: Signal, known: Signal, count: Signal) -> tuple[Any, Any, Any]:
        """Add the states, one a field; return whether they are in the command, behind it, in the number."""
        is_step = order == Command.STEP >> 4
        with m.FSM(name="receive") as fsm:
            with m.State("hunt"):
                with m.If(self.good & (self.byte == SYNC) & ~self.ignore):
                    m.next = "command"
            with m.State("command"):
                with m.If(self.good):
                    m.next = "order"
                with m.If(self.cut):
                    m.next = "hunt"
            # One cycle after the command's byte; no byte arrives then.
            with m.State("order"):
                m.next = "number"
                with m.If(~known):
                    m.d.comb += self.unknown.eq(1)
                    m.next = "hunt"
                with m.Elif(is_step):
                    m.d.comb += self.keep.eq(1)
            with m.State("number"):
                with m.If(self.good):
                    m.next = "high"
                    with m.If(is_step):
                        m.next = "payload"
                with m.If(self.cut):
                    m.next = "hunt"
            with m.State("payload"):
                with m.If(self.good):
                    m.d.comb += self.keep.eq(1)
                    with m.If(count == 0):
                        m.next = "high"
                with m.If(self.cut):
                    m.next = "hunt"
            for crc_byte, following in (("high", "low"), ("low", "verdict")):
                with m.State(crc_byte):
                    with m.If(self.good):
                        m.next = following
                    with m.If(self.cut):
                        m.next = "hunt"
            with m.State("verdict"):
                with m.If(self.settled):
                    m.next = "hunt"
            m.d.comb += [self.hunting.eq(fsm.ongoing("hunt")), self.judging.eq(fsm.ongoing("verdict"))]
            return fsm.ongoing("command"), fsm.ongoing("order"), fsm.ongoing("number")
