"""Ring buffer between received frames and the core, with commit and roll-back."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.rtl_gen.ram import read_register

__all__ = ["StepBuffer", "step_read_signature", "step_write_signature"]


def step_write_signature() -> wiring.Signature:
    """Return the write port of a :class:`StepBuffer`, seen from the writer; members are described there."""
    return wiring.Signature(
        {
            "data": Out(8),
            "en": Out(1),
            "keep": Out(1),
            "refused": In(1),
            "commit": Out(1),
            "roll_back": Out(1),
        }
    )


def step_read_signature() -> wiring.Signature:
    """Return the read port of a :class:`StepBuffer`, seen from the reader; members are described there."""
    return wiring.Signature({"available": In(1), "data": In(8), "next": Out(1)})


class StepBuffer(wiring.Component):
    """Ring of bytes in block RAM. A reader sees the bytes of a frame only after the frame is committed.

    Parameters:
        depth: Bytes of the ring, a power of two; one of them stays free.

    Members:
        write: In(:func:`step_write_signature`):
            ``data``, ``en``: Write a byte at the write position. The position moves only with ``keep``.
            ``keep``: Move the write position by one; at least 2 cycles before the next byte's ``en``.
            ``refused``: Pulse, one cycle after ``keep``: the ring is full, the byte is dropped.
            ``commit``: Everything kept so far becomes available to the reader.
            ``roll_back``: Drop everything kept since the latest commit.
        read: In(:func:`step_read_signature`):
            ``available``: There is a committed byte at the read position.
            ``data``: The byte that was at the read position one cycle earlier.
            ``next``: Move the read position by one.
        clear: In(1): Empty the ring. Has priority over all others.

    Latency: a kept byte is available one cycle after ``commit``; ``data`` follows the read position by one
    cycle. Two bytes are at least :data:`qornn_hw.rtl_gen.links.byte_streams.BYTE_CYCLES_MIN` cycles apart, so
    the test for a full ring may take two cycles.
    """

    def __init__(self, *, depth: int) -> None:
        if depth < 4 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 4, not {depth!r}")
        self._depth = depth
        super().__init__(
            {"write": In(step_write_signature()), "read": In(step_read_signature()), "clear": In(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.submodules.memory = ring = memory.Memory(
            shape=8,
            depth=self._depth,
            init=[],
            # ``ram_style``: yosys would make LUTs of a small memory. ``no_rw_check``: the two ports meet at
            # one address only while nothing is available, and the byte read then is not used; without the
            # attribute yosys spends 40 logic cells on a defined value for it.
            attrs={"ram_style": "block", "no_rw_check": 1},
        )
        write, read = ring.write_port(), ring.read_port(domain="comb")
        write_at = Signal(range(self._depth))
        commit_at = Signal(range(self._depth))
        read_at = Signal(range(self._depth))
        next_at = Signal.like(write_at)
        # Address in, byte out one cycle later: yosys moves this register into the block RAM.
        data = read_register(8)
        m.d.sync += data.eq(read.data)
        m.d.comb += [
            next_at.eq(write_at + 1),
            write.addr.eq(write_at),
            write.data.eq(self.write.data),
            # The byte at the write position is always free, so a byte that is not kept does no harm.
            write.en.eq(self.write.en),
            read.addr.eq(read_at),
            self.read.data.eq(data),
            self.read.available.eq(read_at != commit_at),
        ]
        # The test for a full ring in two pipelined halves: a wide comparison after a carry chain.
        full, same = Signal(), Signal(2)
        half = len(next_at) // 2
        m.d.sync += [
            same.eq(Cat(next_at[:half] == read_at[:half], next_at[half:] == read_at[half:])),
            full.eq(same.all()),
        ]
        stored = Signal()
        m.d.sync += [stored.eq(self.write.keep & ~full), self.write.refused.eq(self.write.keep & full)]
        with m.If(self.write.roll_back):
            m.d.sync += write_at.eq(commit_at)
        with m.Elif(stored):
            m.d.sync += write_at.eq(next_at)
        with m.If(self.write.commit):
            m.d.sync += commit_at.eq(write_at)
        with m.If(self.read.next):
            m.d.sync += read_at.eq(read_at + 1)
        with m.If(self.clear):
            m.d.sync += [write_at.eq(0), commit_at.eq(0), read_at.eq(0)]
        return m
