"""The large memory of the iCE40 UltraPlus: SB_SPRAM256KA, 16384 words of 16 bits, one port."""

from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.family import SPRAM_ADDR_BITS, SPRAM_WORD_BITS

__all__ = ["Spram", "weight_write_signature"]


def weight_write_signature(banks: int) -> wiring.Signature:
    """Return the port through which weights come into large memories.

    Members:
        en: Out(banks); one bit: write to that memory.
        high: Out(1); the upper byte of the word, else the lower one.
        addr: Out(14).
        data: Out(8).
    """
    return wiring.Signature({"en": Out(banks), "high": Out(1), "addr": Out(SPRAM_ADDR_BITS), "data": Out(8)})


class Spram(wiring.Component):
    """A memory of 16-bit words that is written by bytes and that no bitstream initializes.

    Parameters:
        depth: words that are used, at most 16384; only the twin is smaller, by bits of the address.
        init: words that the twin starts with. The cell starts undefined, whatever is here.

    Members:
        addr: In(14).
        data: In(8); a byte to write.
        w_en: In(2); write it to the lower byte, the upper byte.
        q: Out(16); the word at ``addr`` of the cycle before; undefined after a write.

    Latency: 1 cycle. Throughput: a read or a write a cycle.
    """

    LATENCY = 1

    def __init__(self, *, depth: int, init: Iterable[int] = ()) -> None:
        self._depth = depth
        self._init = tuple(init)
        super().__init__(
            {"addr": In(SPRAM_ADDR_BITS), "data": In(8), "w_en": In(2), "q": Out(SPRAM_WORD_BITS)}
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        return self._twin() if platform is None else self._cell()

    def _twin(self) -> Module:
        m = Module()
        # Every word that the bits of an address reach, as the cell has them: those that are not used hold
        # what nobody can know, here bits that are easy to tell from zeros.
        depth = 1 << max(1, (self._depth - 1).bit_length())
        unused = (0xA5A5 ^ word for word in range(self._depth, depth))
        used = chain(self._init, repeat(0, self._depth - len(self._init)))
        m.submodules.memory = memory = Memory(
            shape=SPRAM_WORD_BITS, depth=depth, init=list(chain(used, unused))
        )
        write, read = memory.write_port(granularity=8), memory.read_port()
        m.d.comb += [
            write.addr.eq(self.addr),
            write.data.eq(self.data.replicate(2)),
            write.en.eq(self.w_en),
            read.addr.eq(self.addr),
            self.q.eq(read.data),
        ]
        return m

    def _cell(self) -> Module:
        # Ref: iCE40 technology library, Document Number FPGA-TN-02020; a mask bit writes four bits.
        m = Module()
        m.submodules.cell = Instance(
            "SB_SPRAM256KA",
            i_ADDRESS=self.addr,
            i_DATAIN=self.data.replicate(2),
            i_MASKWREN=Cat(self.w_en[0].replicate(2), self.w_en[1].replicate(2)),
            i_WREN=self.w_en.any(),
            i_CHIPSELECT=Const(1),
            i_CLOCK=ClockSignal(),
            i_STANDBY=Const(0),
            i_SLEEP=Const(0),
            i_POWEROFF=Const(1),
            o_DATAOUT=self.q,
        )
        return m
