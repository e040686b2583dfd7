"""CRC-16 of a frame, one bit a cycle."""

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.protocol import CRC_INIT, CRC_POLYNOMIAL

__all__ = ["FrameCrc"]


class FrameCrc(wiring.Component):
    """CRC-16/IBM-3740 of a sequence of bytes, equal to :func:`qornn_hw.link.protocol.crc16`.

    One bit a cycle takes a third of the logic of one byte a cycle.

    Members:
        clear: In(1): Starts a new sequence. Has priority over ``valid``.
        valid: In(1): Starts a byte. Must be low while ``busy`` is high.
        bit: In(1): Bit ``at`` of the byte, in each cycle in which ``busy`` is high.
        at: Out(3): Index of the wanted bit: 7 in the first cycle after ``valid``, 0 in the last.
        busy: Out(1): The byte is not yet part of ``crc``.
        crc: Out(16): CRC of the bytes since ``clear``; 0 after a frame's own CRC, if that is right.

    Latency: 9 cycles from ``valid`` to ``crc``. Throughput: one byte in 9 cycles.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "valid": In(1),
                "bit": In(1),
                "at": Out(3, init=7),
                "busy": Out(1),
                "crc": Out(16, init=CRC_INIT),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        out = self.crc[-1] ^ self.bit
        with m.If(self.busy):
            m.d.sync += [
                # After 0 the counter wraps to 7, the first bit of the next byte.
                self.at.eq(self.at - 1),
                self.busy.eq(self.at != 0),
                self.crc.eq((self.crc << 1) ^ Mux(out, CRC_POLYNOMIAL, 0)),
            ]
        with m.If(self.valid):
            m.d.sync += self.busy.eq(1)
        with m.If(self.clear):
            m.d.sync += [self.crc.eq(CRC_INIT), self.at.eq(7), self.busy.eq(0)]
        return m
