"""Queues that their user never overfills."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from qornn_hw.rtl_gen.ram import read_register

__all__ = ["Queue", "RegisterQueue"]


class Queue(wiring.Component):
    """First in, first out, without a test for a full queue: whoever writes knows that there is room.

    That and the power of two make it half the logic of :class:`amaranth.lib.fifo.SyncFIFOBuffered`.

    Parameters:
        width: bits of a word.
        depth: words that it holds, a power of two less one.

    Members:
        w_data: In(width).
        w_en: In(1); the word is written; there must be room.
        o: Out(stream.Signature(width)).

    Latency: 2 cycles. Throughput: a word a cycle.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        if depth < 1 or depth & (depth + 1):
            raise ValueError(f"depth must be a power of two less one, not {depth!r}")
        self._width = width
        self._depth = depth
        super().__init__({"w_data": In(width), "w_en": In(1), "o": Out(stream.Signature(width))})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # The word that is written is never the one that is read: without the attribute yosys gives it a
        # defined value, two logic cells a bit.
        m.submodules.memory = memory = Memory(
            shape=self._width, depth=self._depth + 1, init=[], attrs={"no_rw_check": 1}
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        write_at = Signal(range(self._depth + 1))
        read_at = Signal.like(write_at)
        next_at = Signal.like(write_at)
        data = read_register(self._width)
        m.d.comb += [
            write.addr.eq(write_at),
            write.data.eq(self.w_data),
            write.en.eq(self.w_en),
            next_at.eq(Mux(self.o.valid & self.o.ready, read_at + 1, read_at)),
            read.addr.eq(next_at),
            self.o.payload.eq(data),
        ]
        m.d.sync += [data.eq(read.data), read_at.eq(next_at), self.o.valid.eq(next_at != write_at)]
        with m.If(self.w_en):
            m.d.sync += write_at.eq(write_at + 1)
        return m


class RegisterQueue(wiring.Component):
    """The same in flip-flops, of any depth: no memory, and no choice among words where they leave.

    The first word is in the first register; all move up when it leaves. A word that comes waits a cycle
    before that: it goes to many registers.

    Parameters:
        width: bits of a word.
        depth: words that it holds.

    Members:
        w_data, w_en, o: as those of :class:`Queue`.

    Latency: 2 cycles. Throughput: a word a cycle.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth!r}")
        self._width = width
        self._depth = depth
        super().__init__({"w_data": In(width), "w_en": In(1), "o": Out(stream.Signature(width))})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        words = [Signal(self._width, name=f"word_{i}", reset_less=True) for i in range(self._depth)]
        # One bit for each number of words that are there, 0 the first.
        count = Signal(self._depth + 1, init=1)
        comes, leaves = Signal(), Signal()
        new = Signal(self._width, reset_less=True)
        m.d.sync += [comes.eq(self.w_en), new.eq(self.w_data)]
        m.d.comb += [
            self.o.payload.eq(words[0]),
            self.o.valid.eq(~count[0]),
            leaves.eq(self.o.valid & self.o.ready),
        ]
        with m.If(comes & ~leaves):
            m.d.sync += count.eq(count << 1)
        with m.If(leaves & ~comes):
            m.d.sync += count.eq(count >> 1)
        for i, word in enumerate(words):
            here = Signal(name=f"here_{i}")
            m.d.comb += here.eq(comes & Mux(leaves, count[i + 1], count[i]))
            with m.If(leaves | here):
                behind = words[i + 1] if i + 1 < self._depth else new
                m.d.sync += word.eq(Mux(here, new, behind))
        return m
