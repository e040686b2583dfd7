"""The 16 bytes of IDENTITY and STATUS, and the counters of faults in them (docs/link.md)."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.memory import Memory
from qornn_hw.link.protocol import COUNTER_MAX, INFO_BYTES, FaultCode, LinkFormat
from qornn_hw.rtl_gen.rom import Rom

__all__ = ["COUNTER_BITS", "BoardInfo"]

COUNTER_BITS = COUNTER_MAX.bit_length()


def identity_image(form: LinkFormat) -> Memory:
    """Return the content of IDENTITY as a memory, with two more words that keep every bit in the memory.

    Synthesis removes a bit that is the same in all words.
    """
    return Memory.plain("identity", 8, (*form.identity.constant, 0x00, 0xFF))


class BoardInfo(wiring.Component):
    """Answers IDENTIFY and STATUS byte by byte, and counts faults.

    A fault counts only if it is the first one after a reset; the others follow from it. Reading a counter for
    a STATUS and for an increment share one multiplexer, so a fault is counted only while no STATUS is sent.

    Parameters:
        form: What IDENTITY tells.

    Members:
        at: In(range(16)): Index of the byte.
        is_identity: In(1): A byte of IDENTITY, else of STATUS.
        byte: Out(8).
        steps: In(8): Steps since the latest reset, for STATUS.
        fault: In(1): Pulse: a FAULT is about to be sent. Its code is at ``code`` in the next 3 cycles.
        code: In(3).
        reset: In(1): Pulse: the next fault counts again.

    Latency: 2 cycles from ``at`` to ``byte``; 3 cycles from ``fault`` to the counter.
    """

    def __init__(self, *, form: LinkFormat) -> None:
        self._form = form
        super().__init__(
            {
                "at": In(range(INFO_BYTES)),
                "is_identity": In(1),
                "byte": Out(8),
                "steps": In(8),
                "fault": In(1),
                "code": In(3),
                "reset": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # In block RAM, so that a reloaded build (boards/reload.py) can give it another design's content.
        m.submodules.identity = identity = Rom(identity_image(self._form))
        m.d.comb += identity.addr.eq(self.at)
        counters = {code: Signal(COUNTER_BITS, name=f"{code.name}_count") for code in FaultCode}
        # From the first FAULT to the next reset.
        reported = Signal()
        # The three cycles of an increment: select the counter, read it, write it.
        counting, looking, increase = Signal(), Signal(), Signal()
        m.d.sync += [
            counting.eq(self.fault & ~reported),
            looking.eq(counting),
            increase.eq(looking),
        ]
        with m.If(self.fault):
            m.d.sync += reported.eq(1)
        with m.If(self.reset):
            m.d.sync += reported.eq(0)
        counter_at = Signal(range(len(FaultCode) + 1))
        counter = Signal(COUNTER_BITS)
        m.d.sync += counter_at.eq(Mux(counting, self.code, self.at[:3]))
        m.d.comb += counter.eq(Array([Const(0, COUNTER_BITS), *counters.values()])[counter_at])
        # A register: the tables and the choice of the payload together would be the longest path.
        # The first eight bytes all hold the steps: that takes less logic than seven zeros.
        m.d.sync += self.byte.eq(Mux(self.at[3] | looking, counter, self.steps))
        with m.If(self.is_identity):
            m.d.sync += self.byte.eq(identity.data)
        for code, one in counters.items():
            with m.If(increase & (self.code == code) & ~self.byte[:COUNTER_BITS].all()):
                # No adder: for so few bits a carry chain costs more.
                carries = (self.byte[:n].all() for n in range(1, COUNTER_BITS))
                m.d.sync += one.eq(self.byte[:COUNTER_BITS] ^ Cat(1, *carries))
        return m
