"""Block RAM with one port to write and one to read."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["FORGET_INITIAL", "Ram", "read_register"]

_NO_INITIAL = "qornn_no_initial"
# Yosys' command, before all else, that takes away what a :func:`read_register` holds at first.
FORGET_INITIAL = f"setattr -unset init a:{_NO_INITIAL}"


def read_register(bits: int) -> Signal:
    """Return the register behind an asynchronous read port, which yosys takes into the block RAM.

    A block RAM's own register has no initial value. Where the register must have one, yosys makes it a
    choice between that and what was read: a logic cell a bit, and longer paths. Nothing may look at it in the
    first cycle.
    """
    return Signal(bits, reset_less=True, attrs={_NO_INITIAL: 1}, src_loc_at=1)


class Ram(wiring.Component):
    """Block RAM whose user never uses a word that was read in the cycle in which it was written.

    Yosys spends about two logic cells a bit on giving such a word a defined value, and a comparison of the
    addresses on the way. Here it is undefined in hardware, and the old word in simulation.

    Parameters:
        width: bits of a word.
        depth: words.
        init: initial words, zero beyond.
        granularity: bits that share a write enable; all where None.

    Members:
        w_addr: In(ceil(log2 depth)).
        w_data: In(width).
        w_en: In(width / granularity); a bit writes its part of the word.
        r_addr: In(ceil(log2 depth)).
        r_data: Out(width), the word at ``r_addr`` of the cycle before.

    Latency: 1 cycle. Throughput: a write and a read a cycle.
    """

    LATENCY = 1

    def __init__(
        self, *, width: int, depth: int, init: Iterable[int] = (), granularity: int | None = None
    ) -> None:
        self._width = width
        self._depth = depth
        self._init = tuple(init)
        self._granularity = granularity
        addr_bits = (depth - 1).bit_length()
        super().__init__(
            {
                "w_addr": In(addr_bits),
                "w_data": In(width),
                "w_en": In(1 if granularity is None else width // granularity),
                "r_addr": In(addr_bits),
                "r_data": Out(width),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Shallow memories would become logic without the first attribute. The second only reaches a read
        # register that yosys itself moves into the memory: hence the asynchronous port in front of one.
        m.submodules.memory = memory = Memory(
            shape=self._width,
            depth=self._depth,
            init=self._init,
            attrs={"ram_style": "block", "no_rw_check": 1},
        )
        write, read = memory.write_port(granularity=self._granularity), memory.read_port(domain="comb")
        data = read_register(self._width)
        m.d.sync += data.eq(read.data)
        m.d.comb += [
            write.addr.eq(self.w_addr),
            write.data.eq(self.w_data),
            write.en.eq(self.w_en),
            read.addr.eq(self.r_addr),
            self.r_data.eq(data),
        ]
        return m
